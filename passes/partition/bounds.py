"""How few words a partition over chips can cut at least."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, gcd, sqrt

import numpy as np

from mho.passes.partition.limits import ChipLimits
from mho.passes.partition.semidefinite import Relaxation, semidefinite_bound
from mho.passes.sites.units import contract
from mho.passes.watch import Watch, watch
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.targets.arrays import Floats, Indices

LARGEST_SPECTRUM = 2000
"""The spectral bound needs all eigenvalues of a matrix of this side (about a second); beyond it the bound is 0."""

CUBES_A_SECOND = 6e9
"""Units cubed times iterations of the semidefinite bound that a second of budget is worth."""

FEWEST_ITERATIONS, MOST_ITERATIONS = 60, 400
"""Below the former a semidefinite bound is worth little; beyond the latter it hardly moves."""


def cut_bound(flows: TileFlows, limits: ChipLimits, chip_of: Indices, seconds: float) -> float:
    """No partition that keeps to the limits cuts fewer words.

    Up to some hundred units a semidefinite relaxation of all of them tells. More units are taken in windows along
    the layers' order, whose bounds add up because no words are counted twice; there the spectral bound of all tiles
    may be better.

    Args:
        flows: between tiles.
        chip_of: unit → chip, the best partition known.
        seconds: of budget.
    """
    between = contract(flows, limits.units.unit_of)
    windows = _windows(len(chip_of), seconds)
    cut, follower, bound = cut_words(between, chip_of), watch(), 0.0
    for window in windows:
        tell = partial(_tell, follower, cut, bound)
        bound += _window_bound(between, limits, chip_of, window, seconds / len(windows), tell)
    if len(windows) > 1:
        tiles, capacity = int(limits.units.sizes.sum()), int(limits.capacities.max())
        bound = max(bound, spectral_bound(flows, tiles, capacity))
    return _whole(_rounded(bound, float(between.words.sum())), between.words)


def spectral_bound(flows: TileFlows, tiles: int, capacity: int) -> float:
    """No cut into parts of at most `capacity` tiles is lighter.

    Half the sum of the Laplacian's smallest eigenvalues times the parts' sizes, the largest part first
    (Donath and Hoffman, IBM J. Res. Dev. 17(5), 1973); sizes as unequal as allowed give the least.
    """
    if not 0 < tiles <= LARGEST_SPECTRUM:
        return 0.0
    weights = flows.symmetric(tiles)
    eigenvalues = np.linalg.eigvalsh(np.diag(weights.sum(axis=1)) - weights)
    eigenvalues = np.maximum(eigenvalues - 1e-12 * eigenvalues[-1:], 0.0)
    parts = -(-tiles // capacity)
    part_sizes = np.full(parts, capacity)
    part_sizes[-1] = tiles - capacity * (parts - 1)
    return max(0.0, float(eigenvalues[:parts] @ part_sizes) / 2)


def _windows(units: int, seconds: float) -> list[Indices]:
    """Runs of units in the layers' order, as few as the budget has the iterations for."""
    most = seconds * CUBES_A_SECOND
    count = max(1, round(sqrt(units**3 * FEWEST_ITERATIONS / most)))
    return [np.array(window, np.int64) for window in np.array_split(np.arange(units), min(count, units))]


def _tell(follower: Watch, cut: float, before: float, bound: float) -> None:
    follower.found(cut, min(cut, before + bound))


def _window_bound(
    flows: TileFlows,
    limits: ChipLimits,
    chip_of: Indices,
    window: Indices,
    seconds: float,
    tell: Callable[[float], None],
) -> float:
    """The words that any partition cuts among the units of a window; 0 where a chip may hold them all."""
    sizes, capacity = limits.units.sizes[window].astype(np.float64), float(limits.capacities.max())
    if sizes.sum() <= capacity:
        return 0.0
    weights: Floats = flows.among(window).symmetric(len(window))
    relaxed = Relaxation(weights, sizes, capacity, min(limits.chips, len(window)))
    iterations = int(min(seconds * CUBES_A_SECOND / len(window) ** 3, MOST_ITERATIONS))
    return semidefinite_bound(relaxed, chip_of[window], iterations, tell) if weights.any() and iterations else 0.0


def _rounded(bound: float, total: float) -> float:
    """A little less, by more than rounding errors: of five digits, as eigenvalues differ between machines beyond."""
    less = max(0.0, bound * (1 - 5e-5) - 1e-8 * total)
    return float(f"{less:.5g}") * (1 - 1e-6)


def _whole(bound: float, words: Floats) -> float:
    """The bound raised to what sums of the words can be, where they are whole numbers."""
    whole = np.rint(words)
    if not len(words) or not np.allclose(words, whole, rtol=1e-9, atol=0.0) or words.max() > 2**40:
        return bound
    step = gcd(*whole.astype(np.int64).tolist())
    return float(ceil(bound / step - 1e-6) * step)

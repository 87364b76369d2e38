"""The search for a partition over chips: between pairs of chips, and where there are not too many units, over all."""

from __future__ import annotations

from itertools import count
from time import monotonic

import numpy as np

from mho.passes.partition.bisect import refine_pairs
from mho.passes.partition.exact import solve_chips
from mho.passes.partition.limits import ChipLimits
from mho.passes.partition.multilevel import multilevel
from mho.passes.partition.tabu import tabu
from mho.passes.solver import Budget
from mho.passes.watch import watch
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices

LARGEST_SEARCH = 2000
"""Units beyond which only pairs of chips are searched."""

ENTRIES_A_SECOND = 1.5e7
ENTRIES_OF_ONE = 10_000
"""Entries of units × chips that tabu looks at on each graph for a second of budget; so many more an iteration."""

ATTEMPTS = 6
"""Partitions that are made anew or improved from the best one; at `max` and in seconds as many as there is time for."""


def search_chips(
    flows: TileFlows, chip_of: Indices, limits: ChipLimits, limit: Budget, seed: int
) -> tuple[Indices, float]:
    """The best partition found from a given one, and a lower bound of the words that any cuts, or 0.

    Args:
        flows: between units.
    """
    begun, follower = monotonic(), watch()
    best, bound = refine_pairs(flows, chip_of, limits, limit, seed)
    if limits.chips == 2 or len(chip_of) > LARGEST_SEARCH or not len(flows.words):
        return best, bound
    weights = flows.symmetric(len(chip_of))
    least = limits.rank(flows, best)
    share = limit.share(2 * ATTEMPTS)
    iterations = int(share.seconds * ENTRIES_A_SECOND / (len(chip_of) * limits.chips + ENTRIES_OF_ONE))
    for attempt in count():
        if follower.over() or ((monotonic() - begun > limit.seconds) if limit.wall else attempt == ATTEMPTS):
            break
        if attempt == 0:
            found = _from_even_runs(weights, limits, 6 * iterations, seed)
        else:
            found = multilevel(weights, limits, None if attempt % 2 else best, iterations, share, seed + attempt)
        if found is not None and (rank := limits.rank(flows, found)) < least:
            best, least = found, rank
        follower.found(least[1], bound)
    found, proved = solve_chips(weights, limits, best, share, seed)
    return min((best, found), key=lambda each: limits.rank(flows, each)), max(bound, proved)


def _from_even_runs(weights: Floats, limits: ChipLimits, iterations: int, seed: int) -> Indices | None:
    """From runs of the layers' order that fill all chips alike, so that tabu has room to move."""
    sizes = limits.units.sizes
    part = (np.cumsum(sizes) - sizes / 2) / max(int(sizes.sum()), 1)
    even = np.minimum((part * limits.chips).astype(np.int64), limits.chips - 1)
    return tabu(weights, limits, even, iterations, seed) if limits.allow(even) else None

"""The best partition of its kind: runs of the units in the layers' order, one on each chip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mho.passes.sites.units import Units
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices, Mask


def cut_in_order(flows: TileFlows, units: Units, capacities: Indices) -> Indices | None:
    """The cut of the units into runs on the first chips, in order, that cuts the fewest words; None where none fits.

    kept[i] is the most words that stay inside runs over the units from i on, for a number of runs that grows by
    one in each round. A round looks only at the units that can begin a run there: those behind them fill no more
    than the chips left, and those before them no more than the other chips.

    Args:
        capacities: tiles of each chip, at least one.
    """
    count, chips = len(units.sizes), len(capacities)
    span = min(int(capacities.max(initial=0)), count)
    inside = _words_inside(flows, count, span)
    start = np.concatenate([[0], np.cumsum(units.sizes)])
    after = np.minimum(np.arange(count)[:, None] + np.arange(1, span + 1), count)
    filled = start[after] - start[:-1, None]
    runs = (after > np.arange(count)[:, None] + np.arange(span)) & (after <= _walls(units)[:, None])
    kept = np.full(count + 1, -np.inf)
    kept[count] = 0.0
    choices: list[tuple[int, Indices]] = []
    before = slice(0, 0)
    for left in range(1, chips + 1):
        chip = chips - left
        first = int(np.searchsorted(start, start[-1] - capacities[chip:].sum()))
        last = int(np.searchsorted(start, capacities[:chip].sum(), side="right"))
        here = slice(first, min(last, count))
        fits = runs[here] & (filled[here] <= capacities[chip])
        if (units.pinned >= 0).any():
            fits &= _unpinned_elsewhere(units, chip, here, after)
        gain = np.where(fits, inside[here] + kept[after[here]], -np.inf)
        choice = gain.argmax(axis=1)
        kept[before] = -np.inf
        kept[here] = gain[np.arange(len(choice)), choice]
        choices.append((first, choice))
        before = here
    return _cut(choices, count) if np.isfinite(kept[0]) else None


def _walls(units: Units) -> Indices:
    """Unit → where a run that begins there has to end, so that it holds no pair that is kept apart."""
    walls = np.full(len(units.sizes), len(units.sizes))
    np.minimum.at(walls, units.apart[:, 0], units.apart[:, 1])
    return np.minimum.accumulate(walls[::-1])[::-1]


def _unpinned_elsewhere(units: Units, chip: int, here: slice, after: Indices) -> Mask:
    """[unit, run]: the run holds nothing that is pinned to another chip."""
    elsewhere = (units.pinned >= 0) & (units.pinned != chip)
    counted = np.concatenate([[0], np.cumsum(elsewhere)])
    clear: Mask = counted[after[here]] == counted[:-1][here, None]
    return clear


def _cut(choices: list[tuple[int, Indices]], units: int) -> Indices:
    """Unit → chip, from the choices of the rounds: the first unit looked at, and how many more its run has."""
    chip_of = np.zeros(units, np.int64)
    unit = 0
    for chip, (first, choice) in enumerate(reversed(choices)):
        end = unit + int(choice[unit - first]) + 1 if unit < units else units
        chip_of[unit:end] = chip
        unit = end
    return chip_of


def _words_inside(flows: TileFlows, units: int, span: int) -> Floats:
    """[i, k]: the words among the units i … i + k."""
    low, high = np.minimum(flows.source, flows.target), np.maximum(flows.source, flows.target)
    near = high - low < span
    inside: NDArray[np.float64] = np.zeros((units, span))
    np.add.at(inside, (low[near], high[near] - low[near]), flows.words[near])
    inside = np.cumsum(inside, axis=1)
    for i in range(units - 2, -1, -1):
        inside[i, 1:] += inside[i + 1, :-1]
    return inside

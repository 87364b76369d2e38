"""Units that are pinned to chips or kept apart: every search keeps to it, compared with trying all partitions."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.partition.assign import assign_chips, by_solver
from mho.passes.partition.bisect import refine_pairs
from mho.passes.partition.in_order import cut_in_order
from mho.passes.partition.limits import ChipLimits
from mho.passes.sites.units import Units
from mho.passes.solver import Budget
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.targets.arrays import Indices

LIMIT = Budget(1.0)


@st.composite
def asked(draw: st.DrawFn) -> ChipLimits:
    """Up to six units of one or two tiles on up to three chips, some pinned, some kept apart."""
    count, chips = draw(st.integers(2, 6)), draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(1, 2), min_size=count, max_size=count))
    pinned = draw(st.lists(st.integers(-3, chips - 1), min_size=count, max_size=count))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=4))
    units = Units.of(np.repeat(np.arange(count), sizes)).asking(
        np.maximum(np.array(pinned), -1), np.array([p for p in pairs if p[0] != p[1]], np.int64)
    )
    return ChipLimits(units, np.array(draw(st.lists(st.integers(1, 6), min_size=chips, max_size=chips))))


def random_flows(count: int, seed: int) -> TileFlows:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, count, (2, 3 * count))
    return TileFlows.merge([TileFlows(source, target, rng.integers(1, 9, 3 * count).astype(np.float64))])


def allowed(limits: ChipLimits) -> list[Indices]:
    """Every partition that keeps to the limits, told by other means than `ChipLimits.allow`."""
    units, found = limits.units, []
    for chip_of in product(range(limits.chips), repeat=len(units.sizes)):
        load = [sum(s for s, c in zip(units.sizes, chip_of, strict=True) if c == chip) for chip in range(limits.chips)]
        if (
            all(full <= most for full, most in zip(load, limits.capacities, strict=True))
            and all(pin in (-1, chip) for pin, chip in zip(units.pinned, chip_of, strict=True))
            and all(chip_of[a] != chip_of[b] for a, b in units.apart)
        ):
            found.append(np.array(chip_of))
    return found


@given(asked(), st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_a_start_is_found_where_there_is_one(limits: ChipLimits, seed: int) -> None:
    flows, every = random_flows(len(limits.units.sizes), seed), allowed(limits)
    found = assign_chips(flows, limits, LIMIT, 0)
    assert (found.chip_of is None) == (not every) == found.impossible
    if found.chip_of is not None:
        assert limits.allow(found.chip_of)
    solved = by_solver(limits, LIMIT, 0)
    assert (solved.chip_of is None) == (not every)
    ordered = cut_in_order(flows, limits.units, limits.capacities)
    unbroken = [c for c in every if c[0] == 0 and set(np.diff(c)) <= {0, 1}]
    assert (ordered is None) == (not unbroken)
    if ordered is not None:
        assert cut_words(flows, ordered) == min(cut_words(flows, c) for c in unbroken)


@given(asked(), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_refinement_keeps_to_what_is_asked(limits: ChipLimits, seed: int) -> None:
    flows, every = random_flows(len(limits.units.sizes), seed), allowed(limits)
    if not every:
        return
    start = every[seed % len(every)]
    found, bound = refine_pairs(flows, start, limits, LIMIT, 0)
    assert limits.allow(found)
    least = min(cut_words(flows, c) for c in every)
    assert bound <= least <= cut_words(flows, found) <= cut_words(flows, start)
    if limits.chips == 2:
        assert cut_words(flows, found) == least


def test_joined_units_are_larger_ones() -> None:
    units = Units.of(np.array([0, 0, 1, 2, 3])).joined([np.array([0, 3]), np.array([2])])
    assert units.unit_of.tolist() == [0, 0, 1, 0, 2]
    assert units.sizes.tolist() == [3, 1, 1]

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.plan import Ranged
from mho.passes.partition.bounds import cut_bound, spectral_bound
from mho.passes.partition.in_order import cut_in_order
from mho.passes.partition.limits import ChipLimits
from mho.passes.partition.partition import PartitionChips
from mho.passes.partition.search import search_chips
from mho.passes.sites.units import Units, converter_units, pack_units
from mho.passes.solver import Budget
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.passes.workload.traffic import tile_flows
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, partition, tiling


def random_flows(tiles: int, seed: int) -> TileFlows:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, tiles, (2, 3 * tiles))
    return TileFlows.merge([TileFlows(source, target, rng.integers(1, 9, 3 * tiles).astype(np.float64))])


def least_cut(flows: TileFlows, tiles: int, capacity: int, chips: int) -> float:
    every = [np.array(c) for c in product(range(chips), repeat=tiles)]
    return min(cut_words(flows, c) for c in every if np.bincount(c).max() <= capacity)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_bounds_are_below_every_cut_and_the_search_finds_the_best(seed: int, tiles: int, capacity: int) -> None:
    flows, chips = random_flows(tiles, seed), -(-tiles // capacity)
    if chips > 3:
        return
    limits = ChipLimits(Units.of(np.arange(tiles)), np.full(chips, capacity))
    start = np.arange(tiles) // capacity
    found, proved = search_chips(flows, start, limits, Budget(0.2), seed)
    best = least_cut(flows, tiles, capacity, chips)
    assert cut_words(flows, found) == best
    assert proved <= best
    assert spectral_bound(flows, tiles, capacity) <= best * (1 + 1e-9)
    assert cut_bound(flows, limits, found, 0.1) <= best


def test_the_semidefinite_bound_meets_what_two_cliques_cut() -> None:
    """Two cliques of 6 joined by one edge on two chips of 6: the edge is cut, and nothing less is possible."""
    pairs = [(a, b) for side in (range(6), range(6, 12)) for a in side for b in side if a < b]
    source, target = np.array([*pairs, (0, 6)]).T
    flows = TileFlows.merge([TileFlows(source, target, np.append(np.full(len(pairs), 4.0), 3.0))])
    limits = ChipLimits(Units.of(np.arange(12)), np.full(2, 6))
    assert cut_bound(flows, limits, np.arange(12) // 6, 1.0) == 3.0


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_contiguous_cut_is_the_best_of_its_kind(seed: int, tiles: int, capacity: int, chips: int) -> None:
    flows, units = random_flows(tiles, seed), Units.of(np.arange(tiles))
    found = cut_in_order(flows, units, np.full(chips, capacity))
    every = map(np.array, combinations_with_replacement(range(chips), tiles))
    fitting = [c for c in every if np.bincount(c).max() <= capacity]
    if not fitting:
        assert found is None
        return
    assert found is not None
    assert np.bincount(found).max() <= capacity
    assert cut_words(flows, found) == min(cut_words(flows, c) for c in fitting)


@given(st.integers(0, 10_000), st.integers(1, 8), st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_contiguous_cut_over_unlike_chips(seed: int, tiles: int, room: list[int]) -> None:
    flows, units, capacities = random_flows(tiles, seed), Units.of(np.arange(tiles)), np.array(room)
    found = cut_in_order(flows, units, capacities)
    every = map(np.array, combinations_with_replacement(range(len(room)), tiles))
    unbroken = (c for c in every if c[0] == 0 and (np.diff(c) <= 1).all())
    fitting = [c for c in unbroken if (np.bincount(c, minlength=len(room)) <= capacities).all()]
    assert (found is None) == (not fitting)
    if found is not None:
        assert (np.bincount(found, minlength=len(room)) <= capacities).all()
        assert cut_words(flows, found) == min(cut_words(flows, c) for c in fitting)


@pytest.mark.parametrize(("shapes", "capacity"), [(((8, 8), (8, 8)), 4), (((4, 16), (16, 8)), 6), (((8, 20),), 5)])
def test_two_chips_are_cut_as_well_as_can_be(shapes: tuple[tuple[int, int], ...], capacity: int) -> None:
    tiled = tiling(chain(*shapes), machine(Mesh(tiles=capacity)))
    found = partition(tiled)
    (facts,) = found.solvers
    count = len(tiled.tiles)
    assert found.chips == -(-count // capacity)
    assert facts.objective == cut_words(tile_flows(tiled), np.array(found.chip_of))
    if found.chips == 2:
        assert facts.status == "OPTIMAL"
        assert facts.objective == least_cut(tile_flows(tiled), count, capacity, 2)


def test_one_chip_needs_no_search() -> None:
    found = partition(tiling(chain((8, 8), (8, 8)), machine()))
    assert (found.chips, set(found.chip_of)) == (1, {0})
    assert (found.solvers[0].status, found.solvers[0].gap) == ("OPTIMAL", 0.0)


def test_improvement_beats_the_contiguous_cut_and_repeats() -> None:
    tiled = tiling(chain((16, 24), (24, 24), (24, 16)), machine(Mesh(tiles=16)))
    flows = tile_flows(tiled)
    first = cut_in_order(flows, Units.of(np.arange(len(tiled.tiles))), np.full(6, 16))
    found, again = partition(tiled), partition(tiled)
    assert first is not None
    assert cut_words(flows, np.array(found.chip_of)) <= cut_words(flows, first)
    assert max(np.bincount(found.chip_of)) <= 16
    assert found.chip_of == again.chip_of


def test_converter_groups_stay_together() -> None:
    tiled = tiling(chain((12, 12), (12, 8)), machine(Mesh(tiles=4)), analog=True)
    unit_of = converter_units(tiled)
    assert unit_of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    found = partition(tiled)
    assert found.chips == 5
    assert len({(u, c) for u, c in zip(unit_of.tolist(), found.chip_of, strict=True)}) == 5


def test_packing_counts_room() -> None:
    assert pack_units(np.array([3, 3, 1, 1, 2]), 4).tolist() == [0, 1, 0, 1, 2]


def test_chips_are_an_upper_limit() -> None:
    tiled = tiling(chain((8, 8)), machine(Mesh(tiles=2)))
    assert PartitionChips(chips=5, effort="fast").run(Ranged(tiled, {})).chips == 2


def test_more_chips_than_the_published_system_are_allowed() -> None:
    assert partition(tiling(chain((8, 8)), machine(Mesh(tiles=2, chips=1)))).chips == 2

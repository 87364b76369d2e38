"""The searches over all chips and their bounds, on graphs small enough to try every partition."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.partition.bounds import cut_bound
from mho.passes.partition.exact import solve_chips
from mho.passes.partition.limits import ChipLimits
from mho.passes.partition.multilevel import multilevel
from mho.passes.partition.partition import PartitionChips
from mho.passes.partition.semidefinite import Relaxation, semidefinite_bound
from mho.passes.partition.tabu import tabu
from mho.passes.sites.units import Units, converter_units
from mho.passes.solver import Budget
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.targets.arrays import Indices
from mho.targets.errors import FitError
from mho.targets.steps import Direction, Gate, Recurrent
from mho.targets.target import DigitalUnit, Mesh
from tests.passes.placings import chain, machine, network, tiling

LIMIT = Budget(0.5)


def random_flows(units: int, seed: int, most: int = 9) -> TileFlows:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, units, (2, 3 * units))
    return TileFlows.merge([TileFlows(source, target, rng.integers(1, most, 3 * units).astype(np.float64))])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[TileFlows, ChipLimits, list[Indices]]:
    """Up to seven units of one to three tiles on two or three chips; every partition that fits, at least one."""
    count, chips = draw(st.integers(3, 7)), draw(st.integers(2, 3))
    sizes = np.array(draw(st.lists(st.integers(1, 3), min_size=count, max_size=count)))
    most = draw(st.integers(int(max(sizes.max(), -(-sizes.sum() // chips))), int(sizes.sum())))
    limits = ChipLimits(Units.of(np.repeat(np.arange(count), sizes)), np.full(chips, most))
    every = [np.array(c) for c in product(range(chips), repeat=count)]
    fitting = [c for c in every if (np.bincount(c, sizes, chips) <= most).all()]
    if not fitting:
        limits = replace(limits, capacities=np.full(chips, int(sizes.sum())))
        fitting = every
    return random_flows(count, draw(st.integers(0, 1000))), limits, fitting


@given(graphs(), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_no_search_makes_a_partition_worse_or_breaks_it(
    graph: tuple[TileFlows, ChipLimits, list[Indices]], seed: int
) -> None:
    flows, limits, every = graph
    weights, start = flows.symmetric(len(limits.units.sizes)), every[seed % len(every)]
    least = min(cut_words(flows, c) for c in every)
    tried = [tabu(weights, limits, start, 30, seed), multilevel(weights, limits, start, 20, LIMIT, seed)]
    solved, bound = solve_chips(weights, limits, start, LIMIT, seed)
    for found in (*tried, solved):
        assert found is not None
        assert limits.allow(found)
        assert least <= cut_words(flows, found) <= cut_words(flows, start)
    assert cut_words(flows, solved) == least
    assert bound == pytest.approx(least)
    anew = multilevel(weights, limits, None, 20, LIMIT, seed)
    assert anew is None or limits.allow(anew)


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_bounds_hold_for_units_of_any_size(graph: tuple[TileFlows, ChipLimits, list[Indices]]) -> None:
    flows, limits, every = graph
    best = min(every, key=lambda c: cut_words(flows, c))
    first = np.searchsorted(limits.units.unit_of, np.arange(len(limits.units.sizes)))
    tiles = TileFlows(first[flows.source], first[flows.target], flows.words)
    bound = cut_bound(tiles, limits, best, 0.2)
    assert bound <= cut_words(flows, best)


@given(st.integers(0, 1000), st.integers(0, 60))
@settings(max_examples=30, deadline=None)
def test_a_bound_is_safe_after_any_number_of_iterations(seed: int, iterations: int) -> None:
    flows = random_flows(6, seed)
    every = [np.array(c) for c in product(range(2), repeat=6) if sum(c) == 3]
    best = min(every, key=lambda c: cut_words(flows, c))
    problem = Relaxation(flows.symmetric(6), np.ones(6), 3.0, 2)
    assert semidefinite_bound(problem, best, iterations) <= cut_words(flows, best) * (1 + 1e-9) + 1e-9


def test_words_between_two_chips_stay_within_the_link() -> None:
    tiled = tiling(chain((8, 8), (8, 8), (8, 8)), machine(Mesh(tiles=4)))
    free = PartitionChips(effort="fast").run(Ranged(tiled, {}))
    assert free.solvers[0].objective is not None
    roomy = PartitionChips(effort="fast", link_words=free.solvers[0].objective).run(Ranged(tiled, {}))
    assert roomy.chip_of == free.chip_of
    with pytest.raises(FitError, match=r"partition\.link_words = 1: no partition over 3 chips of bench"):
        PartitionChips(effort="fast", link_words=1.0).run(Ranged(tiled, {}))


def recurrent(units: int) -> Tiling:
    """Four cells of one tile each, on a machine with two chips of three tiles and some digital units."""
    steps = []
    for i in range(4):
        gates = (Gate(name=f"g{i}", matrix=f"g{i}", operand="x"),)
        directions = (Direction(reverse=False, gates=gates, activations=()),)
        source = f"s{i - 1}" if i else "x"
        steps.append(
            Recurrent(
                name=f"r{i}", cell="LSTM", hidden=1, layout=0, directions=directions, input=source, output=f"s{i}"
            )
        )
    target = machine(Mesh(tiles=3))
    target = replace(target, units={"adders": DigitalUnit(count=units, operators=("LSTM",))})
    return tiling(network(tuple(steps), {f"g{i}": (4, 4) for i in range(4)}), target)


@pytest.mark.parametrize(("units", "fullest"), [(1, 2), (2, 2), (3, 3)])
def test_no_chip_has_more_cells_than_units_and_share(units: int, fullest: int) -> None:
    tiled = recurrent(units)
    found = PartitionChips(effort="fast").run(Ranged(tiled, {}))
    assert len(converter_units(tiled)) == 4
    assert max(np.bincount(found.chip_of)) == fullest

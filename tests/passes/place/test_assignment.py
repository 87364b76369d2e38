from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.place.assignment import assignment_cost, cost_of, lower_bound, solve_qap
from mho.passes.place.place import snake
from mho.passes.place.room import chip_sites
from mho.passes.place.traffic import Floats
from mho.targets.target import Mesh


def grid_distance(width: int, height: int) -> Floats:
    sites = chip_sites(Mesh(), (width, height))
    distance: Floats = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    return distance


def random_flow(tiles: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    flow = rng.integers(0, 9, (tiles, tiles)) * (rng.random((tiles, tiles)) < 0.6)
    np.fill_diagonal(flow, 0)
    return flow.astype(np.float64)


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_bounds_of_small_instances_hold(seed: int, tiles: int) -> None:
    flow, distance = random_flow(tiles, seed), grid_distance(3, 2)
    best = min(cost_of(flow, distance, np.array(p)) for p in permutations(range(6), tiles))
    found = solve_qap(flow, distance, np.arange(tiles), 20)
    assert found.bound <= best <= found.cost == cost_of(flow, distance, found.site_of)
    assert len(set(found.site_of.tolist())) == tiles


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_search_on_more_tiles_keeps_its_promises(seed: int) -> None:
    flow, distance = random_flow(10, seed), grid_distance(4, 3)
    start = np.arange(10)
    found = solve_qap(flow, distance, start, 60, seed)
    assert found.cost == cost_of(flow, distance, found.site_of)
    assert found.bound <= found.cost <= cost_of(flow, distance, start)
    again = solve_qap(flow, distance, start, 60, seed)
    assert found.site_of.tolist() == again.site_of.tolist()


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_linear_assignment_is_exact(seed: int, size: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 30, (size, size)).astype(np.float64)
    best = min(costs[np.arange(size), list(p)].sum() for p in permutations(range(size)))
    assert assignment_cost(costs) == best


def test_bound_of_a_line_of_tiles_is_its_cost() -> None:
    flow = np.zeros((9, 9))
    flow[np.arange(8), np.arange(1, 9)] = 5.0
    sites = chip_sites(Mesh(), (3, 3))
    distance = grid_distance(3, 3)
    assert cost_of(flow, distance, snake(sites)) == 40.0
    assert lower_bound(flow + flow.T, distance) == 40.0


@pytest.mark.shared
@pytest.mark.parametrize(("name", "most"), [("nug20", 1.01), ("sko49", 1.02)])
def test_published_instances_come_near_the_best_known(shared: Path, name: str, most: float) -> None:
    n, *numbers = map(int, (shared / "qaplib" / f"{name}.dat").read_text().split())
    distance, flow = np.array(numbers, np.float64).reshape(2, n, n)
    best = float((shared / "qaplib" / f"{name}.sln").read_text().split()[1])
    found = solve_qap(flow, distance, np.arange(n), 600)
    assert best <= found.cost <= most * best
    assert 0.6 * best <= found.bound <= best

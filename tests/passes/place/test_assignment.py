from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.place.assignment import Assignment, Qap, cost_of, solve_qaps
from mho.passes.sites.room import chip_sites
from mho.targets.arrays import Floats, Indices
from mho.targets.target import Mesh


def solve_qap(
    qap: Qap, distance: Floats, start: Indices, iterations: int, seed: int = 0, searches: int = 4
) -> Assignment:
    """A cheap assignment of one instance."""
    return solve_qaps([qap], distance, [start], iterations, seed, searches)[0]


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
    found = solve_qap(Qap(flow), distance, np.arange(tiles), 20)
    assert found.bound <= best <= found.cost == cost_of(flow, distance, found.site_of)
    assert len(set(found.site_of.tolist())) == tiles


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_search_on_more_tiles_keeps_its_promises(seed: int) -> None:
    flow, distance = random_flow(10, seed), grid_distance(4, 3)
    start = np.arange(10)
    found = solve_qap(Qap(flow), distance, start, 60, seed)
    assert found.cost == cost_of(flow, distance, found.site_of)
    assert found.bound <= found.cost <= cost_of(flow, distance, start)
    again = solve_qap(Qap(flow), distance, start, 60, seed)
    assert found.site_of.tolist() == again.site_of.tolist()


@given(st.integers(0, 10_000), st.integers(2, 6))
@settings(max_examples=15, deadline=None)
def test_what_tiles_cost_alone_is_part_of_the_problem(seed: int, tiles: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((tiles, 6)) < 0.7
    mask[range(tiles), range(tiles)] = True
    qap = Qap(random_flow(tiles, seed), rng.integers(0, 60, (tiles, 6)) / 7, mask)
    distance = grid_distance(3, 2)
    every = (np.array(p) for p in permutations(range(6), tiles))
    best = min(qap.cost(distance, p) for p in every if mask[range(tiles), p].all())
    found = solve_qap(qap, distance, np.arange(tiles), 200, seed)
    assert mask[range(tiles), found.site_of].all()
    assert found.bound <= best == pytest.approx(found.cost)
    assert found.cost == qap.cost(distance, found.site_of)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "most"), [("nug20", 1.0), ("sko49", 1.004)])
def test_published_instances_come_near_the_best_known(shared: Path, name: str, most: float) -> None:
    n, *numbers = map(int, (shared / "qaplib" / f"{name}.dat").read_text().split())
    distance, flow = np.array(numbers, np.float64).reshape(2, n, n)
    best = float((shared / "qaplib" / f"{name}.sln").read_text().split()[1])
    found = solve_qap(Qap(flow), distance, np.arange(n), 2000)
    assert best <= found.cost <= most * best
    assert 0.85 * best <= found.bound <= best

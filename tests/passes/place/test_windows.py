from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mho.passes.place import windows
from mho.passes.place.assignment import Assignment, Qap, cost_of
from mho.passes.place.windows import Window, improve, solve_window
from mho.passes.sites.room import chip_sites
from mho.passes.solver import Budget
from mho.targets.arrays import Floats, Indices
from mho.targets.target import Mesh


def random_flow(tiles: int, seed: int, fractions: bool = False) -> Floats:
    rng = np.random.default_rng(seed)
    flow = rng.integers(0, 9, (tiles, tiles)) * (rng.random((tiles, tiles)) < 0.5) / (7.0 if fractions else 1.0)
    flow = np.triu(flow, 1)
    return flow + flow.T


def apart(sites: Indices) -> Floats:
    distance: Floats = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    return distance


def start(flow: Floats, sites: Indices, seed: int = 0) -> Assignment:
    site_of = np.random.default_rng(seed).permutation(len(sites))[: len(flow)]
    return Assignment(site_of, cost_of(flow, apart(sites), site_of), 0.0)


def least(flow: Floats, sites: Indices) -> float:
    """The least cost of all assignments, looked at one by one."""
    every = np.array(list(permutations(range(len(sites)), len(flow))))
    distance, costs = apart(sites), np.zeros(len(every))
    for i, j in zip(*np.nonzero(flow), strict=True):
        costs += flow[i, j] * distance[every[:, i], every[:, j]]
    return float(costs.min())


@pytest.mark.parametrize(("tiles", "grid"), [(9, (3, 3))])
@pytest.mark.parametrize("fractions", [False, True])
def test_a_window_of_all_sites_is_the_whole_problem(tiles: int, grid: tuple[int, int], fractions: bool) -> None:
    sites = chip_sites(Mesh(), grid)
    flow = random_flow(tiles, tiles, fractions)
    (found,) = improve([Qap(flow)], sites, [start(flow, sites)], Budget(20.0), 0)
    assert found.cost == cost_of(flow, apart(sites), found.site_of) == pytest.approx(least(flow, sites), rel=1e-6)
    assert found.bound <= found.cost == pytest.approx(found.bound, rel=1e-5)
    assert len(set(found.site_of.tolist())) == tiles


def test_a_window_counts_the_words_to_tiles_outside() -> None:
    sites = chip_sites(Mesh(), (5, 4))
    flow = random_flow(18, 1)
    begin = start(flow, sites)
    window = Window(Qap(flow), sites, begin.site_of, np.array([0, 3, 7, 8, 16, 19]))
    taken, _ = solve_window(window, Budget(5.0))
    site_of, costs = begin.site_of.copy(), []
    for choice in permutations(window.open, len(window.tiles)):
        site_of[window.tiles] = choice
        costs.append(cost_of(flow, apart(sites), site_of))
    site_of[window.tiles] = taken
    assert cost_of(flow, apart(sites), site_of) == min(costs) < begin.cost


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0])
def test_no_chip_gets_worse_and_one_core_finds_the_same(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sites = chip_sites(Mesh(), (5, 4))
    flows = [random_flow(tiles, tiles, fractions=True) for tiles in (20, 13, 17)]
    begin = [start(flow, sites, 3) for flow in flows]
    found = improve([Qap(flow) for flow in flows], sites, begin, Budget(seconds), 5)
    for before, after, flow in zip(begin, found, flows, strict=True):
        assert after.bound <= after.cost == cost_of(flow, apart(sites), after.site_of) <= before.cost
        assert len(set(after.site_of.tolist())) == len(flow)
    assert (sum(a.cost for a in found) < sum(a.cost for a in begin)) == (seconds == 1.0)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = improve([Qap(flow) for flow in flows], sites, begin, Budget(seconds), 5)
    assert [a.site_of.tolist() for a in again] == [a.site_of.tolist() for a in found]


def test_proved_chips_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(windows, "solve")
    sites = chip_sites(Mesh(), (5, 4))
    proved = Assignment(np.arange(10), 40.0, 40.0)
    assert improve([Qap(random_flow(10, 0))], sites, [proved], Budget(9.0, wall=True), 0) == [proved]

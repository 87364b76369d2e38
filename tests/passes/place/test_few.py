from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.place.assignment import Qap, cost_of
from mho.passes.place.few import FEW, place_few
from mho.passes.place.search import place_chips
from mho.passes.sites.room import chip_sites
from mho.passes.solver import Budget
from mho.targets.arrays import Floats, Indices
from mho.targets.target import Mesh


def random_flow(tiles: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    flow: Floats = rng.random((tiles, tiles)) * (rng.random((tiles, tiles)) < 0.6)
    return flow


def apart(sites: Indices) -> Floats:
    distance: Floats = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    return distance


@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([(3, 2), (2, 4), (8, 1), (3, 3)]))
@settings(max_examples=30, deadline=None)
def test_few_tiles_have_the_best_sites_of_all(seed: int, tiles: int, grid: tuple[int, int]) -> None:
    sites = chip_sites(Mesh(), grid)
    flow, distance = random_flow(tiles, seed), apart(sites)
    found = place_few(flow, sites)
    assert found is not None
    assert len(set(found.site_of.tolist())) == tiles
    best = min(cost_of(flow, distance, np.array(p)) for p in permutations(range(len(sites)), tiles))
    assert found.cost == found.bound == cost_of(flow, distance, found.site_of) == pytest.approx(best)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_sites_that_leave_places_empty(seed: int) -> None:
    sites = chip_sites(Mesh(tiles=7), (3, 3))
    flow, distance = random_flow(5, seed), apart(sites)
    found = place_few(flow, sites)
    assert found is not None
    best = min(cost_of(flow, distance, np.array(p)) for p in permutations(range(7), 5))
    assert found.bound <= best + 1e-9
    assert found.cost == cost_of(flow, distance, found.site_of) >= best - 1e-9


def test_full_rows_that_are_too_few() -> None:
    assert place_few(random_flow(5, 0), chip_sites(Mesh(tiles=5), (3, 2))) is None


@pytest.mark.parametrize("tiles", [5, 6, FEW])
def test_few_tiles_on_a_large_chip_need_no_search(tiles: int) -> None:
    """Proved with a budget that leaves a search nothing."""
    (found,) = place_chips([Qap(random_flow(tiles, tiles))], chip_sites(Mesh(), (8, 8)), Budget(1e-9), 0)
    assert found.cost == found.bound

"""Placement region by region: every tile once, never outside, cheaper than the snake, and the bound below."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.place.by_region import place_in_regions, stars_bound
from mho.passes.place.place import PlaceCores
from mho.passes.place.regions import REGION, divide
from mho.passes.place.search import LARGEST_SEARCH
from mho.passes.place.snake import BANDS, snake
from mho.passes.solver import Budget
from mho.passes.workload.neighbours import Neighbours
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, partition, tiling


def grid(width: int, height: int) -> Indices:
    return np.array([(x, y) for y in range(height) for x in range(width)], np.int64)


def random_flows(tiles: int, seed: int, reach: int = 9) -> TileFlows:
    """Words between tiles that are near in their order."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, tiles, 3 * tiles)
    target = np.clip(source + rng.integers(-reach, reach + 1, 3 * tiles), 0, tiles - 1)
    return TileFlows.merge([TileFlows(source, target, rng.integers(1, 9, 3 * tiles).astype(np.float64))])


def cost(flows: TileFlows, sites: Indices, site_of: Indices) -> float:
    links = np.abs(sites[site_of[flows.source]] - sites[site_of[flows.target]]).sum(axis=1)
    return float(flows.words @ links)


@given(st.integers(0, 1000), st.integers(1, 400), st.integers(1, 25))
@settings(max_examples=40, deadline=None)
def test_regions_take_every_tile_and_every_site_once(seed: int, tiles: int, width: int) -> None:
    sites = grid(width, -(-tiles // width) + seed % 3)
    regions = divide(Neighbours.of(random_flows(tiles, seed), tiles), tiles, sites)
    assert np.array_equal(np.sort(np.concatenate([r.sites for r in regions])), np.arange(len(sites)))
    assert np.array_equal(np.sort(np.concatenate([r.tiles for r in regions])), np.arange(tiles))
    for region in regions:
        assert len(region.tiles) <= len(region.sites) <= REGION
        assert np.ptp(sites[region.sites], axis=0).max() <= 2 * REGION


@given(st.integers(0, 1000), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_no_placement_is_below_the_bound(seed: int, tiles: int) -> None:
    sites, flows = grid(3, 2), random_flows(tiles, seed)
    least = min(cost(flows, sites, np.array(p)) for p in permutations(range(6), tiles))
    assert stars_bound(Neighbours.of(flows, tiles)) <= least + 1e-9


@pytest.mark.parametrize(("tiles", "width"), [(230, 16), (400, 20)])
def test_the_search_beats_the_snakes_and_counts_its_cost(tiles: int, width: int) -> None:
    sites, flows = grid(width, -(-tiles // width)), random_flows(tiles, 3, reach=30)
    found = place_in_regions(flows, sites, tiles, Budget(0.2), 0)
    assert len(set(found.site_of.tolist())) == tiles
    assert found.cost == pytest.approx(cost(flows, sites, found.site_of))
    assert found.bound <= found.cost < 0.8 * min(cost(flows, sites, snake(sites, b)[:tiles]) for b in BANDS)
    again = place_in_regions(flows, sites, tiles, Budget(0.2), 0)
    assert np.array_equal(found.site_of, again.site_of)


def test_what_a_tile_costs_alone_counts() -> None:
    sites, flows = grid(16, 8), random_flows(120, 1)
    alone: Floats = np.zeros((120, 128))
    alone[7] = 1e6 * (sites != sites[100]).any(axis=1)
    found = place_in_regions(flows, sites, 120, Budget(0.2), 0, alone)
    assert found.site_of[7] == 100
    assert found.cost == pytest.approx(cost(flows, sites, found.site_of))


def test_a_chip_without_limit_is_placed_in_regions() -> None:
    tiled = tiling(chain((160, 160), (160, 4)), machine(Mesh()))
    placement = PlaceCores(effort="fast").run(partition(tiled))
    assert len(tiled.tiles) > LARGEST_SEARCH
    assert len(set(placement.site_of)) == len(tiled.tiles)
    (facts,) = placement.solvers
    assert facts.objective is not None and facts.bound is not None
    assert 0 < facts.bound < facts.objective

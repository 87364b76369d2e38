"""Placing around faults: nothing on what is dead, enough lines for every tile, and as few chips as there can be."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mho.passes.levels.plan import Placement, Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.assignment import Qap, cost_of, solve_qaps
from mho.passes.place.few import place_few
from mho.passes.place.place import PlaceCores
from mho.passes.place.search import place_chips
from mho.passes.sites.fill_chips import fill_chips
from mho.passes.sites.room import Room, chip_sites, tile_needs
from mho.passes.sites.units import converter_units, members_of
from mho.passes.solver import Budget
from mho.targets.arrays import Mask
from mho.targets.errors import FitError
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.isa import Site
from mho.targets.target import Mesh
from tests.passes.placings import SIDE, chain, machine, tiling

WIDTH = 3

lines = st.lists(st.integers(0, SIDE - 1), max_size=2, unique=True).map(tuple)


@st.composite
def fault_maps(draw: st.DrawFn, chips: int, tiles: int) -> FaultMap:
    sites = [Site(c, t % WIDTH, t // WIDTH) for c in range(chips) for t in range(tiles)]
    chosen = draw(st.lists(st.sampled_from(sites), unique=True))
    dead = st.integers(0, 2).map(lambda n: n == 0)
    return FaultMap(
        tiles=tuple(TileFaults(site=s, dead=draw(dead), rows=draw(lines), columns=draw(lines)) for s in chosen)
    )


def with_faults(shapes: list[tuple[int, int]], capacity: int, faults: FaultMap, analog: bool = False) -> Tiling:
    tiled = tiling(chain(*shapes), machine(Mesh(tiles=capacity, width=WIDTH)), analog=analog)
    return replace(tiled, faults=faults)


def placed(tiled: Tiling, chips: int | None = None, tiles: int | None = None) -> Placement:
    found = PartitionChips(chips=chips, tiles=tiles, effort="fast").run(Ranged(tiled, {}))
    return PlaceCores(effort="fast").run(found)


def room(tiled: Tiling) -> Room:
    mesh = tiled.target.mesh
    return Room.of(tiled, chip_sites(mesh, mesh.grid(mesh.tiles or 0)))


def assert_sound(placement: Placement) -> None:
    tiled = placement.partition.ranged.tiling
    assert len(set(placement.site_of)) == len(tiled.tiles) == len(placement.site_of)
    for need, site, chip in zip(tile_needs(tiled), placement.site_of, placement.partition.chip_of, strict=True):
        assert site.chip == chip < placement.partition.chips
        faults = tiled.faults.by_site.get(site, TileFaults(site=site))
        assert not faults.dead
        assert need[0] <= SIDE - len(faults.rows)
        assert need[1] <= SIDE - len(faults.columns)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.lists(sizes, min_size=1, max_size=3), st.integers(2, 6), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_every_tile_has_what_it_needs(
    shapes: list[tuple[int, int]], capacity: int, analog: bool, data: st.DataObject
) -> None:
    tiled = with_faults(shapes, max(capacity, 3 * analog), data.draw(fault_maps(3, capacity)), analog)
    found = placed(tiled)
    assert_sound(found)
    assert found == placed(tiled)
    if analog:
        unit_of = converter_units(tiled).tolist()
        assert len(set(zip(unit_of, found.partition.chip_of, strict=True))) == len(set(unit_of))


def holds_by_trying(needs: list[tuple[int, int]], offers: list[tuple[int, int]]) -> bool:
    if not needs:
        return True
    return any(
        all(n <= o for n, o in zip(needs[0], offer, strict=True))
        and holds_by_trying(needs[1:], offers[:i] + offers[i + 1 :])
        for i, offer in enumerate(offers)
    )


@given(st.lists(sizes, min_size=1, max_size=2), st.integers(2, 4), st.data())
@settings(max_examples=80, deadline=None)
def test_single_tiles_need_no_more_chips_than_there_can_be(
    shapes: list[tuple[int, int]], capacity: int, data: st.DataObject
) -> None:
    tiled = with_faults(shapes, capacity, data.draw(fault_maps(2, capacity)))
    assume(len(tiled.tiles) <= 6)
    needs = [(int(r), int(c)) for r, c in tile_needs(tiled)]
    offers = room(tiled)
    for chips in (1, 2, 3):
        every = [(int(r), int(c)) for chip in range(chips) for r, c in offers.offers(chip)]
        filling = fill_chips(offers, converter_units(tiled), chips)
        assert (not len(filling.left)) == holds_by_trying(needs, every)


@given(st.integers(3, 5), st.data())
@settings(max_examples=40, deadline=None)
def test_fillings_with_converter_groups_are_true(capacity: int, data: st.DataObject) -> None:
    tiled = with_faults([(12, 8), (4, 7), (6, 3)], capacity, data.draw(fault_maps(2, capacity)), analog=True)
    offers, unit_of = room(tiled), converter_units(tiled)
    for chips in (1, 2, 3):
        filling = fill_chips(offers, unit_of, chips)
        for chip in range(chips):
            tiles = [t for u, t in enumerate(members_of(unit_of)) if filling.chip_of[u] == chip]
            assert offers.holds(chip, np.concatenate(tiles) if tiles else np.zeros(0, np.int64))


def test_larger_groups_come_first_where_the_order_of_the_layers_leaves_no_room() -> None:
    dead = FaultMap(tiles=(TileFaults(site=Site(1, 0, 0), dead=True), TileFaults(site=Site(1, 1, 0), dead=True)))
    tiled = with_faults([(4, 4), (12, 4)], 3, dead, analog=True)
    assert placed(tiled, chips=2).partition.chip_of == (1, 0, 0, 0)


def test_a_tile_takes_the_site_that_still_suits_it() -> None:
    worn = FaultMap(tiles=(TileFaults(site=Site(0, 0, 0), rows=(1, 2)), TileFaults(site=Site(0, 1, 0), dead=True)))
    tiled = with_faults([(2, 4), (4, 4)], 3, worn)
    found = placed(tiled, chips=1)
    assert found.site_of == (Site(0, 0, 0), Site(0, 2, 0))


def test_a_tile_moves_on_where_a_later_one_needs_its_site_more() -> None:
    worn = FaultMap(tiles=(TileFaults(site=Site(1, 0, 0), rows=(1, 2)),))
    assert placed(with_faults([(2, 4), (4, 4)], 1, worn), chips=2).partition.chip_of == (1, 0)


def test_stuck_cells_keep_nothing_away() -> None:
    stuck = (StuckCell(row=0, column=0, polarity="+", level="low"),)
    faults = FaultMap(tiles=(TileFaults(site=Site(0, 0, 0), stuck=stuck),))
    plain, marked = (placed(with_faults([(4, 4), (4, 4)], 2, f), chips=1) for f in (FaultMap(), faults))
    assert plain.site_of == marked.site_of
    assert plain.solvers == marked.solvers


def test_chips_beyond_the_map_are_sound_and_a_dead_chip_is_skipped() -> None:
    dead = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, 0), dead=True) for x in range(2)))
    found = placed(with_faults([(4, 8)], 2, dead))
    assert (found.partition.chips, found.partition.chip_of) == (2, (1, 1))


def test_a_chip_without_a_number_of_tiles_grows_around_dead_ones() -> None:
    dead = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, 0), dead=True) for x in range(2)))
    tiled = replace(tiling(chain((4, 4), (4, 4), (4, 4)), machine()), faults=dead)
    found = placed(tiled)
    assert_sound(found)
    assert found.grid == (3, 2)


def test_what_the_map_leaves_is_too_little() -> None:
    faults = FaultMap(
        tiles=(
            TileFaults(site=Site(0, 0, 0), dead=True),
            TileFaults(site=Site(0, 1, 0), rows=(0,)),
            TileFaults(site=Site(0, 2, 0), columns=(1, 2)),
        )
    )
    with pytest.raises(FitError) as caught:
        placed(with_faults([(4, 12)], 3, faults), chips=1)
    assert str(caught.value) == (
        "3 tiles (3 of 4 × 4) found no site: the fault map leaves 2 of the 3 tiles of 1 chip of bench, 0 of them with "
        "all 4 rows and 4 columns, and the network needs 3.\n"
        "This is enough: --chips 2.\n"
        "Tiles saved by leaving a layer digital (--digital LAYER), or by less of it; * is enough: "
        "l0 3* (1 with 8 of its 12 columns)."
    )
    with pytest.raises(FitError) as caught:
        placed(with_faults([(4, 6)], 3, faults), chips=1)
    assert str(caught.value) == (
        "1 tile (1 of 4 × 4) found no site: the fault map leaves 2 of the 3 tiles of 1 chip of bench, 0 of them with "
        "all 4 rows and 4 columns, and the network needs 2.\n"
        "This is enough: --chips 2.\n"
        "Tiles saved by leaving a layer digital (--digital LAYER), or by less of it; * is enough: "
        "l0 2* (1 with 4 of its 6 columns)."
    )


def test_smaller_tiles_are_offered_where_they_find_sites() -> None:
    worn = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, 0), rows=(0,)) for x in range(3)))
    with pytest.raises(FitError) as caught:
        placed(with_faults([(4, 4)], 3, worn), chips=1)
    assert "Each of these is enough: --spare-rows 1 --spare-columns 0 (2 tiles); --chips 2." in str(caught.value)


def best_by_trying(flow: np.ndarray, distance: np.ndarray, mask: Mask) -> float:
    tiles, sites = mask.shape
    every = (np.array(p) for p in permutations(range(sites), tiles) if all(mask[range(tiles), p]))
    return min(cost_of(flow, distance, p) for p in every)


def instance(tiles: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Mask]:
    """Symmetric flows, a grid of 3 × 2 sites with distances, and a mask that the identity obeys."""
    rng = np.random.default_rng(seed)
    sites = chip_sites(Mesh(), (3, 2))
    distance = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    flow = np.triu(rng.integers(0, 9, (tiles, tiles)), 1).astype(np.float64)
    mask = rng.random((tiles, len(sites))) < 0.6
    mask[range(tiles), range(tiles)] = True
    return flow + flow.T, sites, distance, mask


@pytest.mark.parametrize(("tiles", "seed"), list(product((3, 4, 6), range(4))))
def test_searches_obey_masks_and_find_the_best(tiles: int, seed: int) -> None:
    flow, sites, distance, mask = instance(tiles, seed)
    best = best_by_trying(flow, distance, mask)
    (found,) = solve_qaps([Qap(flow, allowed=mask)], distance, [np.arange(tiles)], 300, seed, 4)
    assert mask[range(tiles), found.site_of].all()
    assert (found.cost, found.bound <= best) == (best, True)
    (found,) = place_chips([Qap(flow, allowed=mask)], sites, Budget(1.0), seed)
    assert mask[range(tiles), found.site_of].all()
    assert (found.cost, found.bound <= best) == (best, True)


def test_a_few_tiles_are_moved_to_where_they_may_stand() -> None:
    flow, sites, _, _ = instance(4, 0)
    free = place_few(flow, sites)
    mask = np.ones((4, 6), bool)
    mask[:, 0] = False
    found = place_few(flow, sites, mask)
    assert free is not None
    assert found is not None
    assert 0 not in found.site_of
    assert (found.cost, found.bound) == (free.cost, free.bound)
    assert place_few(flow, sites, np.zeros((4, 6), bool)) is None


@pytest.mark.parametrize(("bad", "chips"), [(5, 11), (40, 46)])
def test_the_fewest_chips_are_found_far_beyond_the_first_guess(bad: int, chips: int) -> None:
    worn = FaultMap(tiles=tuple(TileFaults(site=Site(c, 0, 0), rows=(0,)) for c in range(bad)))
    assert placed(with_faults([(4, 24)], 1, worn)).partition.chips == chips

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mho.passes.levels.network import Network
from mho.passes.levels.tiling import Seat, Tiling
from mho.passes.route.route import RouteWords, distances
from mho.passes.schedule.schedule import Schedule
from mho.passes.verify.plan import verify_plan
from mho.passes.workload.deliveries import Takers, moved_words, tile_deliveries
from mho.passes.workload.traffic import Traffic, tile_flows
from mho.targets.mapping import RouteMode
from mho.targets.routes import Floor, Routes
from mho.targets.target import Costs, Mesh, Target
from tests.passes.placings import chain, dense, digital, machine, network, routing, tiling

CAST = machine(Mesh(tiles=6, multicast=True, hop_energy_nj=1.0, chip_energy_nj=100.0), Costs(mvm_latency_ns=100.0))
SINGLE = replace(CAST, mesh=replace(CAST.mesh, multicast=None))


def listed(takers: Takers) -> list[tuple[int, tuple[int, ...], float]]:
    deliveries = takers.deliveries
    ends = np.split(deliveries.target, np.cumsum(deliveries.count)[:-1])
    triples = zip(deliveries.source.tolist(), ends, deliveries.words.tolist(), strict=True)
    return [(source, tuple(end.tolist()), words) for source, end, words in triples]


def fan() -> Network:
    """One layer feeds q and k, which read the same value, and r, which reads another made of it."""
    steps = (
        dense("a", "x"),
        dense("q", "a.y"),
        dense("k", "a.y"),
        digital("relu", ("Relu",), "a.y"),
        dense("r", "relu.y"),
    )
    return network(steps, {"a": (4, 4), "q": (4, 8), "k": (4, 4), "r": (4, 4)})


def test_a_vector_is_delivered_once_to_all_that_take_it() -> None:
    made = listed(tile_deliveries(Traffic(tiling(fan(), CAST)), multicast=True))
    assert made == [(0, (1, 2, 3), 4.0), (0, (4,), 4.0)]
    alone = listed(tile_deliveries(Traffic(tiling(fan(), CAST)), multicast=False))
    assert alone == [(0, (1,), 4.0), (0, (2,), 4.0), (0, (3,), 4.0), (0, (4,), 4.0)]


def test_copies_take_other_positions() -> None:
    tiled = tiling(chain((4, 4), (4, 8)), CAST, {"l0": 6.0, "l1": 6.0}, {"l1": 2})
    made = listed(tile_deliveries(Traffic(tiled), multicast=True))
    assert made == [(0, (1, 2), 12.0), (0, (3, 4), 12.0)]


def test_row_blocks_take_parts_and_their_sums_go_to_one() -> None:
    made = listed(tile_deliveries(Traffic(tiling(chain((4, 8), (8, 8)), CAST)), multicast=True))
    assert made == [(3, (2,), 4.0), (5, (4,), 4.0), (0, (2, 4), 4.0), (1, (3, 5), 4.0)]


def test_charge_goes_to_the_block_before_its_converter() -> None:
    tiled = tiling(chain((16, 4)), CAST)
    heads = (0, 0, 2, 2)
    paired = replace(tiled, blocks=tuple(replace(b, converter=h) for b, h in zip(tiled.blocks, heads, strict=True)))
    assert listed(tile_deliveries(Traffic(paired), False)) == [(1, (0,), 4.0), (2, (0,), 4.0), (3, (2,), 4.0)]


def test_blocks_of_one_tile_take_a_delivery_once_and_none_of_their_own() -> None:
    tiled = tiling(chain((4, 4), (4, 8)), CAST)
    packed = replace(tiled, tiles=((Seat(0),), (Seat(1), Seat(2))))
    assert listed(tile_deliveries(Traffic(packed), multicast=True)) == [(0, (1,), 4.0)]
    whole = replace(tiled, tiles=((Seat(0), Seat(1)), (Seat(2),)))
    assert listed(tile_deliveries(Traffic(whole), multicast=True)) == [(0, (1,), 4.0)]


def wide() -> Tiling:
    return tiling(chain((8, 12), (12, 12), (12, 4)), CAST, {"l0": 3.0, "l1": 3.0, "l2": 2.0})


@pytest.mark.parametrize("mode", ["xy", "yx", "balanced"])
@pytest.mark.parametrize("target", [CAST, SINGLE])
def test_links_and_energies_are_those_of_the_ways(mode: RouteMode, target: Target) -> None:
    tiled = replace(wide(), target=target)
    placement = routing(tiled).placement
    made = RouteWords(mode).run(placement)
    plan = Schedule().run(made)
    assert verify_plan(plan) == ()
    inside = sum(link.words for link in made.links if link.source.chip == link.target.chip)
    between = sum(link.words for link in made.links if link.source.chip != link.target.chip)
    assert sum(hops for hops, _ in made.moved.values()) == pytest.approx(inside)
    assert sum(crossings for _, crossings in made.moved.values()) == pytest.approx(between)
    lines = [(line.component, line.energy_nj or 0.0) for line in plan.costs.breakdown]
    assert sum(energy for component, energy in lines if component == "links") == pytest.approx(inside)
    assert sum(energy for component, energy in lines if component == "chip links") == pytest.approx(100 * between)


def test_single_deliveries_move_words_times_distance() -> None:
    tiled = replace(wide(), target=SINGLE)
    made = routing(tiled)
    flows = tile_flows(tiled)
    floor = Floor.of(made.placement.site_of, made.placement.grid)
    hops = distances(floor.place, floor.grid, flows.source, flows.target)
    assert sum(moved for moved, _ in made.moved.values()) == pytest.approx(float(hops @ flows.words))


def test_a_tree_is_cheaper_and_shared_by_its_layers() -> None:
    trees, ways = routing(tiling(fan(), CAST)), routing(tiling(fan(), SINGLE))
    assert set(trees.moved) == {"a", "q", "k", "r"}
    assert sum(h for h, _ in trees.moved.values()) < sum(h for h, _ in ways.moved.values())
    for layer in trees.moved:
        assert trees.moved[layer][0] <= ways.moved[layer][0]
    takers = tile_deliveries(Traffic(tiling(fan(), CAST)), multicast=True)
    line = Floor(np.array([[0, x, 0] for x in range(5)]), (5, 1))
    moved = moved_words(takers, Routes.of(line, takers.deliveries), ["a", "q", "k", "r"])
    # q at 1 and 2, k at 3: three links, shared as 1 + 2 to 3; r takes another value at 4.
    assert moved == {"a": (0.0, 0.0), "q": (6.0, 0.0), "k": (6.0, 0.0), "r": (16.0, 0.0)}

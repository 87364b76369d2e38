from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Mode, Pack
from mho.passes.replicate.replicate import Replicate
from mho.passes.replicate.search import CopiesSearch, copied
from mho.passes.tile.blocks import with_blocks
from mho.passes.tile.tile import Tile
from mho.passes.verify.tiling import verify_tiling
from mho.passes.workload.interval import interval_of, loads_of
from mho.passes.workload.work import core_work
from mho.targets.errors import OptionError
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.steps import Port
from mho.targets.target import Costs, Mesh, Target
from tests.passes.tilings import Shape, calibrated, machine

NETWORK = (Shape(300, 10, fires=100), Shape(64, 64, fires=30), Shape(10, 10, fires=1))


def cut(shapes: tuple[Shape, ...] = NETWORK, target: Target | None = None) -> Tiling:
    """One copy of each matrix, a block a tile."""
    return Tile().run(calibrated(shapes), target or machine())


def test_every_matrix_is_copied() -> None:
    tiling = Replicate(3).run(cut(target=machine(256, 256, analog_rows=512)))
    assert tiling.replicas == {"m0": 3, "m1": 3, "m2": 3}
    assert len(tiling.tiles) == 3 * 4
    assert [(b.matrix, b.replica, b.converter) for b in tiling.blocks[:4]] == [
        ("m0", 0, 0),
        ("m0", 0, 0),
        ("m0", 1, 2),
        ("m0", 1, 2),
    ]
    assert verify_tiling(tiling, "none") == ()


def test_fill_makes_the_interval_shortest_and_no_idle_copies() -> None:
    """100 fires take 25 MVMs with 4 copies of 2 blocks; 5 copies, which would take 20, need 10 + 2 + 1 tiles."""
    tiling = Replicate("fill", tiles=12).run(cut())
    assert tiling.replicas == {"m0": 4, "m1": 2, "m2": 1}
    assert len(tiling.tiles) == 11
    (proof,) = (s for s in tiling.solvers if s.search == "replicate")
    assert (proof.status, proof.objective, proof.bound) == ("OPTIMAL", 25.0, 25.0)


def test_balance_gives_what_is_left_to_the_next_slowest() -> None:
    tiling = Replicate("balance", tiles=12).run(cut())
    assert tiling.replicas == {"m0": 4, "m1": 3, "m2": 1}
    assert len(tiling.tiles) == 12


def test_copies_that_would_change_no_number_of_positions_are_not_made() -> None:
    """10 fires take 4 MVMs with 3 copies, 3 with 4, and 2 with 5; 6 to 9 copies take 2 as well."""
    tiling = cut((Shape(10, 10, fires=10),))
    copies = {tiles: Replicate("fill", tiles=tiles).run(tiling).replicas["m0"] for tiles in (3, 4, 9, 10, 99)}
    assert copies == {3: 3, 4: 4, 9: 5, 10: 10, 99: 10}
    assert Replicate("balance", tiles=9).run(tiling).replicas["m0"] == 5


def test_packed_copies_share_tiles() -> None:
    """Twenty blocks of 50 × 10 lie on the diagonals of four tiles."""
    tiling = Replicate("fill", tiles=4).run(cut((Shape(50, 10, fires=20),)), Pack("pipelined"))
    assert tiling.replicas == {"m0": 20}
    assert len(tiling.tiles) == 4
    assert Pack("pipelined").run(tiling) == tiling


def test_fill_leaves_a_network_that_does_not_fit_alone() -> None:
    tiling = Replicate("fill", tiles=1).run(cut())
    assert set(tiling.replicas.values()) == {1}


def test_intervals_are_in_ns_where_the_clock_is_known() -> None:
    target = replace(machine(), costs=Costs(mvm_latency_ns=100.0, digital_latency_ns=7.0))
    tiling = Replicate("fill", tiles=12).run(cut(target=target))
    (proof,) = (s for s in tiling.solvers if s.search == "replicate")
    assert proof.objective == 25 * 100.0 + 2 * 7.0


def test_a_matrix_of_several_layers_works_for_all() -> None:
    tiling = cut((Shape(10, 10, fires=5), Shape(10, 10, fires=3)))
    shared = tuple(replace(step, matrix="m0") for step in tiling.calibrated.network.steps)  # type: ignore[arg-type]
    network = replace(
        tiling.calibrated.network, steps=shared, matrices={"m0": tiling.calibrated.network.matrices["m0"]}
    )
    single = Tile().run(replace(tiling.calibrated, network=network), machine())
    choices = loads_of(single)["m0"].choices
    assert [(choice.copies, choice.busy) for choice in choices] == [(1, 8.0), (2, 5.0), (3, 3.0), (5, 2.0)]


@pytest.mark.parametrize(("tiles", "chips", "most"), [(None, 2, 32), (20, 2, 20), (40, 2, 32), (None, None, 16)])
def test_the_budget(tiles: int | None, chips: int | None, most: int) -> None:
    """Without any, it is the chip that one copy needs; tiles and chips both hold."""
    target = replace(machine(), mesh=Mesh(tiles=16))
    tiling = Replicate("fill", tiles, chips).run(cut((Shape(256, 256, fires=1000),), target))
    assert len(tiling.tiles) == most


def test_dead_tiles_and_dead_lines_are_no_room() -> None:
    worn = FaultMap(
        tiles=(
            TileFaults(site=Site(0, 0, 0), dead=True),
            TileFaults(site=Site(0, 1, 0), rows=(3,)),
        )
    )
    target = replace(machine(), mesh=Mesh(tiles=16, width=4, height=4))
    tiling = replace(cut((Shape(256, 256, fires=1000),), target), faults=worn)
    assert len(Replicate("fill", chips=1).run(tiling).tiles) == 14


def test_ports_limit_the_copies_of_what_they_feed() -> None:
    """4 ports feed two row blocks of two copies; the second layer's vectors stay on the chip."""
    target = replace(machine(), mesh=Mesh(tiles=100, input_ports=4), costs=Costs(mvm_latency_ns=10.0))
    single = cut((Shape(300, 10, fires=100), Shape(10, 10, fires=80)), target)
    network = replace(single.calibrated.network, inputs=(port("v0"),))
    single = replace(single, calibrated=replace(single.calibrated, network=network))
    tiling = Replicate("fill").run(single)
    assert tiling.replicas == {"m0": 2, "m1": 2}
    (proof,) = (s for s in tiling.solvers if s.search == "replicate")
    assert (proof.status, proof.objective) == ("OPTIMAL", 500.0)


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="1 or more"):
        Replicate(0).run(cut())
    for replicate in (Replicate("fill"), Replicate("balance"), Replicate(pareto=True), Replicate("fill", chips=2)):
        with pytest.raises(OptionError, match="give --tiles"):
            replicate.run(cut())


@pytest.mark.parametrize("mode", ["none", "pipelined", "sequential"])
@pytest.mark.parametrize("shapes", [(), (Shape(10, 10, fires=0.0),)])
def test_networks_that_fire_nothing_are_not_copied(shapes: tuple[Shape, ...], mode: Mode) -> None:
    tiling = Replicate("balance", tiles=9, pareto=True).run(cut(shapes), Pack(mode))
    assert set(tiling.replicas.values()) <= {1}
    assert [point.mvms for point in tiling.pareto] == [0.0] * len(shapes)


def port(name: str) -> Port:
    return Port(name=name, type="tensor(float)", shape=None)


SMALL = machine(8, 8)

shapes = st.lists(
    st.builds(Shape, st.integers(1, 12), st.integers(1, 12), fires=st.integers(1, 6).map(float)), min_size=1, max_size=3
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shapes, st.integers(0, 12), st.sampled_from(["none", "pipelined", "sequential"]))
def test_fill_against_every_number_of_copies(matrices: list[Shape], spare: int, mode: Mode) -> None:
    """No choice of copies within the budget has a shorter interval than the bound; without turns, than the result."""
    pack = Pack(mode, effort="fast", cuts="even")
    single = cut(tuple(matrices), SMALL)
    alone = pack.run(single)
    budget = len(alone.tiles) + spare
    tiling = Replicate("fill", tiles=budget).run(single, pack)
    (proof,) = (s for s in tiling.solvers if s.search == "replicate")
    assert verify_tiling(tiling, mode) == ()
    assert len(tiling.tiles) <= budget
    assert proof.objective == interval_of(tiling) <= interval_of(alone)
    assert proof.bound is not None and proof.bound <= proof.objective
    best = inf
    for counts in product(*(range(1, int(m.fires) + 1) for m in matrices)):
        packed = pack.run(copied(single, dict(zip(single.replicas, counts, strict=True))))
        if len(packed.tiles) <= budget:
            best = min(best, interval_of(packed))
    assert proof.bound <= best
    if mode != "sequential":
        assert proof.objective == best


@settings(max_examples=40, deadline=None, derandomize=True)
@given(shapes, st.integers(0, 12), st.sampled_from(["none", "pipelined", "sequential"]))
def test_balance_is_as_short_and_within_the_budget(matrices: list[Shape], spare: int, mode: Mode) -> None:
    pack = Pack(mode, effort="fast")
    single = cut(tuple(matrices), SMALL)
    budget = len(pack.run(single).tiles) + spare
    filled, balanced = (Replicate(way, tiles=budget).run(single, pack) for way in ("fill", "balance"))
    assert verify_tiling(balanced, mode) == ()
    assert len(balanced.tiles) <= budget
    assert interval_of(balanced) <= interval_of(filled)
    assert all(balanced.replicas[name] >= copies for name, copies in filled.replicas.items())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.1, 300.0), min_size=1, max_size=3))
def test_the_numbers_of_copies_that_help(fires: list[float]) -> None:
    """What is skipped makes nothing faster than fewer copies do."""
    load = replace(loads_of(cut((Shape(4, 4),)))["m0"], fires=tuple(fires))
    every = [load.busy(copies) for copies in range(1, 302)]
    helpful = [copies for copies in range(1, 302) if copies == 1 or every[copies - 1] < min(every[: copies - 1])]
    assert [choice.copies for choice in load.choices] == helpful
    for choice in load.choices:
        assert load.within(choice.busy) == choice


@pytest.mark.parametrize("mode", ["none", "pipelined", "sequential"])
def test_the_pareto_points(mode: Mode) -> None:
    single, pack = (
        cut((Shape(30, 40, fires=40), Shape(100, 20, fires=24), Shape(20, 70, fires=6)), machine(100, 100)),
        Pack(mode),
    )
    points = Replicate("fill", tiles=20, pareto=True).run(single, pack).pareto
    alone = pack.run(single)
    assert (points[0].tiles, points[0].mvms, points[0].copies) == (len(alone.tiles), interval_of(alone), {})
    assert all(a.tiles <= b.tiles and a.mvms > b.mvms for a, b in pairwise(points))
    assert all(a.tiles < b.tiles for a, b in pairwise(points[1:]))
    for point in points[1:]:
        filled = CopiesSearch(single, pack, tiles=point.tiles).best
        assert filled is not None
        assert filled.trial.interval <= point.mvms
        if mode != "sequential":
            assert filled.trial.interval == point.mvms
    between = set(range(points[0].tiles, 21)) - {point.tiles for point in points}
    for tiles in between if mode != "sequential" else ():
        filled = CopiesSearch(single, pack, tiles=tiles).best
        assert filled is not None
        assert filled.trial.interval == min(p.mvms for p in points if p.tiles <= tiles)


def test_spare_rows_go_around_faults_while_copies_are_searched() -> None:
    shapes, whole = (Shape(250, 10, fires=100),), machine(256, 256)
    broken = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, y), rows=(0, 1)) for x in range(8) for y in range(8)))
    whole = replace(whole, mesh=Mesh(tiles=64, width=8, height=8))
    spared = replace(cut(shapes, replace(whole, crossbar=replace(whole.crossbar, rows=254))), faults=broken)
    assert Replicate("fill", chips=1).run(spared, machine=whole).replicas["m0"] > 1
    tight = (Shape(254, 10, fires=100),)
    spared = replace(cut(tight, replace(whole, crossbar=replace(whole.crossbar, rows=254))), faults=broken)
    assert Replicate("fill", chips=1).run(spared).replicas["m0"] == 1
    assert Replicate("fill", chips=1).run(spared, machine=whole).replicas["m0"] > 1


def test_copies_that_are_cut_otherwise_do_their_part_of_the_work() -> None:
    """Free cuts give copies of a matrix different blocks, and each copy has its share of the positions."""
    tiling = Replicate(2).run(cut((Shape(8, 8, fires=10.0),), machine(8, 8)))
    whole, (first, other) = core_work(tiling), tiling.blocks
    halves = [replace(other, rows=rows) for rows in ((0, 4), (4, 8))]
    assert whole.mvms == 10.0
    assert core_work(with_blocks(tiling, [first, *halves])).mvms == 5.0 + 2 * 5.0

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.plan import Placement, Plan
from mho.passes.verify.plan import verify_plan
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.target import Costs, Mesh
from tests.passes.placings import chain, machine, plan, tiling

TARGET = machine(Mesh(tiles=6), Costs(mvm_latency_ns=100.0))


def good() -> Plan:
    return plan(tiling(chain((8, 8), (8, 12)), TARGET, {"l0": 2.0, "l1": 3.0}))


def placed(made: Plan, placement: Placement) -> Plan:
    return replace(made, routing=replace(made.routing, placement=placement))


def says(made: Plan, *words: str) -> bool:
    return any(all(word in problem for word in words) for problem in verify_plan(made))


sizes = st.integers(1, 4).map(lambda k: 4 * k)


@given(sizes, sizes, sizes, st.integers(2, 7), st.booleans())
@settings(max_examples=15, deadline=None)
def test_what_the_passes_make_is_well(rows: int, middle: int, columns: int, capacity: int, analog: bool) -> None:
    target = machine(Mesh(tiles=capacity + 4 * analog), Costs(mvm_latency_ns=100.0, digital_latency_ns=20.0))
    net = chain((rows, middle), (middle, columns))
    assert verify_plan(plan(tiling(net, target, {"l0": 5.0, "l1": 2.5}, analog=analog))) == ()


def test_sites_twice_outside_and_on_the_wrong_chip() -> None:
    made = good()
    placement = made.routing.placement
    first, *others = placement.site_of
    assert says(placed(made, replace(placement, site_of=(others[0], *others))), "has 2 tiles")
    assert says(placed(made, replace(placement, site_of=(Site(0, 9, 0), *others))), "outside")
    moved = Site(1 - first.chip, first.x, first.y)
    assert says(placed(made, replace(placement, site_of=(moved, *others))), "tile 0 belongs on chip")
    assert says(placed(made, replace(placement, site_of=tuple(others))), "10 tiles have 9 sites")


def test_crowded_chips_and_torn_converters() -> None:
    made = plan(tiling(chain((8, 8), (8, 12)), TARGET, analog=True))
    placement = made.routing.placement
    partition = placement.partition
    assert says(placed(made, replace(placement, partition=replace(partition, chip_of=(0,) * 10))), "at most 6 fit")
    torn = (1 - partition.chip_of[0], *partition.chip_of[1:])
    assert says(placed(made, replace(placement, partition=replace(partition, chip_of=torn))), "share a converter")


def test_links_that_carry_too_little_or_too_much() -> None:
    made = good()
    first, *others = made.routing.links
    less = replace(made, routing=replace(made.routing, links=tuple(others)))
    more = replace(made, routing=replace(made.routing, links=(replace(first, words=first.words + 1), *others)))
    twice = replace(made, routing=replace(made.routing, links=(first, first, *others)))
    assert says(less, f"link {first.source} → {first.target}", "carry 0 words")
    assert says(more, "is said to carry")
    assert says(twice, "listed twice")


def test_schedules_that_run_ahead_or_miss_a_step() -> None:
    made = good()
    one, two = made.schedule
    early = replace(two, start_ns=0.0)
    assert says(replace(made, schedule=(one, early)), "l1 begins row 0 at 0 ns, before row 0 of l0 is there at 200 ns")
    assert says(replace(made, schedule=(one, replace(early, needs=()))), "l1 starts before l0 has ended")
    assert says(replace(made, schedule=(one,)), "without a slot: l1")


def test_tiles_on_faults() -> None:
    made = good()
    placement = made.routing.placement
    part = placement.partition
    site = placement.site_of[0]
    for broken, words in (
        (TileFaults(site=site, dead=True), "block 0 reaches 4 × 4 lines at 0:0,0, which has 0 × 0"),
        (TileFaults(site=site, columns=(2,)), "block 0 reaches 4 × 4 lines at 0:0,0, which has 4 × 3"),
    ):
        tiled = replace(part.ranged.tiling, faults=FaultMap(tiles=(broken,)))
        worn = replace(placement, partition=replace(part, ranged=replace(part.ranged, tiling=tiled)))
        assert says(placed(made, worn), words.replace("0:0,0", str(site)))

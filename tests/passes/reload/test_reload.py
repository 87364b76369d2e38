from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from mho.passes.levels.network import Calibrated, LayerInputs
from mho.passes.levels.plan import Partition, Placement, Plan, Ranged, Routing
from mho.passes.levels.tiling import Seat, Tiling
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.reload.costs import LINKS, CostReload
from mho.passes.reload.firings import firing_sequence
from mho.passes.reload.kept import kept_words
from mho.passes.reload.reload import ReloadTiles, pages_of_layers
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.targets.isa import Site
from mho.targets.mapping import CostFacts
from mho.targets.reload import Reload, ReloadMode
from mho.targets.routes import Deliveries
from mho.targets.steps import Body, Branch, Direction, Gate, Loop, Recurrent, Scan, Step
from mho.targets.target import Costs, Mesh
from tests.passes.placings import chain, dense, machine, network, tiling


def calibrated(steps: tuple[Step, ...], fires: Mapping[str, float]) -> Calibrated:
    net = network(steps, dict.fromkeys(fires, (4, 4)))
    return Calibrated(net, {n: LayerInputs(1.0, np.zeros((1, 4), np.float32), f) for n, f in fires.items()})


def pages(seen: Calibrated) -> dict[str, tuple[int, ...]]:
    return {name: (number,) for number, name in enumerate(seen.layers)}


def body(*names: str) -> Body:
    return Body(inputs=(), steps=tuple(dense(name, "x") for name in names), outputs=())


def test_a_recurrent_layer_fires_its_state_in_every_time_step() -> None:
    gates = (Gate(name="x", matrix="x", operand="x"), Gate(name="h", matrix="h", operand="h"))
    late = Gate(name="rh", matrix="rh", operand="rh")
    cell = Recurrent(
        name="gru",
        cell="GRU",
        hidden=4,
        layout=0,
        directions=(Direction(reverse=False, gates=(*gates, late), activations=()),),
        input="v",
    )
    seen = calibrated((dense("a", "v"), cell, dense("b", "y")), {"a": 1, "x": 3, "h": 3, "rh": 3, "b": 3})
    assert firing_sequence(seen, pages(seen)) == ("a", "x", "h", "rh", "h", "rh", "h", "rh", "b")


def test_loops_go_round_as_often_as_is_known_and_both_branches_count() -> None:
    loop = Loop(name="loop", trips="n", condition=None, carried=(), body=body("a", "b"), outputs=())
    scan = Scan(
        name="scan",
        state=(),
        scanned=("s",),
        input_axes=(1,),
        input_reverse=(False,),
        output_axes=(),
        output_reverse=(),
        body=body("c"),
        outputs=(),
    )
    branch = Branch(name="if", condition="t", then=body("d"), otherwise=body("e"), outputs=())
    seen = calibrated((loop, scan, branch), dict.fromkeys("abcde", 1.0))
    assert firing_sequence(seen, pages(seen)) == ("a", "b", "c", "d", "e")
    known = replace(seen.network, tensors={"n": ir.tensor(np.array(2), name="n")}, value_shapes={"s": ("N", 3)})
    again = replace(seen, network=known)
    assert firing_sequence(again, pages(again)) == (*"abab", *"ccc", "d", "e")


def test_pages_of_a_layer_are_tiles_in_the_order_of_its_blocks() -> None:
    tiled = tiling(chain((8, 4), (4, 4), (4, 8)), machine())
    together = replace(tiled, tiles=((Seat(1), Seat(2)), (Seat(0),), (Seat(4),), (Seat(3),)))
    assert pages_of_layers(together) == {"l0": (1, 0), "l1": (0,), "l2": (3, 2)}


def test_an_output_waits_until_its_last_reader_is_done() -> None:
    """l0 gives 4 words a position to l1, and as an addend to l2."""
    steps = (dense("l0", "x"), dense("l1", "l0.y"), dense("l2", "l1.y", addend="l0.y"))
    net = network(steps, {"l0": (4, 4), "l1": (4, 20), "l2": (20, 4)})
    assert kept_words(tiling(net, machine(), {"l0": 3, "l1": 2, "l2": 5})) == 3 * 4 + 2 * 20 + 5 * 4
    straight = network((steps[0], steps[1], dense("l2", "l1.y")), {"l0": (4, 4), "l1": (4, 20), "l2": (20, 4)})
    assert kept_words(tiling(straight, machine(), {"l0": 3, "l1": 2, "l2": 5})) == 2 * 20 + 5 * 4


def reloaded(tiled: Tiling, mode: ReloadMode = "alternate", inferences: int = 100) -> Ranged:
    return ReloadTiles(allow=True, mode=mode, inferences=inferences).run(Ranged(tiled, {}), 1, None)


def placed(ranged: Ranged) -> Placement:
    return PlaceCores().run(PartitionChips(chips=1).run(ranged))


def planned(ranged: Ranged) -> Plan:
    return CostReload().run(Schedule().run(RouteWords().run(placed(ranged))))


def test_sixteen_blocks_on_eight_tiles() -> None:
    tiled = tiling(chain((16, 16)), machine(Mesh(tiles=8, width=4, height=2)))
    writes: dict[ReloadMode, int] = {"order": 8_538, "alternate": 8_008, "batch": 16}
    for mode, wanted in writes.items():
        ranged = reloaded(tiled, mode, 1000)
        assert ranged.reload is not None
        assert (ranged.reload.writes, len(ranged.reload.sites)) == (wanted, 8)
        assert ranged.tiling.solvers[-1].status == "OPTIMAL"
    placement = placed(reloaded(tiled))
    assert [placement.site_of[i] for i in (0, 5, 8)] == [Site(0, 0, 0), Site(0, 1, 1), Site(1, 0, 0)]


def test_without_need_or_leave_nothing_is_reloaded() -> None:
    tiled = tiling(chain((16, 16)), machine(Mesh(tiles=8)))
    assert ReloadTiles().run(Ranged(tiled, {}), 1, None).reload is None
    assert ReloadTiles(allow=True).run(Ranged(tiled, {}), 2, None).reload is None
    assert ReloadTiles(allow=True).run(Ranged(tiled, {}), 2, 15).reload is not None


def test_the_machine_is_the_largest_system_that_was_published() -> None:
    tiled = tiling(chain((16, 16)), machine(Mesh(tiles=4, chips=3)))
    ranged = ReloadTiles(allow=True).run(Ranged(tiled, {}), None, None)
    assert ranged.reload is not None
    assert {site.chip for site in ranged.reload.sites} == {0, 1, 2}
    few = tiling(chain((16, 16)), machine(Mesh(tiles=4)))
    alone = ReloadTiles(allow=True).run(Ranged(few, {}), None, None)
    assert alone.reload is not None
    assert len(alone.reload.sites) == 4


def by_hand(mode: ReloadMode) -> tuple[Reload, CostFacts]:
    """Eight blocks on six tiles: 100 ns a firing and position, 1000 ns and 7 nJ a write."""
    costs = Costs(mvm_latency_ns=100, mvm_energy_nj=2, write_latency_ns=1000, write_energy_nj=7)
    tiled = tiling(chain((4, 16), (16, 4)), machine(Mesh(tiles=6), costs), {"l0": 3, "l1": 1})
    plan = planned(reloaded(tiled, mode, 10))
    reload = plan.routing.placement.partition.ranged.reload
    assert reload is not None
    return reload, plan.costs


@pytest.mark.parametrize("mode", ["order", "alternate"])
def test_an_inference_takes_its_firings_and_its_writes(mode: ReloadMode) -> None:
    reload, costs = by_hand(mode)
    parts = {part.layer: part.parts for part in reload.layers}
    assert parts["l0"] >= 1 and sum(parts.values()) > 2
    wanted = parts["l0"] * 300 + parts["l1"] * 100 + reload.writes / 10 * 1000
    assert costs.latency_ns == costs.interval_ns == pytest.approx(wanted)
    assert costs.energy_nj == pytest.approx(2 * (4 * 3 + 4) + reload.writes / 10 * 7)
    assert "costs.write_latency_ns" not in costs.excluded and LINKS in costs.excluded


def test_a_batch_shares_its_writes() -> None:
    reload, costs = by_hand("batch")
    assert reload.writes == 8
    firing = sum(part.parts * {"l0": 300, "l1": 100}[part.layer] for part in reload.layers)
    assert costs.latency_ns == pytest.approx(10 * firing + 8 * 1000)
    assert costs.interval_ns == pytest.approx(firing + 0.8 * 1000)
    assert costs.energy_nj == pytest.approx(2 * (4 * 3 + 4) + 0.8 * 7)


def test_writes_without_figures_are_named() -> None:
    tiled = tiling(chain((16, 16)), machine(Mesh(tiles=8), Costs(mvm_latency_ns=100)))
    plan = planned(reloaded(tiled))
    assert {"costs.write_latency_ns", "costs.write_energy_nj", LINKS} <= set(plan.costs.excluded)
    assert plan.costs.missing["latency"][-2:] == ("costs.write_latency_ns", LINKS)
    assert plan.routing.links == () and plan.schedule == ()


def test_a_plan_without_reload_keeps_its_costs() -> None:
    tiled = tiling(chain((16, 16)), machine(Mesh(tiles=16), Costs(mvm_latency_ns=100)))
    placement = Placement(Partition(Ranged(tiled, {}), 1, (0,) * 16, ()), (4, 4), (), ())
    routing = Routing(placement, "xy", 1, False, Deliveries.none(), (), {})
    plan = Plan(routing, (), _facts())
    assert CostReload().run(plan) is plan


def _facts() -> CostFacts:
    return CostFacts(latency_ns=None, interval_ns=None, energy_nj=None, excluded=(), layers_ns={}, layers_nj={})

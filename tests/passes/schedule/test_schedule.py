from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from mho.passes.levels.plan import Plan
from mho.passes.levels.tiling import Seat
from mho.passes.verify.plan import verify_plan
from mho.targets.steps import Body, Direction, Gate, Loop, Recurrent
from mho.targets.target import Costs, Mesh
from tests.passes.placings import chain, dense, digital, machine, network, plan, tiling

MVM = Costs(mvm_latency_ns=100.0, mvm_energy_nj=2.0)


def slots(made: Plan) -> list[str]:
    assert verify_plan(made) == ()
    return [f"{slot.step} {slot.start_ns:g}-{slot.end_ns:g}" for slot in made.schedule]


def test_layers_that_depend_wait_and_others_overlap() -> None:
    steps = (dense("a", "x"), dense("b", "x"), digital("add", ("Add",), "a.y", "b.y"), dense("c", "add.y"))
    net = network(steps, dict.fromkeys("abc", (4, 4)))
    made = plan(tiling(net, machine(costs=MVM), {"a": 3.0, "b": 5.0, "c": 2.0}))
    assert slots(made) == ["a 0-300", "b 0-500", "add 500-500", "c 500-700"]
    costs = made.costs
    assert (costs.latency_ns, costs.interval_ns, costs.energy_nj) == (700.0, 500.0, 20.0)
    assert costs.layers_ns == {"a": 300.0, "b": 500.0, "c": 200.0}
    assert costs.layers_nj == {"a": 6.0, "b": 10.0, "c": 4.0}
    assert costs.excluded == (
        "costs.digital_latency_ns",
        "costs.digital_energy_nj",
        "mesh.hop_latency_ns",
        "mesh.hop_energy_nj",
        "costs.tile_area_mm2",
        "digital steps beside the chip",
    )


def test_replicas_divide_the_time_and_not_the_energy() -> None:
    made = plan(tiling(chain((8, 4)), machine(costs=MVM), {"l0": 7.0}, {"l0": 2}))
    assert slots(made) == ["l0 0-400"]
    assert made.costs.energy_nj == 7 * 2 * 2.0


def test_tiles_that_share_columns_take_turns() -> None:
    tiled = tiling(network((dense("a", "x"), dense("b", "x")), {"a": (2, 2), "b": (2, 2)}), machine(costs=MVM))
    stacked = replace(tiled, tiles=((Seat(0), Seat(1, row_offset=2)),))
    diagonal = replace(tiled, tiles=((Seat(0), Seat(1, row_offset=2, column_offset=2)),))
    assert slots(plan(stacked)) == ["a 0-100", "b 100-200"]
    assert plan(stacked).costs.interval_ns == 200.0
    assert slots(plan(diagonal)) == ["a 0-100", "b 0-100"]
    assert plan(diagonal).costs.interval_ns == 100.0


def test_row_blocks_of_a_layer_in_one_tile_take_turns() -> None:
    tiled = tiling(chain((6, 2)), machine(costs=MVM), {"l0": 3.0})
    folded = replace(tiled, tiles=((Seat(0), Seat(1, column_offset=2)),))
    assert slots(plan(folded)) == ["l0 0-600"]
    assert plan(folded).costs.layers_ns == {"l0": 600.0}


def test_two_uses_of_a_matrix_take_turns() -> None:
    steps = (dense("a", "x"), replace(dense("a", "x"), name="again", output="z"))
    assert slots(plan(tiling(network(steps, {"a": (4, 4)}), machine(costs=MVM)))) == ["a 0-100", "again 100-200"]


def recurrent(operand: Literal["h", "rh"]) -> Recurrent:
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand=operand))
    directions = (Direction(reverse=False, gates=gates, activations=()),)
    return Recurrent(name="rnn", cell="GRU", hidden=4, layout=0, directions=directions, input="x", output="s")


@pytest.mark.parametrize(("operand", "end"), [("h", 1000), ("rh", 2000)])
def test_a_recurrence_runs_step_by_step(operand: Literal["h", "rh"], end: int) -> None:
    net = network((recurrent(operand), dense("b", "s")), dict.fromkeys(("wx", "wh", "b"), (4, 4)))
    made = plan(tiling(net, machine(costs=MVM), {"wx": 10.0, "wh": 10.0}))
    assert slots(made) == [f"rnn 0-{end}", f"b {end}-{end + 100}"]


def test_replicas_do_not_slow_a_recurrence() -> None:
    """Both replicas of a matrix share a tile, but a time step fires one of them."""
    net = network((recurrent("h"),), dict.fromkeys(("wx", "wh"), (2, 2)))
    tiled = tiling(net, machine(costs=MVM), {"wx": 10.0, "wh": 10.0}, {"wx": 2, "wh": 2})
    stacked = replace(tiled, tiles=((Seat(0), Seat(1, row_offset=2)), (Seat(2), Seat(3, row_offset=2))))
    assert slots(plan(stacked)) == ["rnn 0-1000"]
    mixed = replace(tiled, tiles=((Seat(0), Seat(2, row_offset=2)), (Seat(1), Seat(3, row_offset=2))))
    assert slots(plan(mixed)) == ["rnn 0-2000"]


def test_loops_span_their_bodies() -> None:
    body = Body(inputs=("i", "c", "h"), steps=(dense("in", "h"),), outputs=("c", "in.y"))
    loop = Loop(name="loop", trips="n", condition=None, carried=("a.y",), body=body, outputs=("out",))
    net = network((dense("a", "x"), loop, dense("b", "out")), dict.fromkeys(("a", "in", "b"), (4, 4)))
    made = plan(tiling(net, machine(costs=MVM), {"in": 4.0}))
    assert slots(made) == ["a 0-100", "loop 100-500", "in 100-500", "b 500-600"]


def test_published_latencies_and_energies_count() -> None:
    costs = Costs(
        mvm_latency_ns=100.0, mvm_energy_nj=2.0, digital_latency_ns=10.0, digital_energy_nj=1.0, tile_area_mm2=0.5
    )
    mesh = Mesh(tiles=1, hop_latency_ns=3.0, hop_energy_nj=0.5, chip_latency_ns=50.0, chip_energy_nj=7.0)
    made = plan(tiling(chain((4, 4), (4, 4)), machine(mesh, costs)))
    assert slots(made) == ["l0 0-110", "l1 110-270"]
    assert made.costs.excluded == ()
    assert made.costs.energy_nj == 2 * 3.0 + 4 * 7.0
    near = plan(tiling(chain((4, 4), (4, 4)), machine(replace(mesh, tiles=2), costs)))
    assert slots(near) == ["l0 0-110", "l1 110-223"]
    assert near.costs.energy_nj == 2 * 3.0 + 4 * 0.5


def test_without_a_latency_there_is_no_schedule() -> None:
    made = plan(tiling(chain((4, 4), (4, 4)), machine()))
    assert made.schedule == ()
    assert (made.costs.latency_ns, made.costs.interval_ns, made.costs.energy_nj) == (None, None, None)
    assert made.costs.layers_ns == {}
    assert "costs.mvm_latency_ns" in made.costs.excluded

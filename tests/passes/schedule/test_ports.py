"""Ports bound the interval where their number is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mho.passes.levels.network import Network
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.ports import Passing, port_times
from mho.targets.steps import Direction, Gate, Port, Recurrent
from mho.targets.target import Costs, DigitalUnit, Mesh, Target
from tests.passes.placings import chain, dense, digital, machine, network, plan, routing, tiling

COSTS = Costs(mvm_latency_ns=100.0)


def chip(tiles: int, inputs: int | None = None, outputs: int | None = None) -> Target:
    return machine(Mesh(tiles=tiles, input_ports=inputs, output_ports=outputs), COSTS)


def between(net: Network, source: str, result: str) -> Network:
    """The network with an input and an output."""
    ports = [Port(name=name, type="tensor(float)", shape=None) for name in (source, result)]
    return replace(net, inputs=(ports[0],), outputs=(ports[1],))


def passing(net: Network, target: Target, fires: dict[str, float]) -> Passing:
    return Passing(Machine(routing(tiling(net, target, fires))))


def test_what_enters_and_leaves_the_network_passes_ports() -> None:
    """Eight rows are two vectors of four, whatever the three tiles that each goes to."""
    net = between(chain((8, 12)), "x", "l0.y")
    found = passing(net, chip(6), {"l0": 5.0})
    assert found.entering == {0: 2 * 5.0}
    assert found.leaving == {0: 3 * 5.0}


def test_vectors_between_layers_of_a_chip_pass_none() -> None:
    found = passing(between(chain((4, 4), (4, 4)), "x", "l1.y"), chip(2), {"l0": 3.0, "l1": 2.0})
    assert (found.entering, found.leaving) == ({0: 3.0}, {0: 2.0})


def test_vectors_between_chips_pass_one_each_way() -> None:
    found = passing(between(chain((4, 4), (4, 4)), "x", "l1.y"), chip(1), {"l0": 3.0, "l1": 2.0})
    assert sorted(found.entering.values()) == [2.0, 3.0]
    assert sorted(found.leaving.values()) == [2.0, 3.0]


def test_partial_sums_between_chips_pass_ports() -> None:
    found = passing(chain((8, 4)), chip(1), {"l0": 3.0})
    assert (sum(found.entering.values()), sum(found.leaving.values())) == (3.0, 3.0)


@pytest.mark.parametrize(("operators", "passes"), [(("Add",), 1.0), (("Softmax",), 0.0)])
def test_steps_beside_the_chip_take_values_out_and_in(operators: tuple[str, ...], passes: float) -> None:
    steps = (dense("a", "x"), digital("d", operators, "a.y"), dense("b", "d.y"))
    target = replace(chip(2), units={"helper": DigitalUnit(operators=("Softmax",))})
    found = passing(network(steps, {"a": (4, 4), "b": (4, 4)}), target, {})
    assert sum(found.entering.values()) == sum(found.leaving.values()) == passes


@pytest.mark.parametrize(("units", "passes"), [({}, (10.0, 20.0)), ({"cells": DigitalUnit()}, (0.0, 0.0))])
def test_the_cell_of_a_recurrent_step(units: dict[str, DigitalUnit], passes: tuple[float, float]) -> None:
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand="h"))
    directions = (Direction(reverse=False, gates=gates, activations=()),)
    step = Recurrent(name="rnn", cell="LSTM", hidden=4, layout=0, directions=directions, input="x", output="s")
    net = network((step,), dict.fromkeys(("wx", "wh"), (4, 4)))
    found = passing(net, replace(chip(2), units=units), {"wx": 10.0, "wh": 10.0})
    assert (sum(found.entering.values()), sum(found.leaving.values())) == passes


def test_the_interval_waits_for_the_ports() -> None:
    """10 positions of 8 rows: 1000 ns of MVMs; 20 vectors enter, 30 leave."""
    net = between(chain((8, 12)), "x", "l0.y")

    def interval(inputs: int | None, outputs: int | None) -> float | None:
        return plan(tiling(net, chip(6, inputs, outputs), {"l0": 10.0})).costs.interval_ns

    assert interval(None, None) == interval(2, 3) == 1000.0
    assert interval(1, None) == 2000.0
    assert interval(1, 1) == 3000.0
    alone = plan(tiling(net, chip(6, 1, 1), {"l0": 10.0})).costs
    assert alone.latency_ns == 3000.0, "its own vectors pass the same ports"
    assert interval(None, 2) == 1500.0


def test_without_an_mvm_time_there_is_no_limit() -> None:
    placed = Machine(routing(tiling(chain((4, 4)), machine(Mesh(tiles=1, input_ports=1)))))
    assert port_times(placed) == {}

"""The interval of a tiling is that of its schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.network import Network
from mho.passes.pack.pack import Mode, Pack
from mho.passes.replicate.replicate import Replicate
from mho.passes.replicate.search import copied
from mho.passes.workload.interval import clocked, interval_of
from mho.passes.workload.work import core_work
from mho.targets.cost import energy_nj
from mho.targets.steps import Direction, Gate, Port, Recurrent
from mho.targets.target import Costs, Mesh, Target
from tests.passes.placings import chain, dense, machine, network, plan, tiling

COSTS = Costs(
    mvm_latency_ns=100.0, mvm_energy_nj=3.0, dac_energy_nj=0.1, digital_latency_ns=30.0, digital_energy_nj=0.5
)


def between(net: Network) -> Network:
    """The network with an input before its first layer and an output behind its last."""
    ports = [Port(name=name, type="tensor(float)", shape=None) for name in ("x", net.steps[-1].name + ".y")]
    return replace(net, inputs=(ports[0],), outputs=(ports[1],))


shapes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shapes,
    st.lists(st.tuples(st.just(0.0) | st.floats(0.01, 20), st.integers(1, 4)), min_size=4, max_size=4),
    st.sampled_from(["none", "pipelined"]),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
)
def test_it_is_the_interval_and_the_energy_of_the_schedule(
    sizes: list[tuple[int, int]],
    uses: list[tuple[float, int]],
    mode: Mode,
    ports: int | None,
    digital: bool,
) -> None:
    """On one chip, whose ports are known or not, without a cost of links."""
    costs = COSTS if digital else replace(COSTS, digital_latency_ns=None, digital_energy_nj=None)
    target = machine(Mesh(input_ports=ports, output_ports=ports), costs)
    fires = {f"l{i}": count for i, (count, _) in enumerate(uses)}
    copies = {f"l{i}": number for i, (_, number) in enumerate(uses)}
    single = tiling(between(chain(*sizes)), target, fires)
    packed = Pack(mode, effort="fast").run(copied(single, {name: copies[name] for name in single.replicas}))
    found = plan(packed).costs
    assert found.interval_ns == pytest.approx(interval_of(packed))
    assert found.energy_nj == pytest.approx(energy_nj(target, core_work(packed)) or 0.0)
    assert core_work(packed) == core_work(single)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(shapes, st.lists(st.floats(1, 20), min_size=4, max_size=4), st.integers(0, 8))
def test_layers_that_take_turns_are_scheduled_within_the_interval(
    sizes: list[tuple[int, int]], fires: list[float], spare: int
) -> None:
    single = tiling(chain(*sizes), machine(costs=COSTS), {f"l{i}": count for i, count in enumerate(fires)})
    pack = Pack("sequential", effort="fast")
    found = Replicate("fill", tiles=len(pack.run(single).tiles) + spare).run(single, pack)
    interval_ns = plan(found).costs.interval_ns
    assert interval_ns is not None
    assert interval_ns <= interval_of(found) * (1 + 1e-9)


def lstm() -> Network:
    """A recurrent step with two gates, and a layer that reads it."""
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand="h"))
    directions = (Direction(reverse=False, gates=gates, activations=()),)
    step = Recurrent(name="rnn", cell="LSTM", hidden=4, layout=0, directions=directions, input="x", output="s")
    return network((step, dense("l0", "s")), {"wx": (4, 4), "wh": (4, 4), "l0": (4, 4)})


def test_recurrent_steps_are_not_copied() -> None:
    """Ten time steps are one after another; twenty positions of a layer are not."""
    net = lstm()
    single = tiling(net, machine(costs=COSTS), {"wx": 10.0, "wh": 10.0, "l0": 40.0})
    found = Replicate("fill", tiles=100).run(single)
    assert found.replicas == {"wx": 1, "wh": 1, "l0": 4}
    assert interval_of(found) == 10 * (100.0 + 30.0)
    few = Replicate("fill", tiles=4).run(single)
    assert few.replicas["l0"] == 2
    assert plan(few).costs.interval_ns == pytest.approx(interval_of(few))


def test_without_a_clock_an_mvm_counts_one() -> None:
    target: Target = machine(costs=replace(COSTS, mvm_latency_ns=None))
    single = tiling(chain((4, 4), (8, 4)), target, {"l0": 3.0, "l1": 7.5})
    assert interval_of(single) == 8.0
    assert clocked(machine(costs=COSTS)).costs == COSTS

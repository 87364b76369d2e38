"""Random small networks on random small machines: whatever compiles is sound, complete and exact in ideal mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mho
from mho.examples.builder import Builder
from mho.passes.pack.pack import Mode
from mho.passes.partition.partition import PartitionChips
from mho.passes.reload.reload import ReloadTiles
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.passes.unfold.groups import ChooseGroups
from mho.passes.unfold.unfold import ChooseUnfolding
from mho.runtime.effects import Conditions, Effects
from mho.runtime.interpreter import Interpreter
from mho.runtime.machine import Machine
from mho.stages import Stages
from mho.targets.check.check import check_program
from mho.targets.mapping import RouteMode, ScheduleMode
from mho.targets.reload import ReloadMode
from mho.targets.target import Converter, Core, Costs, Crossbar, Mesh, Target
from tests.compilations import Copies, pipeline
from tests.differential.reference import IDEAL_TOLERANCE, reference, worst_error

WIDTHS = st.integers(1, 90)
CHANNELS = st.integers(1, 12)
Unfolding = Literal["im2col", "windows", "places", "auto"]
Grouping = Literal["auto", "block-diagonal", "dense", "digital"]
FUNCTIONS: tuple[Literal["accumulate", "add", "relu"], ...] = ("accumulate", "add", "relu")


@dataclass(frozen=True)
class Network:
    """A model and the shape of one sample."""

    model: onnx.ModelProto
    sample: tuple[int, ...]


@st.composite
def perceptrons(draw: st.DrawFn) -> Network:
    """One to three dense layers with or without bias, ReLU and a residual."""
    net = Builder("mlp", seed=draw(st.integers(0, 99)))
    widths = draw(st.lists(WIDTHS, min_size=2, max_size=4))
    x = net.input("x", ["N", widths[0]])
    for index, (rows, columns) in enumerate(pairwise(widths)):
        y = net.gemm(f"dense{index}", x, rows, columns)
        if draw(st.booleans()):
            y = net.op("Relu", f"relu{index}", y)
        x = net.op("Add", f"residual{index}", y, x) if rows == columns else y
    net.output(x, ["N", widths[-1]])
    return Network(net.model, (widths[0],))


@st.composite
def convolutions(draw: st.DrawFn) -> Network:
    """A convolution of any groups, stride, dilation and padding, and a dense layer over what is left of it."""
    net = Builder("cnn", seed=draw(st.integers(0, 99)))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    incoming, outgoing = groups * draw(CHANNELS), groups * draw(CHANNELS)
    kernel = draw(st.integers(1, 3))
    weight = net.weight("weight", outgoing, incoming // groups, kernel, kernel, fan_in=incoming * kernel**2)
    x = net.input("x", ["N", incoming, 7, 6])
    y = net.op(
        *("Conv", "conv", x, weight, net.bias("bias", outgoing)),
        group=groups,
        strides=[draw(st.integers(1, 2)), 1],
        dilations=[1, draw(st.integers(1, 2))],
        pads=draw(st.lists(st.integers(0, 1), min_size=4, max_size=4)),
    )
    pooled = net.op("GlobalAveragePool", "pool", net.op("Relu", "relu", y))
    net.output(net.gemm("head", net.op("Flatten", "flatten", pooled), outgoing, 5), ["N", 5])
    return Network(net.model, (incoming, 7, 6))


@st.composite
def machines(draw: st.DrawFn) -> Target:
    """Crossbars of 8 to 64 rows and columns, chips of 4 to 64 tiles, with or without converters and local sums."""
    rows, columns = draw(st.integers(8, 64)), draw(st.integers(8, 64))
    bits = draw(st.sampled_from([None, 6, 8]))
    return Target(
        name="random",
        title="A random machine",
        crossbar=Crossbar(
            rows=rows,
            columns=columns,
            devices_per_weight=2,
            weight_scale=draw(st.sampled_from(["column", "tile"])),
            analog_rows=draw(st.sampled_from([None, 2 * rows])),
        ),
        dac=Converter(bits=bits),
        adc=Converter(bits=bits),
        core=Core(functions=draw(st.sampled_from([(), ("accumulate",), FUNCTIONS]))),
        mesh=Mesh(
            tiles=draw(st.sampled_from([None, 4, 16, 64])),
            multicast=draw(st.sampled_from([None, False, True])),
            virtual_channels=draw(st.sampled_from([None, 1, 2])),
            hop_latency_ns=draw(st.sampled_from([None, 3.0])),
        ),
        costs=Costs(
            mvm_latency_ns=draw(st.sampled_from([None, 100.0])), digital_latency_ns=draw(st.sampled_from([None, 30.0]))
        ),
    )


@st.composite
def pipelines(draw: st.DrawFn, replicas: Copies) -> mho.Pipeline:
    """Every option that changes where or when a network runs."""
    packs: tuple[Mode, ...] = ("none", "pipelined", "sequential")
    unfoldings: tuple[Unfolding, ...] = ("im2col", "windows", "places", "auto")
    groupings: tuple[Grouping, ...] = ("auto", "block-diagonal", "dense", "digital")
    routes: tuple[RouteMode, ...] = ("xy", "yx", "balanced")
    schedules: tuple[ScheduleMode, ...] = ("latency", "throughput")
    options = pipeline(draw(st.sampled_from(packs)), replicas, effort=0.02, tiles=64)
    return replace(
        options,
        pack=replace(options.pack, cuts=draw(st.sampled_from(("even", "free")))),
        unfold=ChooseUnfolding(unfold=draw(st.sampled_from(unfoldings))),
        group=ChooseGroups(grouped=draw(st.sampled_from(groupings))),
        route=RouteWords(draw(st.sampled_from(routes)), effort=0.02),
        schedule=Schedule(draw(st.sampled_from(schedules)), effort=0.02),
    )


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    network=st.one_of(perceptrons(), convolutions()),
    target=machines(),
    replicas=st.sampled_from([1, 2, 3, "fill", "balance"]),
    data=st.data(),
)
def test_whatever_compiles_is_sound_complete_and_exact(
    network: Network, target: Target, replicas: Copies, data: st.DataObject
) -> None:
    x = np.random.default_rng(0).standard_normal((4, *network.sample)).astype(np.float32)
    options = data.draw(pipelines(replicas))
    compiled = mho.compile(network.model, target, x, pipeline=options, stages=Stages(verify=True))
    assert check_program(compiled.program) == ()
    assert_each_weight_is_there_once_a_replica(compiled, replicas)
    found = compiled.run(x, effects=Effects.ideal())
    assert worst_error(found, reference(network.model, compiled, {"x": x}, None)) <= IDEAL_TOLERANCE
    assert_executors_agree(compiled)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    network=st.one_of(perceptrons(), convolutions()),
    target=machines(),
    pack=st.sampled_from(["none", "pipelined", "sequential"]),
    replicas=st.sampled_from([1, 2]),
    tiles=st.integers(1, 6),
    mode=st.sampled_from(["order", "alternate", "batch"]),
)
def test_a_reloaded_network_computes_what_a_large_machine_does(
    network: Network, target: Target, pack: Mode, replicas: Copies, tiles: int, mode: ReloadMode
) -> None:
    x = np.random.default_rng(0).standard_normal((3, *network.sample)).astype(np.float32)
    alone = replace(target, crossbar=replace(target.crossbar, analog_rows=None))
    large = pipeline(pack, replicas, effort=0.02, tiles=64)
    options = replace(
        large,
        reload=ReloadTiles(allow=True, mode=mode, inferences=20),
        partition=PartitionChips(chips=1, tiles=tiles, effort="fast"),
    )
    compiled = mho.compile(network.model, alone, x, pipeline=options, stages=Stages(verify=True))
    program = compiled.program
    assert check_program(program) == ()
    assert_each_weight_is_there_once_a_replica(compiled, replicas)
    room = min(tiles, alone.mesh.tiles or tiles)
    assert (program.reload is not None) == (len(program.cores) > room)
    assert program.reload is None or len(program.reload.sites) == room
    wanted = mho.compile(network.model, alone, x, pipeline=large).run(x, effects=Effects.quantised())
    found = compiled.run(x, effects=Effects.quantised())
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert_executors_agree(compiled)


def assert_each_weight_is_there_once_a_replica(compiled: mho.Compiled, replicas: Copies) -> None:
    program = compiled.program
    for matrix in program.matrices:
        loads = [load for core in program.cores for load in core.loads if load.matrix == matrix.name]
        copies = {load.replica for load in loads}
        assert copies == set(range(len(copies)))
        assert replicas in ("fill", "balance") or len(copies) == replicas
        # Ones where a group's weights stand; what lies between the groups is zero and need not be held.
        weights = np.kron(
            np.eye(matrix.groups), np.ones((matrix.rows // matrix.groups, matrix.columns // matrix.groups))
        )
        for replica in copies:
            held = np.zeros((matrix.rows, matrix.columns))
            for load in (load for load in loads if load.replica == replica):
                held[slice(*load.rows), slice(*load.columns)] += 1
            assert held.max() == 1
            assert np.all(held >= weights)


def assert_executors_agree(compiled: mho.Compiled) -> None:
    """The interpreter with the buffers that the program states, two positions at a time."""
    conditions = Conditions(effects=Effects.ideal())
    program = compiled.program
    units = Machine(program, conditions), Interpreter(program, conditions, together=2)
    for layer in program.layers:
        rows = np.random.default_rng(1).standard_normal((7, program.matrix(layer.matrix).rows)).astype(np.float32)
        answers = [unit.fire(layer.name, rows, np.arange(7)) for unit in units]
        np.testing.assert_allclose(answers[0], answers[1], atol=1e-5 * np.abs(answers[0]).max())

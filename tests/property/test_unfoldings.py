"""Random convolutions in every unfolding, beside onnxruntime in ideal mode and on both executors with all effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mho
from mho.examples.builder import Attribute, Builder
from mho.passes.unfold.groups import ChooseGroups
from mho.passes.unfold.unfold import ChooseUnfolding
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects, cell_formats
from mho.runtime.interpreter import Interpreter
from mho.runtime.machine import Machine
from mho.runtime.sequencer import Sequencer, Unit
from mho.stages import Stages
from mho.targets.check.check import check_program
from tests.compilations import Array, everything, pipeline, small
from tests.differential.reference import IDEAL_TOLERANCE, reference, worst_error

Form = Literal["im2col", "windows", "places", "auto"]
FORMS: tuple[Form, ...] = ("im2col", "windows", "places", "auto")


@dataclass(frozen=True)
class Network:
    """A model and the shape of one sample."""

    model: onnx.ModelProto
    sample: tuple[int, ...]


@st.composite
def convolutions(draw: st.DrawFn) -> Network:
    """One convolution of one to three axes, forwards or transposed, with bias, perhaps an addend, and ReLU."""
    rank, transposed = draw(st.sampled_from([1, 2, 2, 2, 3])), draw(st.sampled_from([False, False, True]))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    incoming, outgoing = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 4))

    def sides(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    kernel, sample = sides(1, 3), sides(5, 8)
    padding: dict[str, Attribute] = {"pads": sides(0, 1) + sides(0, 1), "dilations": sides(1, 2)}
    if not transposed and draw(st.booleans()):
        padding = {"auto_pad": draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER"]))}
    net = Builder("conv", seed=draw(st.integers(0, 99)))
    shape = (incoming, outgoing // groups) if transposed else (outgoing, incoming // groups)
    weight = net.weight("weight", *shape, *kernel, fan_in=incoming * int(np.prod(kernel)))
    x = net.input("x", ["N", incoming, *sample])
    kind = "ConvTranspose" if transposed else "Conv"
    attributes: dict[str, Attribute] = {"group": groups, "strides": sides(1, 2), **padding}
    y = net.op(kind, "conv", x, weight, net.bias("bias", outgoing), **attributes)
    if draw(st.booleans()):
        twin = net.weight("twin", *shape, *kernel, fan_in=incoming)
        y = net.op("Add", "sum", y, net.op(kind, "beside", x, twin, **attributes))
    net.output(net.op("Relu", "relu", y), ["N", outgoing, *"HWD"[:rank]])
    return Network(net.model, (incoming, *sample))


def compiled(network: Network, form: Form, target: mho.Target, x: Array) -> mho.Compiled:
    options = replace(
        pipeline(effort=0.02, tiles=None),
        unfold=ChooseUnfolding(unfold=form, most_tiles=2),
        group=ChooseGroups(grouped="auto"),
    )
    return mho.compile(network.model, target, x, pipeline=options, stages=Stages(verify=True))


def outputs(compiled: mho.Compiled, unit: Unit, effects: Effects, x: Array, first: int = 0) -> Array:
    program = compiled.program
    formats = cell_formats(program.target, effects)
    sequencer = Sequencer(program, unit, DigitalUnit(program.tensors), cells=formats)
    (found,) = sequencer.run({"x": x}, first).values()
    return np.asarray(found)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(convolutions())
def test_every_unfolding_is_exact_in_ideal_mode(network: Network) -> None:
    x = np.random.default_rng(0).standard_normal((3, *network.sample)).astype(np.float32)
    for form in FORMS:
        made = compiled(network, form, small(), x)
        assert check_program(made.program) == ()
        found = made.run(x, effects=Effects.ideal())
        assert worst_error(found, reference(network.model, made, {"x": x}, None)) <= IDEAL_TOLERANCE, form


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(convolutions(), st.sampled_from(FORMS))
def test_the_executors_agree_with_every_effect_however_samples_are_batched(network: Network, form: Form) -> None:
    x = np.random.default_rng(0).standard_normal((3, *network.sample)).astype(np.float32)
    made = compiled(network, form, everything(), x)
    effects = Effects()
    conditions = Conditions(effects=effects, seed=3)
    machine = Machine(made.program, conditions)
    whole = outputs(made, machine, effects, x)
    scale = float(np.abs(whole).max(initial=1e-6))
    np.testing.assert_allclose(
        outputs(made, Interpreter(made.program, conditions), effects, x), whole, atol=0.01 * scale
    )
    parts = [outputs(made, machine, effects, x[i : i + 1], i) for i in range(len(x))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=0.01 * scale)

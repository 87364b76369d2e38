"""The interpreter and the machine run the same program: the same sums, the same codes, the same noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import mho
from mho.examples.builder import Builder
from mho.passes.pack.pack import Mode
from mho.runtime.crossbar import program_blocks
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.interpreter import Interpreter
from mho.runtime.layers import layer_math
from mho.runtime.link import link_layer
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import Sequencer, Unit
from mho.targets.program import Program
from tests.compilations import WAYS, Copies, digits_on, digits_test, machine, pipeline

Array = NDArray[Any]

BEFORE_ADC = replace(Effects.quantised(), adc=False, digital_format=False)
CODES = replace(Effects.quantised(), digital_format=False)
NOISE_BEFORE_ADC = Effects(adc=False, digital_format=False, dac=False)
FLOAT32 = 2e-6
"""Of a layer's largest result: what the order of sums may change."""

SELDOM = 0.01
"""Part of the results that may stand a step aside."""


@dataclass
class Compared:
    """Implements `sequencer.Unit`: answers as one executor does, and compares the other's answer to the same inputs.

    Attributes:
        differences: layer → (largest difference in each column, part of the results that differ, largest result).
    """

    unit: Unit
    other: Unit
    differences: dict[str, tuple[Array, float, float]] = field(default_factory=dict)

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> NDArray[np.float32]:
        """See `sequencer.Unit.fire`."""
        value, other = (unit.fire(layer, rows, fires, addend) for unit in (self.unit, self.other))
        largest = float(np.abs(value).max(initial=1e-30))
        difference = np.abs(value - other)
        columns = difference.max(axis=0, initial=0)
        seen, part, most = self.differences.get(layer, (np.zeros_like(columns), 0.0, 0.0))
        apart = float((difference > FLOAT32 * largest).mean())
        self.differences[layer] = np.maximum(seen, columns), max(part, apart), max(most, largest)
        return value


def compare(
    compiled: mho.Compiled, data: Mapping[str, Array], effects: Effects, seed: int = 3
) -> dict[str, tuple[Array, float, float]]:
    """All layers of a run under these effects, an hour after programming where devices drift."""
    conditions = Conditions(effects=effects, seed=seed, time_s=3600.0)
    program = compiled.program
    compared = Compared(Machine(program, conditions), Interpreter(program, conditions))
    run_samples(match_samples(data, program.inputs), Sequencer(program, compared, DigitalUnit(program.tensors)).run)
    assert set(compared.differences) == {layer.name for layer in program.layers}
    return compared.differences


def steps(program: Program, layer: str) -> Array:
    """What one step of each converter of a column adds up to in the layer's result: [columns]."""
    bits = program.target.adc.bits
    math = next(m for m in layer_math(program) if m.layer == layer)
    loads = [load for core in program.cores for load in core.loads if load.matrix == math.matrix]
    ideal = Conditions(effects=Effects.ideal())
    linked = link_layer(program.cores, layer, program_blocks(program, loads, ideal))
    total = np.zeros(program.matrix(math.matrix).columns)
    if bits is None:
        return total
    for product in linked.replicas[0]:
        total[product.columns] += product.unit * product.adc_range / (2 ** (bits - 1) - 1)
    return total if math.scale is None else np.abs(total * math.scale)


def check(compiled: mho.Compiled, data: Mapping[str, Array]) -> None:
    """Sums equal to float32 rounding, codes equal but for one step aside, and the same with noise on."""
    for effects in (Effects.ideal(), BEFORE_ADC, NOISE_BEFORE_ADC):
        for layer, (difference, _, largest) in compare(compiled, data, effects).items():
            assert difference.max() <= FLOAT32 * largest, (layer, effects)
    for effects in (CODES, replace(Effects(), digital_format=False)):
        for layer, (difference, apart, largest) in compare(compiled, data, effects).items():
            # Drift compensation scales a step; on no machine by more than twice within an hour.
            slack = 1.001 if effects is CODES else 2.0
            assert np.all(difference <= slack * steps(compiled.program, layer) + FLOAT32 * largest), layer
            assert apart <= SELDOM, layer


@pytest.mark.parametrize(("target", "pack", "replicas"), WAYS)
def test_digits(target: str, pack: Mode, replicas: Copies) -> None:
    check(digits_on(target, pack, replicas), {"image": digits_test(6)[0]})


def test_noise_is_large_beside_the_agreement() -> None:
    images, _ = digits_test(6)
    compiled = digits_on("hermes64")
    noisy, exact = (compiled.run(images, effects=e)["logits"] for e in (NOISE_BEFORE_ADC, Effects.ideal()))
    assert np.abs(noisy - exact).max() > 1e3 * FLOAT32 * np.abs(exact).max()


@pytest.mark.parametrize("target", ["hermes64", "analog34", "small", "everything"])
def test_all_effects_end_to_end(target: str) -> None:
    """A number one step aside in one layer moves the next ones: in the end the results are alike, not equal."""
    images, _ = digits_test(20)
    compiled = digits_on(target)
    conditions = Conditions(seed=5)
    unit = Interpreter(compiled.program, conditions)
    samples = match_samples({"image": images}, compiled.program.inputs)
    found = run_samples(samples, Sequencer(compiled.program, unit, DigitalUnit(compiled.program.tensors)).run)["logits"]
    wanted = compiled.run(images, seed=5)["logits"]
    assert 10 * np.log10(np.sum(wanted**2) / np.sum((found - wanted) ** 2 + 1e-30)) > 30
    assert (found.argmax(1) == wanted.argmax(1)).all()


def _lstm() -> onnx.ModelProto:
    net = Builder("lstm", seed=3)
    sequence = net.lstm("cell", net.input("x", [7, "N", 20]), 20, 18)
    net.output(net.linear("out", sequence, 18, 5), [7, "N", 5])
    return net.model


def _depthwise() -> onnx.ModelProto:
    net = Builder("depthwise", seed=4)
    x = net.input("x", ["N", 40, 9, 9])
    weight = net.weight("depthwise.weight", 40, 1, 3, 3, fan_in=9)
    y = net.op("Conv", "depthwise", x, weight, net.bias("depthwise.bias", 40), group=40, pads=[1, 1, 1, 1])
    pointwise = net.weight("pointwise.weight", 24, 40, 1, 1, fan_in=40)
    net.output(net.op("Conv", "pointwise", net.op("Relu", "relu", y), pointwise), ["N", 24, 9, 9])
    return net.model


def _product(rows: int, columns: int) -> onnx.ModelProto:
    net = Builder("product", seed=5)
    x = net.input("x", ["N", rows])
    net.output(net.op("MatMul", "product", x, net.weight("weight", rows, columns, fan_in=rows)), ["N", columns])
    return net.model


@cache
def compiled_on(kind: str, target: str, pack: Mode = "pipelined", replicas: Copies = 1) -> mho.Compiled:
    model = {"lstm": _lstm, "depthwise": _depthwise}[kind]()
    options = pipeline(pack, replicas)
    return mho.compile(
        model, machine(target), samples_of(kind), pipeline=replace(options, pack=replace(options.pack, cuts="free"))
    )


def samples_of(kind: str) -> Array:
    shape = (3, 7, 1, 20) if kind == "lstm" else (3, 40, 9, 9)
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["lstm", "depthwise"])
@pytest.mark.parametrize(
    ("target", "pack", "replicas"),
    [
        ("small", "pipelined", 1),
        ("small", "sequential", 3),
        ("analog34", "none", 2),
        ("everything", "none", 1),
        ("everything", "pipelined", 2),
        ("everything", "sequential", 1),
    ],
)
def test_other_layers(kind: str, target: str, pack: Mode, replicas: Copies) -> None:
    check(compiled_on(kind, target, pack, replicas), {"x": samples_of(kind)})


def test_the_packer_cuts_matrices_and_groups_anew() -> None:
    """So that the comparison above has uneven rows, groups in blocks of their own and a group in two of them."""
    loads = [
        load
        for pack in ("pipelined", "sequential")
        for core in compiled_on("depthwise", "small", pack, 1).program.cores
        for load in core.loads
        if load.matrix.startswith("depthwise")
    ]
    heights = {load.rows[1] - load.rows[0] for load in loads}
    assert min(heights) < 9 and max(heights) > 9


def test_codes_differ_only_at_decision_thresholds() -> None:
    """One conversion a column: where the two give other codes, the sum lies within rounding of half a step."""
    x = np.random.default_rng(2).standard_normal((4000, 200)).astype(np.float32)
    compiled = mho.compile(_product(200, 150), "hermes64", x[:64], pipeline=pipeline())
    conditions = Conditions(effects=CODES)
    fires = np.arange(len(x))
    (layer,) = (facts.name for facts in compiled.program.layers)
    step = steps(compiled.program, layer)
    units = (Machine(compiled.program, conditions), Interpreter(compiled.program, conditions))
    codes, other = (unit.fire(layer, x, fires) / step for unit in units)
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
    before = Machine(compiled.program, Conditions(effects=BEFORE_ADC)).fire(layer, x, fires) / step
    np.testing.assert_array_equal(np.rint(codes), np.clip(np.rint(codes), -127, 127))
    apart = np.rint(codes) != np.rint(other)
    assert np.abs(np.rint(codes) - np.rint(other)).max() <= 1
    assert np.all(np.abs(before[apart] - np.floor(before[apart]) - 0.5) < 1e-3)
    inside = np.abs(before) < 126
    assert np.all(np.abs(np.rint(codes)[inside] - before[inside]) <= 0.5 + 1e-3)

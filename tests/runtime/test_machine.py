"""The machine beside exact arithmetic, beside a plain quantised reference, and under noise."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.passes.calibrate.observe import Observe
from mho.passes.levels.plan import Plan
from mho.passes.pack.pack import Mode
from mho.runtime.crossbar import ProgrammedBlock, largest_weights, program_blocks
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.exact import ExactUnit
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.samples import Samples, run_samples
from mho.runtime.sequencer import Sequencer
from mho.targets.errors import ProgramError
from mho.targets.program import Program, matrix_block
from mho.targets.steps import Analog, walk
from mho.targets.target import Core, Device, Noise, Target
from tests.plans import compile_model, draw, machine_of, network_of, parse, plan_for, program_of, reference

Array = NDArray[Any]
IDEAL = Conditions(effects=Effects.ideal())
QUANTISED = Conditions(effects=Effects.quantised())


def run(program: Program, data: Mapping[str, Array], conditions: Conditions, batch: int | None = None) -> Array:
    """The only output over all samples."""
    sequencer = Sequencer(program, Machine(program, conditions), DigitalUnit(program.tensors))
    samples = match_samples(data, program.inputs)
    chosen: Samples = samples if batch is None else replace(samples, batch=batch)
    (output,) = run_samples(chosen, sequencer.run).values()
    assert isinstance(output, np.ndarray)
    return output


def gemm(rows: int = 30, columns: int = 20) -> onnx.ModelProto:
    return parse(
        f"g (float[n, {rows}] x) => (float[n, {columns}] y) {{ h = Gemm(x, w, b)  y = Relu(h) }}",
        w=draw(1, rows, columns),
        b=draw(2, columns),
    )


def conv(groups: int = 1, channels: int = 4, outputs: int = 8) -> onnx.ModelProto:
    return parse(
        f"""g (float[n, {channels}, 5, 6] x) => (float[n, {outputs}, 5, 6] y) {{
            h = Conv <pads = [1, 1, 1, 1], group = {groups}> (x, w, b)
            y = LeakyRelu <alpha = 0.25> (h)
        }}""",
        w=draw(3, outputs, channels // groups, 3, 3),
        b=draw(4, outputs),
    )


def residual() -> onnx.ModelProto:
    return parse(
        """g (float[n, 4, 5, 6] x) => (float[n, 4, 5, 6] y) {
            a = Conv <pads = [1, 1, 1, 1]> (x, v)
            r = Relu(a)
            h = Conv <pads = [1, 1, 1, 1]> (r, w)
            s = Add(h, x)
            y = Relu(s)
        }""",
        v=draw(5, 4, 4, 3, 3) / 6,
        w=draw(6, 4, 4, 3, 3) / 6,
    )


def lstm(layout: str = "[t, n, 5]") -> onnx.ModelProto:
    body = "Y, h = LSTM <hidden_size = 6> (x, w, r, b)  y = Squeeze(h, zero)"
    if layout == "[n, t, 5]":
        body = "Y, h = LSTM <hidden_size = 6> (u, w, r, b)  u = Transpose <perm = [1, 0, 2]> (x)  y = Squeeze(h, zero)"
        body = " ".join(
            [body[body.index("u = ") : body.index("  y")], body[: body.index("  u")], body[body.index("y = ") :]]
        )
    return parse(
        f"g (float{layout} x) => (float[n, 6] y) {{ {body} }}",
        w=draw(7, 1, 24, 5) / 2,
        r=draw(8, 1, 24, 6) / 2,
        b=draw(9, 1, 48) / 2,
        zero=np.array([0]),
    )


def products() -> onnx.ModelProto:
    return parse("g (float[n, 3, 10] x) => (float[n, 3, 7] y) { y = MatMul(x, w) }", w=draw(10, 10, 7))


IMAGES = {"x": draw(20, 9, 4, 5, 6)}
VECTORS = {"x": draw(21, 11, 30)}
SEQUENCES = {"x": draw(22, 9, 4, 5)}
TOKENS = {"x": draw(23, 9, 3, 10)}
CASES = {
    "gemm": (gemm(), VECTORS),
    "conv": (conv(), IMAGES),
    "grouped": (conv(groups=2), IMAGES),
    "depthwise": (conv(groups=4), IMAGES),
    "residual": (residual(), IMAGES),
    "lstm": (lstm("[n, t, 5]"), SEQUENCES),
    "products": (products(), TOKENS),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("pack", "replicas", "analog_rows", "scale_tile"),
    [
        ("none", 1, None, False),
        ("none", 3, None, True),
        ("pipelined", 2, None, False),
        ("sequential", 1, 24, False),
        ("none", 2, 16, True),
    ],
)
def test_ideal_is_exact(case: str, pack: Mode, replicas: int, analog_rows: int | None, scale_tile: bool) -> None:
    model, data = CASES[case]
    target = machine_of(analog_rows=analog_rows, scale_tile=scale_tile)
    program = compile_model(model, data, target, pack, replicas)
    expected = reference(model, data)["y"]
    assert run(program, data, IDEAL) == pytest.approx(expected, rel=1e-5, abs=1e-5 * float(np.abs(expected).max()))


def test_weights_are_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compile_model(gemm(), VECTORS, machine_of())
    blocks: list[weakref.ref[ProgrammedBlock]] = []

    def watched(*arguments: Any) -> dict[int, ProgrammedBlock]:
        found = program_blocks(*arguments)
        blocks.extend(map(weakref.ref, found.values()))
        return found

    monkeypatch.setattr("mho.runtime.machine.program_blocks", watched)
    (layer,) = (s.name for s in walk(program.sequence) if isinstance(s, Analog))
    machine = Machine(program, QUANTISED)
    machine.fire(layer, VECTORS["x"], np.arange(len(VECTORS["x"])))
    assert blocks and all(block() is None for block in blocks)


def test_a_matrix_is_programmed_once_for_all_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = parse("g (float[n, 9] x) => (float[n, 9] y) { h = MatMul(x, w)  y = MatMul(h, w) }", w=draw(1, 9, 9))
    data = {"x": draw(2, 5, 9)}
    program = compile_model(model, data, machine_of())
    found: list[Any] = []

    def counted(*arguments: Any) -> Any:
        found.append(arguments)
        return program_blocks(*arguments)

    monkeypatch.setattr("mho.runtime.machine.program_blocks", counted)
    run(program, data, IDEAL, batch=2)
    assert len(found) == len(program.matrices)


def quantise(x: Array, full_scale: float, bits: int) -> Array:
    """A converter in float64, by the formula."""
    n = 2 ** (bits - 1) - 1
    return np.asarray(np.clip(np.rint(x * n / full_scale), -n, n) * (full_scale / n))


def quantised_layer(plan: Plan, layer: str, rows: Array, bits: int) -> Array:
    """What each converter of replica 0 gives, block by block: [positions, columns]."""
    ranged = plan.routing.placement.partition.ranged
    calibrated, target = ranged.tiling.calibrated, ranged.tiling.target
    (step,) = (s for s in walk(calibrated.network.steps) if isinstance(s, Analog) and s.name == layer)
    program = program_of(plan)
    stored = program.tensors[f"matrix/{step.matrix}"]
    full_scale = calibrated.layers[layer].input_range
    total = np.zeros((len(rows), calibrated.network.matrices[step.matrix].columns))
    heads = [b for b in ranged.tiling.blocks if b.matrix == step.matrix and b.replica == 0 and b.converter == b.number]
    for head in heads:
        sharing = [b for b in ranged.tiling.blocks if b.converter == head.number]
        span = (sharing[0].rows[0], sharing[-1].rows[1])
        weights = matrix_block(stored, span, head.columns)
        unit = largest_weights(weights, target.crossbar.weight_scale).astype(np.float64)
        drive = quantise(rows[:, slice(*span)].astype(np.float64) / full_scale, 1.0, bits)
        found = quantise(drive @ (weights / unit), ranged.adc_ranges[layer, head.number], bits)
        total[:, slice(*head.columns)] += found * unit * full_scale
    return total


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("analog_rows", "scale_tile"), [(None, False), (None, True), (16, False), (64, True)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_quantised_is_the_formula(bits: int, analog_rows: int | None, scale_tile: bool, groups: int) -> None:
    model = conv(groups)
    target = machine_of(bits=bits, analog_rows=analog_rows, scale_tile=scale_tile)
    network = network_of(model)
    plan = plan_for(Observe().run(network, match_samples(IMAGES, network.inputs), target), target)
    (layer,) = (s.name for s in network.steps if isinstance(s, Analog))
    program = program_of(plan)
    rows = draw(30, 50, network.matrices[layer].rows)
    found = Machine(program, QUANTISED).fire(layer, rows, np.arange(len(rows)))
    expected = quantised_layer(plan, layer, rows, bits) + draw(4, 8)
    step = max(plan.routing.placement.partition.ranged.adc_ranges.values()) / (2 ** (bits - 1) - 1)
    unlike = np.abs(found - expected) > 1e-4
    assert np.mean(unlike) < 0.002, "codes differ but where a sum lies on a threshold"
    assert np.abs(found - expected).max() <= 1e-4 + 40 * step
    exact = ExactUnit(program).fire(layer, rows, np.arange(len(rows)))
    assert np.abs(exact - found).max() > 1e-3


@pytest.mark.parametrize("pack", ["pipelined", "sequential"])
@pytest.mark.parametrize("replicas", [2, 3])
def test_packing_and_replicas_change_nothing_without_noise(pack: Mode, replicas: int) -> None:
    for model, data in CASES.values():
        plain = run(compile_model(model, data, machine_of()), data, QUANTISED)
        packed = run(compile_model(model, data, machine_of(), pack, replicas), data, QUANTISED)
        assert packed == pytest.approx(plain, abs=1e-6)


def test_switches_act_alone() -> None:
    model, data = CASES["gemm"]
    program = compile_model(model, data, machine_of(bits=4))
    ideal = run(program, data, IDEAL)
    only_dac, only_adc = (
        run(program, data, Conditions(effects=replace(Effects.ideal(), **{name: True}))) for name in ("dac", "adc")
    )
    assert not np.allclose(only_dac, ideal, atol=1e-3)
    assert not np.allclose(only_adc, ideal, atol=1e-3)
    assert not np.allclose(only_adc, only_dac, atol=1e-3)


def test_the_number_format_rounds_at_the_end() -> None:
    model, data = CASES["conv"]
    target = replace(machine_of(), core=Core(digital_format="float16"))
    program = compile_model(model, data, target)
    (layer,) = (s.name for s in program.sequence if isinstance(s, Analog))
    rows = draw(31, 20, 36)
    found = Machine(program, QUANTISED).fire(layer, rows, np.arange(20))
    assert np.array_equal(found, found.astype(np.float16).astype(np.float32))
    without = Conditions(effects=replace(Effects.quantised(), digital_format=False))
    wide = Machine(program, without).fire(layer, rows, np.arange(20))
    assert np.array_equal(found, wide.astype(np.float16).astype(np.float32))
    assert not np.array_equal(found, wide)


def noisy(**changes: Any) -> Target:
    target = replace(machine_of(), device=Device(model="pcm"), noise=Noise(output=0.02))
    return replace(target, **changes)


def test_the_seed_decides() -> None:
    model, data = CASES["conv"]
    program = compile_model(model, data, noisy())
    first, again, other = (run(program, data, Conditions(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)


def test_time_changes_devices_and_not_the_noise_of_fires() -> None:
    model, data = CASES["gemm"]
    program = compile_model(model, data, noisy())
    early, late = (run(program, data, Conditions(seed=1, time_s=t)) for t in (25.0, 86400.0))
    assert not np.allclose(early, late, atol=1e-3)
    still = Effects(drift=False, read_noise=False, compensation=False)
    early, late = (run(program, data, Conditions(seed=1, time_s=t, effects=still)) for t in (25.0, 86400.0))
    assert np.array_equal(early, late)


def test_replicas_have_devices_of_their_own() -> None:
    model, data = CASES["gemm"]
    program = compile_model(model, {"x": np.repeat(VECTORS["x"][:1], 4, 0)}, noisy(noise=Noise()), replicas=2)
    rows = run(program, {"x": np.repeat(data["x"][:1], 4, 0)}, Conditions())
    assert np.array_equal(rows[0], rows[2])
    assert np.array_equal(rows[1], rows[3])
    assert not np.allclose(rows[0], rows[1], atol=1e-3)


def test_equal_samples_have_noise_of_their_own() -> None:
    for fixed in ("n", "1"):
        model = parse(
            f"g (float[{fixed}, 6, 4] x) => (float[m, 5] y) {{ h = Reshape(x, s)  y = MatMul(h, w) }}",
            s=np.array([-1, 4]),
            w=draw(1, 4, 5),
        )
        data = {"x": np.repeat(draw(2, 1, 6, 4), 3, 0)}
        program = compile_model(model, data, noisy())
        sequencer = Sequencer(program, Machine(program, Conditions()), DigitalUnit(program.tensors))
        outputs = [sequencer.run({"x": data["x"][i : i + 1]}, i)["y"] for i in range(3)]
        assert not np.allclose(outputs[0], outputs[1], atol=1e-3)
        assert not np.allclose(outputs[1], outputs[2], atol=1e-3)


SPLIT = {name: case for name, case in CASES.items() if name != "residual"}
PROGRAMS = {name: compile_model(model, data, noisy(), "pipelined", 2) for name, (model, data) in SPLIT.items()}


@pytest.mark.parametrize("case", SPLIT)
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_split_does_not_change_the_noise(case: str, batch: int) -> None:
    data = SPLIT[case][1]
    whole = run(PROGRAMS[case], data, Conditions(seed=3), batch=1000)
    split = run(PROGRAMS[case], data, Conditions(seed=3), batch=batch)
    allowed = 1e-4 * float(np.abs(whole).max())
    assert np.mean(np.abs(split - whole) > allowed) < 0.01, "sums on a threshold of a converter aside"


@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 12), first=st.integers(0, 8))
def test_a_sample_alone_is_as_among_others(batch: int, first: int) -> None:
    program, data = PROGRAMS["gemm"], VECTORS["x"]
    sequencer = Sequencer(program, Machine(program, Conditions(seed=3)), DigitalUnit(program.tensors))
    whole = sequencer.run({"x": data})["y"]
    part = sequencer.run({"x": data[first : first + batch]}, first)["y"]
    assert np.mean(np.abs(part - whole[first : first + batch]) > 1e-4) < 0.02


def test_time_major_sequences_are_counted_by_sample() -> None:
    model, data = lstm(), np.ascontiguousarray(SEQUENCES["x"].transpose(1, 0, 2))
    network = network_of(model)
    target = noisy()
    samples = Samples({"x": data[None]}, 0)
    program = program_of(plan_for(Observe().run(network, samples, target), target))
    sequencer = Sequencer(program, Machine(program, Conditions(seed=3)), DigitalUnit(program.tensors))
    whole = sequencer.run({"x": data})["y"]
    parts = [sequencer.run({"x": data[:, i : i + 3]}, i)["y"] for i in range(0, 9, 3)]
    assert np.mean(np.abs(np.concatenate(parts) - whole) > 1e-4) < 0.02


def test_nothing_to_fire() -> None:
    program = compile_model(*CASES["conv"], machine_of(), replicas=2)
    (layer,) = (s.name for s in program.sequence if isinstance(s, Analog))
    found = Machine(program, Conditions()).fire(layer, np.zeros((0, 36), np.float32), np.zeros(0, np.int64))
    assert found.shape == (0, 8)


def test_more_positions_than_one_product_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = CASES["conv"]
    program = compile_model(model, data, noisy(), replicas=2)
    whole = run(program, data, Conditions())
    monkeypatch.setattr("mho.runtime.machine.CHUNK_POSITIONS", 7)
    assert np.mean(np.abs(run(program, data, Conditions()) - whole) > 1e-4) < 0.01


def test_a_layer_that_no_core_fires_is_an_error() -> None:
    program = compile_model(*CASES["gemm"], machine_of())
    idle = replace(program, cores=tuple(replace(core, kernels=()) for core in program.cores))
    with pytest.raises(ProgramError, match="no core has a kernel for layer"):
        run(idle, VECTORS, IDEAL)

"""The machine as torch tensors beside the reference, on the processor and, where there is one, on a GPU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mho
from mho.runtime.converters import convert
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.engines.choice import Engine, require_engine
from mho.runtime.engines.conversions import ROUNDER, Drive, Noise
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.random import WORD, firing_normals, key
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import FastUnit, Sequencer
from mho.runtime.simulator import Simulator
from mho.targets.errors import OptionError, ProgramError
from mho.targets.program import Program
from tests.compilations import digits_on, digits_test
from tests.plans import compile_model, draw, parse
from tests.runtime.engines.test_fused import SELDOM, VARIED, Opening, check, compare, noisy
from tests.runtime.test_machine import CASES

torch = pytest.importorskip("torch")

Array = NDArray[Any]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def on(device: str) -> Opening:
    from mho.runtime.engines.cuda import CudaMachine

    return partial(CudaMachine, device=device)


def outputs(program: Program, data: dict[str, Array], unit: FastUnit, batch: int = 1000) -> Array:
    samples = replace(match_samples(data, program.inputs), batch=batch)
    (found,) = run_samples(samples, Sequencer(program, unit, DigitalUnit(program.tensors)).run).values()
    return np.asarray(found)


def alike(found: Array, wanted: Array) -> None:
    """Equal, but for sums that a threshold of a converter puts aside."""
    assert found.shape == wanted.shape
    assert np.mean(np.abs(found - wanted) > 1e-4 * np.abs(wanted).max()) < SELDOM


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("first", [0, 12345, 2**61, 2**63 - 50])
@pytest.mark.parametrize("columns", [1, 4, 7, 256])
def test_draws_are_those_of_the_generator(columns: int, first: int, device: str) -> None:
    from mho.runtime.engines.torch_draws import draw_table, normals

    found, fires = key(1, "noise"), np.arange(first, first + 40)
    noise = Noise(np.array([found & WORD], np.uint64), np.array([found >> 64], np.uint64), np.float32(1))
    drawn = normals(noise, 0, torch.from_numpy(fires).to(device), columns, draw_table(device))
    assert np.array_equal(drawn.cpu().numpy(), firing_normals(found, fires, columns))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("full_scale", [0.7, 1.0, 3.0, 1e-3, 6.1])
def test_dacs_are_those_of_the_reference(full_scale: float, device: str) -> None:
    """To the last bit: a GPU's product with a reciprocal would be a code aside now and then."""
    from mho.runtime.engines.torch_strips import on_rows

    scale, codes = np.float32(full_scale), np.float32(127)
    x = draw(1, 400, 50).astype(np.float32) * scale
    x[:, 0] = (np.arange(400, dtype=np.float32) - 200) / 2 / codes * scale
    x[0, 1:4] = np.nan, np.inf, -np.inf
    dac = Drive(scale, codes, codes, ROUNDER, np.float32(1) / codes)
    found = on_rows(torch.from_numpy(x).to(device), torch.tensor(scale, device=device), dac)
    assert np.array_equal(found.cpu().numpy(), convert(x / scale, 1.0, 8), equal_nan=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("machine", VARIED)
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_layer(case: str, machine: str, replicas: int, device: str) -> None:
    model, data = CASES[case]
    check(compile_model(model, data, VARIED[machine](), replicas=replicas), data, on(device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("target", ["hermes64", "everything"])
def test_digits(target: str, device: str) -> None:
    check(digits_on(target).program, {"image": digits_test(6)[0]}, on(device))


def test_convolutions_are_fired_as_pictures() -> None:
    model, data = CASES["residual"]
    assert compare(compile_model(model, data, noisy()), data, Effects(), on("cpu")).pictures == 2
    assert compare(compile_model(model, data, noisy(), replicas=2), data, Effects(), on("cpu")).pictures == 0


STEPS = ["pads = [2, 0, 1, 3]", "strides = [2, 3]", "dilations = [2, 1]"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("attributes", [*STEPS, 'auto_pad = "SAME_LOWER"'])
def test_convolutions_of_every_step(attributes: str, device: str) -> None:
    """19 channels of 6 taps lie in blocks of 32 rows, so that blocks begin and end within a channel."""
    model = parse(
        f"g (float[n, 19, 9, 8] x) => (float[n, 5, h, w] y) {{ y = Conv <{attributes}> (x, w) }}",
        w=draw(3, 5, 19, 3, 2),
    )
    data = {"x": draw(20, 3, 19, 9, 8)}
    assert check(compile_model(model, data, noisy()), data, on(device)).pictures > 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("sizes", "taps"), [((11,), (3,)), ((5, 4, 6), (2, 1, 3))])
def test_convolutions_of_one_and_three_axes(sizes: tuple[int, ...], taps: tuple[int, ...], device: str) -> None:
    shape = ", ".join(map(str, sizes))
    text = f"g (float[n, 6, {shape}] x) => (float[n, 5, {', '.join('abc'[: len(sizes)])}] y) {{ y = Conv (x, w) }}"
    data = {"x": draw(20, 3, 6, *sizes)}
    program = compile_model(parse(text, w=draw(3, 5, 6, *taps)), data, noisy())
    assert check(program, data, on(device)).pictures > 0


@pytest.mark.parametrize(
    ("attributes", "pictured"), [("strides = [2, 2]", False), ("pads = [3, 0, 2, 4]", True)], ids=["spread", "cut"]
)
def test_transposed_convolutions(attributes: str, pictured: bool) -> None:
    """Inputs that are spread are fired on rows; those that lose their edges are pictures."""
    text = f"g (float[n, 4, 9, 9] x) => (float[n, 3, h, w] y) {{ y = ConvTranspose <{attributes}> (x, w) }}"
    data = {"x": draw(20, 3, 4, 9, 9)}
    compared = check(compile_model(parse(text, w=draw(3, 4, 3, 3, 3)), data, noisy()), data, on("cpu"))
    assert (compared.pictures > 0) == pictured


@pytest.mark.parametrize("case", ["gemm", "conv", "residual", "lstm"])
def test_parts_and_batches_change_no_draw(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = CASES[case]
    program, opened = compile_model(model, data, VARIED["float16"]()), on("cpu")
    whole = outputs(program, data, opened(program, Conditions(seed=3)))
    for batch in (1, 3):
        alike(outputs(program, data, opened(program, Conditions(seed=3)), batch), whole)
    monkeypatch.setattr("mho.runtime.engines.cuda.CHUNK_NUMBERS", 1)
    alike(outputs(program, data, opened(program, Conditions(seed=3))), whole)


def test_arrays_that_may_not_be_written_to() -> None:
    model, data = CASES["residual"]
    program = compile_model(model, data, noisy())
    wanted = outputs(program, data, on("cpu")(program, Conditions(seed=3)))
    frozen = {name: value.copy() for name, value in data.items()}
    for value in frozen.values():
        value.setflags(write=False)
    assert np.array_equal(outputs(program, frozen, on("cpu")(program, Conditions(seed=3))), wanted)


def test_a_full_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("mho.runtime.engines.torch_strips.TensorStrip.fire", full)
    for case in ("gemm", "conv"):
        model, data = CASES[case]
        program = compile_model(model, data, noisy())
        with pytest.raises(ProgramError, match="needs more memory than there is"):
            outputs(program, data, on("cpu")(program, Conditions()))


@pytest.fixture(params=DEVICES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine cuda, on a device that is there."""
    monkeypatch.setattr("mho.runtime.engines.choice.require_cuda", lambda: None)
    monkeypatch.setattr("mho.runtime.engines.cuda.CudaMachine", on(request.param))
    return "cuda"


def test_the_engine_runs_measures_and_recalibrates(engine: Engine) -> None:
    compiled, images = mho.Compiled(digits_on("hermes64").program), digits_test(40)[0]
    for recalibrate in (None, images[:20]):
        found, wanted = (
            compiled.run(images, seed=5, engine=e, recalibrate=recalibrate)["logits"] for e in (engine, "fast")
        )
        assert np.abs(found - wanted).mean() < 0.02 * np.abs(wanted).max()
    simulator, samples = Simulator(compiled.program, engine), match_samples({"x": images}, compiled.program.inputs)
    sequencer, probed = simulator.probed(Conditions(seed=3))
    run_samples(samples, sequencer.run)
    assert set(probed.layers) == {"conv1", "conv2", "conv3", "dense1", "dense2"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu() -> None:
    with pytest.raises(OptionError, match="the engine cuda needs an NVIDIA GPU, and PyTorch finds none here"):
        require_engine("cuda")


def test_layers_that_are_not_plain_are_left_to_the_reference() -> None:
    from mho.runtime.engines.cuda import CudaMachine

    program = digits_on("everything").program
    machine = CudaMachine(program, Conditions(), "cpu")
    assert all(machine._replicas(layer.name) is None for layer in program.layers)
    images = {"image": digits_test(6)[0]}
    wanted = outputs(program, images, Machine(program, Conditions(seed=3)))  # type: ignore[arg-type]
    alike(outputs(program, images, CudaMachine(program, Conditions(seed=3), "cpu")), wanted)

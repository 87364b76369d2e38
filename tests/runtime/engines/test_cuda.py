"""The machine as torch tensors beside the reference, on the processor and, where there is one, on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.engines.conversions import Noise
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.random import WORD, firing_normals, key
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import Sequencer
from mho.targets.program import Program
from tests.compilations import digits_on, digits_test
from tests.differential.test_executors import FLOAT32, SELDOM, Compared, steps
from tests.plans import compile_model
from tests.runtime.engines.test_fused import CODES, EXACT, NOISY_CODES, SUMS, VARIED
from tests.runtime.test_machine import CASES

torch = pytest.importorskip("torch")

Array = NDArray[Any]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def compare(program: Program, data: dict[str, Array], effects: Effects, device: str) -> Compared:
    from mho.runtime.engines.cuda import CudaMachine

    conditions = Conditions(effects=effects, seed=3, time_s=3600.0)
    compared = Compared(Machine(program, conditions), CudaMachine(program, conditions, device))
    run_samples(match_samples(data, program.inputs), Sequencer(program, compared, DigitalUnit(program.tensors)).run)
    return compared


def check(program: Program, data: dict[str, Array], device: str) -> None:
    for effects in (EXACT, SUMS):
        for layer, (difference, _, largest) in compare(program, data, effects, device).differences.items():
            assert difference.max() <= FLOAT32 * largest, (layer, effects)
    for effects in (CODES, NOISY_CODES):
        for layer, (difference, apart, largest) in compare(program, data, effects, device).differences.items():
            slack = 1.001 if effects is CODES else 2.0
            assert np.all(difference <= slack * steps(program, layer) + FLOAT32 * largest), layer
            assert apart <= SELDOM, layer


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
@pytest.mark.parametrize("machine", VARIED)
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_layer(case: str, machine: str, device: str) -> None:
    model, data = CASES[case]
    check(compile_model(model, data, VARIED[machine](), replicas=2), data, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("target", ["hermes64", "everything"])
def test_digits(target: str, device: str) -> None:
    check(digits_on(target).program, {"image": digits_test(6)[0]}, device)


def test_parts_of_a_layer_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from mho.runtime.engines.cuda import CudaMachine

    model, data = CASES["gemm"]
    program = compile_model(model, data, VARIED["float16"]())
    layer, fires = program.layers[0].name, np.arange(len(data["x"]))
    whole = CudaMachine(program, Conditions(), "cpu").fire(layer, data["x"], fires)
    monkeypatch.setattr("mho.runtime.engines.cuda.CHUNK_NUMBERS", 300)
    parts = CudaMachine(program, Conditions(), "cpu").fire(layer, data["x"], fires)
    assert np.mean(np.abs(parts - whole) > 1e-4) < SELDOM


def test_the_user_s_precision_is_left_as_it_was() -> None:
    from mho.runtime.engines.cuda import exact_products

    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    for wished in (True, False):
        matmul.allow_tf32 = wished
        with exact_products():
            assert not matmul.allow_tf32
        assert matmul.allow_tf32 == wished
    matmul.allow_tf32 = before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu() -> None:
    from mho.targets.errors import OptionError

    with pytest.raises(OptionError, match="the engine cuda needs an NVIDIA GPU, and PyTorch finds none here"):
        digits_on("hermes64").run(digits_test(2)[0], engine="cuda")


def test_layers_that_are_not_plain_are_left_to_the_reference() -> None:
    from mho.runtime.engines.cuda import CudaMachine

    program = digits_on("everything").program
    machine = CudaMachine(program, Conditions(), "cpu")
    assert all(machine._replicas(layer.name) is None for layer in program.layers)

"""`mho export`: the file it writes, its options, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import mho
from mho.examples import digits
from mho.export import files
from mho.runtime.effects import Conditions, Effects
from tests.compilations import digits_on, digits_test
from tests.compiler.export.agreement import model_of, outputs_of
from tests.shell import Shell


@pytest.fixture
def program(tmp_path: Path) -> Path:
    digits_on("hermes64").save(tmp_path / "digits.mho")
    return tmp_path / "digits.mho"


def logits(path: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> object:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"image": images})[0]


def test_the_file_computes_what_the_machine_does(run: Shell, program: Path) -> None:
    found = run("export", program, "-o", "m.onnx", "--off", "output_noise", "--time", "1d", "--seed", "3")
    assert (found.code, found.out, found.err) == (0, "", "wrote m.onnx\n")
    onnx.checker.check_model("m.onnx", full_check=True)
    images = digits_test(4)[0]
    expected = mho.load(str(program)).run(images, effects=Effects(output_noise=False), seed=3, time_s=86_400.0)
    largest = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(np.asarray(logits(Path("m.onnx"), images)), expected["logits"], atol=0.02 * largest)
    remarks = {entry.key: entry.value for entry in onnx.load("m.onnx").metadata_props}
    assert remarks["mho.target"] == "hermes64" and remarks["mho.time_s"] == "86400" and remarks["mho.seed"] == "3"


def test_weights_in_a_file_of_their_own(run: Shell, program: Path, tmp_path: Path) -> None:
    assert run("export", program, "-o", "one.onnx", "--quantised").code == 0
    found = run("export", program, "-o", "two.onnx", "--quantised", "--external-data", "--json")
    assert found.code == 0 and found.err == "wrote two.onnx and two.onnx.data\n"
    assert found.json["files"]["two.onnx.data"] > 100_000 > found.json["files"]["two.onnx"]
    onnx.checker.check_model("two.onnx", full_check=True)
    images = digits_test(4)[0]
    np.testing.assert_array_equal(logits(Path("one.onnx"), images), logits(Path("two.onnx"), images))


def test_more_than_a_protobuf_holds_wants_a_file_of_its_own(
    run: Shell, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    found = run("export", program, "-o", "m.onnx")
    assert found.code == 1 and "a protobuf holds 1,000: give --external-data" in found.err
    assert not Path("m.onnx").exists()
    assert run("export", program, "-o", "m.onnx", "--external-data").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("-o", "digits.mho"), 2, "is an input of this command"),
        (("-o", "nowhere/m.onnx"), 1, "there is no folder nowhere"),
        (("-o", "m.onnx", "--time", "1h,2h"), 2, "--time takes one time here"),
        (("-o", "m.onnx", "--ideal", "--quantised"), 2, "exclude each other"),
        (("-o", "m.onnx", "--format", "tflite"), 2, "Invalid value for '--format'"),
        ((), 2, "Missing option '-o'"),
    ],
)
def test_mistakes(run: Shell, program: Path, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = run("export", program, *arguments)
    assert found.code == code and expected in found.err
    assert not Path("m.onnx").exists()


def test_recalibration_is_part_of_the_model(program: Path, tmp_path: Path) -> None:
    compiled, images = digits_on("hermes64"), digits_test(8)[0]
    effects, calibration = Effects(output_noise=False), np.load(digits().calibration_data)["image"]
    compiled.export(tmp_path / "m.onnx", effects=effects, time_s=86_400.0, recalibrate=calibration)
    expected = compiled.run(images, effects=effects, time_s=86_400.0, recalibrate=calibration)["logits"]
    plain = compiled.run(images, effects=effects, time_s=86_400.0)["logits"]
    found = np.asarray(logits(tmp_path / "m.onnx", images))
    assert np.abs(found - expected).max() <= 0.02 * np.abs(expected).max() < np.abs(plain - expected).max()


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    compiled = digits_on("hermes64")
    first, second = (model_of(compiled, Conditions(seed=1)).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_noise_is_fresh_at_every_run_and_in_every_sample() -> None:
    compiled = digits_on("hermes64")
    session = ort.InferenceSession(
        model_of(compiled, Conditions()).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image = np.repeat(digits_test(1)[0], 3, axis=0)
    first, second = (session.run(["logits"], {"image": image})[0] for _ in range(2))
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 6
    quiet = model_of(compiled, Conditions(effects=Effects.quantised()))
    assert len(np.unique(outputs_of(compiled, quiet, {"image": image})["logits"], axis=0)) == 1

"""The driver on the bundled network: from ONNX to results, and the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import mho
from mho.driver import NO_DATA, options_of
from mho.examples import digits
from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Mode
from mho.passes.solver import Effort
from mho.pipeline import STAGES
from mho.runtime.effects import Effects
from mho.stages import BrokenLevelError, Stages, StoppedError
from mho.targets.check.check import check_program
from mho.targets.program_file import check_tensors, read_program
from tests.compilations import WAYS, Copies, digits_on, digits_test, pipeline, small

ORDERS: tuple[Effort, ...] = ("fast", "normal")


def test_four_lines_go_the_whole_way() -> None:
    files = digits()
    compiled = mho.compile(files.model, target="hermes64", data=files.calibration_data)
    images, labels = digits_test()
    outputs = compiled.run(images)
    assert outputs["logits"].shape == (500, 10)
    assert outputs["logits"].dtype == np.float32
    accuracy = compiled.validate(images, labels, runs=2, model=files.model)
    assert accuracy.reference.kind == "onnxruntime"
    assert accuracy.reference.accuracy == pytest.approx(0.988)
    assert [run.seed for run in accuracy.runs] == [0, 1]
    assert accuracy.mean is not None and accuracy.mean > 0.96
    assert {layer.name for layer in accuracy.layers} == {layer.name for layer in compiled.program.layers}
    report = compiled.report(accuracy)
    assert "digits" in report.text()
    assert report.html().startswith("<!doctype html>")
    assert compiled.program.manifest.warnings == ()


@pytest.mark.parametrize(("target", "pack", "replicas"), WAYS)
def test_every_way_of_compiling_gives_a_sound_program(target: str, pack: Mode, replicas: Copies) -> None:
    program = digits_on(target, pack, replicas).program
    assert check_program(program) == ()
    mapped = Counter[tuple[str, int]]()
    for core in program.cores:
        for load in core.loads:
            rows, columns = load.rows[1] - load.rows[0], load.columns[1] - load.columns[0]
            mapped[load.matrix, load.replica] += rows * columns
    sizes = {m.name: m.rows * m.columns for m in program.matrices}
    assert {matrix for matrix, _ in mapped} == set(sizes)
    assert all(cells == sizes[matrix] for (matrix, _), cells in mapped.items())
    copies = Counter(matrix for matrix, _ in mapped)
    if replicas == "fill":
        assert max(copies.values()) > 1
    else:
        assert set(copies.values()) == {replicas}


@pytest.mark.parametrize(("target", "pack", "replicas"), WAYS)
def test_ideal_mode_equals_onnxruntime_everywhere(target: str, pack: Mode, replicas: Copies) -> None:
    images, labels = digits_test(64)
    compiled = digits_on(target, pack, replicas)
    accuracy = compiled.validate(images, labels, model=digits().model, effects=Effects.ideal())
    error = accuracy.runs[0].max_abs_error
    assert error is not None
    assert error <= 1e-4 * float(np.abs(compiled.run(images, effects=Effects.ideal())["logits"]).max())


def test_the_same_input_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    files = digits()
    for effort in ORDERS:
        options = pipeline("pipelined", 2, effort)
        mho.compile(files.model, small(), files.calibration_data, pipeline=options).save(tmp_path / f"{effort}.mho")
    script = (
        "from tests.compiler.test_driver import *\n"
        "files = digits()\n"
        "for effort in ORDERS:\n"
        "    options = pipeline('pipelined', 2, effort)\n"
        "    compiled = mho.compile(files.model, small(), files.calibration_data, pipeline=options)\n"
        f"    compiled.save({str(tmp_path)!r} + f'/{{effort}}-again.mho')\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    for effort in ORDERS:
        assert (tmp_path / f"{effort}.mho").read_bytes() == (tmp_path / f"{effort}-again.mho").read_bytes()


def test_a_program_survives_its_file(tmp_path: Path) -> None:
    compiled = digits_on("small", "sequential", 2)
    compiled.save(tmp_path / "digits.mho")
    loaded = mho.load(str(tmp_path / "digits.mho"))
    check_tensors(loaded.program)
    assert loaded.program == compiled.program
    assert read_program(tmp_path / "digits.mho") == compiled.program
    images, _ = digits_test(16)
    np.testing.assert_array_equal(loaded.run(images)["logits"], compiled.run(images)["logits"])


def test_results_do_not_depend_on_how_samples_are_batched() -> None:
    compiled = digits_on("hermes64")
    images, _ = digits_test(100)
    whole = compiled.run(images, seed=3, time_s=86_400.0)["logits"]
    first = compiled.run(images[:37], seed=3, time_s=86_400.0)["logits"]
    np.testing.assert_allclose(first, whole[:37], rtol=1e-5, atol=1e-5 * np.abs(whole).max())
    other = compiled.run(images, seed=4, time_s=86_400.0)["logits"]
    assert np.abs(other - whole).max() > 1e-2


def test_without_data_the_program_says_so() -> None:
    compiled = mho.compile(digits().model, pipeline=pipeline())
    assert compiled.program.manifest.warnings == (NO_DATA,)
    assert "--data FILE.npz" in compiled.report().text()


def test_more_chips_than_were_ever_built_is_a_warning() -> None:
    (warning,) = digits_on("analog34", "none", 100).program.manifest.warnings
    assert "published" in warning and "5" in warning


@pytest.mark.parametrize("last", STAGES)
def test_stopping_after_a_stage_runs_no_later_one(last: str) -> None:
    seen: list[str] = []
    stages = Stages(dump=("all",), stop_after=last, write=lambda stage, text: seen.append(stage))
    with pytest.raises(StoppedError, match=last):
        mho.compile(digits().model, data=digits_test(4)[0], pipeline=pipeline(), stages=stages)
    assert seen == list(STAGES[: STAGES.index(last) + 1])


def test_a_broken_level_names_the_pass() -> None:
    kept: list[Tiling] = []
    stages = Stages(stop_after="pack")

    def keep(name: str, tiling: Tiling) -> None:
        kept.append(tiling)

    with pytest.raises(StoppedError), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mho.stages.level_text", lambda level: level)
        mho.compile(digits().model, data=digits_test(4)[0], stages=replace(stages, dump=("pack",), write=keep))  # type: ignore[arg-type]
    twice = replace(kept[0], tiles=(*kept[0].tiles, kept[0].tiles[0]))
    with pytest.raises(BrokenLevelError, match="pass pack broke the level"):
        Stages(verify=True)("pack", lambda: twice)


def test_every_option_is_recorded() -> None:
    options = digits_on("small", "sequential", "fill").program.manifest.options
    assert options == options_of(pipeline("sequential", "fill"))
    assert options["pack.mode"] == "sequential"
    assert options["replicate.replicas"] == "fill"
    assert options["place.effort"] == "fast"
    assert {key.split(".")[0] for key in options} >= {"pack", "observe", "ranges", "replicate", "partition", "place"}


def test_a_model_in_memory_is_as_good_as_a_file() -> None:
    images, _ = digits_test(4)
    proto = onnx.load(digits().model)
    compiled = mho.compile(proto, data={"image": images}, pipeline=pipeline())
    logits = compiled.run({"image": images}, effects=Effects.ideal())["logits"]
    from_file = digits_on("ideal256").run(images, effects=Effects.ideal())["logits"]
    np.testing.assert_allclose(logits, from_file, atol=1e-5 * np.abs(from_file).max())
    assert compiled.program.manifest.model_digest


COUNTER = """
<ir_version: 10, opset_import: ["" : 20]>
counter (float[1, T] x, float[1, 4] before) => (float[1, 4] after)
<float[3, 4] w = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1}>
{
    step = MatMul(x, w)
    after = Add(step, before)
}
"""


def test_state_is_carried_from_sample_to_sample() -> None:
    model = onnx.parser.parse_model(COUNTER)
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    state = {"after": "before"}
    compiled = mho.compile(model, data={"x": x}, state=state, dimensions={"T": 3}, pipeline=pipeline())
    found = compiled.run({"x": x}, effects=Effects.ideal(), state=state)["after"]
    summed = np.cumsum(x, axis=0)
    np.testing.assert_allclose(found, np.concatenate([summed, summed[:, 2:]], axis=1), rtol=1e-6)


def test_symbolic_dimensions_are_bound_by_name() -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> m (float[N, T, 3] x) => (float[N, T, 2] y)\n'
    model = onnx.parser.parse_model(text + "<float[3, 2] w = {1, 2, 3, 4, 5, 6}> { y = MatMul(x, w) }")
    with pytest.raises(mho.MhoError, match="T"):
        mho.compile(model, pipeline=pipeline())
    compiled = mho.compile(model, dimensions={"T": 7}, pipeline=pipeline())
    assert compiled.program.inputs[0].shape == ("N", 7, 3)
    assert compiled.run(np.ones((5, 7, 3), np.float32))["y"].shape == (5, 7, 2)


def test_an_initializer_that_is_an_input_stays_one_only_on_request() -> None:
    text = '<ir_version: 3, opset_import: ["" : 9]> m (float[N, 3] x, float[2] b) => (float[N, 2] y)\n'
    body = "<float[3, 2] w = {1, 2, 3, 4, 5, 6}, float[2] b = {1, 1}> { z = MatMul(x, w) y = Add(z, b) }"
    model = onnx.parser.parse_model(text + body)
    x = np.ones((2, 3), np.float32)
    constant = mho.compile(model, data={"x": x}, pipeline=pipeline())
    assert [port.name for port in constant.program.inputs] == ["x"]
    fed = mho.compile(
        model, data={"x": x[:, None], "b": np.zeros((2, 2), np.float32)}, keep_inputs=True, pipeline=pipeline()
    )
    assert [port.name for port in fed.program.inputs] == ["x", "b"]

"""What a program, its report and its accuracy look like to who types, and which models `compile` takes."""

from __future__ import annotations

import builtins
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import mho
from mho.examples import digits
from mho.report.accuracy import Accuracy, LayerQuality, Reference, Run
from mho.report.fragment import report_fragment
from mho.targets.errors import ModelError

MODEL = digits().model


@pytest.fixture(scope="module")
def program() -> mho.Compiled:
    return mho.compile(MODEL, "hermes64", np.load(digits().calibration_data)["image"])


class Tags(HTMLParser):
    """Checks that every tag is closed in order, and gathers tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(fragment: str) -> Tags:
    tags = Tags()
    tags.feed(fragment)
    tags.close()
    assert tags.open == []
    assert tags.seen <= {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "ul", "li"}
    return tags


def test_every_kind_of_model_compiles_to_the_same_cores(program: mho.Compiled) -> None:
    data = np.load(digits().calibration_data)["image"]
    kept = onnx.load(MODEL)
    given: tuple[object, ...] = (str(MODEL), MODEL.read_bytes(), onnx.load(MODEL), kept, ir.load(MODEL))
    for model in given:
        assert mho.compile(model, "hermes64", data).program.cores == program.program.cores  # type: ignore[arg-type]
    assert kept == onnx.load(MODEL)


def test_external_data_of_a_model_of_onnx_ir_is_read(tmp_path: Path) -> None:
    ir.save(ir.load(MODEL), tmp_path / "m.onnx", external_data="m.data", size_threshold_bytes=0)
    model = ir.load(tmp_path / "m.onnx")
    compiled = mho.compile(model, "ideal256", np.load(digits().calibration_data)["image"])
    images = np.load(digits().test_data)["image"][:3]
    expected = mho.compile(MODEL, "ideal256", np.load(digits().calibration_data)["image"]).run(images)
    np.testing.assert_array_equal(compiled.run(images)["logits"], expected["logits"])
    assert any(isinstance(v.const_value, ir.ExternalTensor) for v in model.graph.initializers.values())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (b"", "there are no bytes"),
        (b"abc", "not an ONNX model"),
        (3, "a model cannot be a int: give a path, the bytes of an ONNX file, an onnx.ModelProto or an onnx_ir.Model"),
    ],
)
def test_what_is_no_model_is_refused(model: object, expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        mho.compile(model, "ideal256")  # type: ignore[arg-type]


def test_a_model_in_memory_is_a_reference(program: mho.Compiled) -> None:
    images = np.load(digits().test_data)["image"][:8]
    for model in (MODEL, onnx.load(MODEL), MODEL.read_bytes()):
        found = program.validate(images, effects=mho.Effects.ideal(), model=model)
        assert found.reference.kind == "onnxruntime" and found.runs[0].agreement == 1.0
        told = ("the model in memory is not the file that digits was compiled from",)
        assert found.warnings in ((), told if isinstance(model, onnx.ModelProto) else ())


def test_times_are_one_or_several(program: mho.Compiled) -> None:
    images = np.load(digits().test_data)["image"][:4]
    for times in (60.0, 60, [60], (60.0,), np.array([60.0])):
        assert [run.time_s for run in program.validate(images, times_s=times).runs] == [60.0]


def test_what_a_prompt_shows_is_short(program: mho.Compiled) -> None:
    accuracy = program.validate(np.load(digits().test_data)["image"][:4], runs=2, times_s=[0.0, 60.0])
    shown = repr(program), repr(program.report()), repr(accuracy)
    assert all(len(text) < 120 and "\n" not in text for text in shown)
    assert shown[0] == "<mho.Compiled digits for hermes64: image [N, 1, 8, 8] → logits [N, 10], 5 tiles on 1 chip>"
    assert shown[2].startswith("<Accuracy over 4 runs of 4 samples: agreement ") and "after 1 min" in shown[2]
    assert "errs" in str(accuracy) or "layers that err most" in str(accuracy)


def test_a_notebook_shows_tables_without_script(program: mho.Compiled) -> None:
    accuracy = program.validate(np.load(digits().test_data)["image"][:4])
    text = parsed(program._repr_html_()).text
    assert "image [N, 1, 8, 8]" in text and "logits [N, 10]" in text
    shown = parsed(program.report(accuracy)._repr_html_()).text
    assert all(word in shown for word in ("conv1", "utilisation", "2 nodes run beside the tiles", "4 samples"))
    assert "errors of the layers" in parsed(accuracy._repr_html_()).text


def test_text_stays_text_in_a_notebook(program: mho.Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a kernel runs, rich would hand what it prints to the notebook."""
    kernel = type("ZMQInteractiveShell", (), {})()
    plain = program.report().text()
    monkeypatch.setattr(builtins, "get_ipython", lambda: kernel, raising=False)
    assert program.report().text() == plain


def test_a_notebook_shows_the_sentences_of_a_mistake() -> None:
    with pytest.raises(ModelError) as caught:
        mho.compile("nothing.onnx")
    assert caught.value._render_traceback_() == ["ModelError: nothing.onnx: there is no such file"]


def test_hostile_names_are_escaped(program: mho.Compiled) -> None:
    evil = "<script>alert('&')</script>\x1b[31m"
    report = program.report()
    layers = tuple(replace(layer, name=evil + layer.name) for layer in report.layers)
    manifest = replace(report.manifest, model=evil, warnings=(evil,))
    text = parsed(report_fragment(replace(report, layers=layers, manifest=manifest))).text
    assert text.count("<script>alert('&')</script>\\x1b[31m") == 2
    outcome = Accuracy(
        samples=1, reference=Reference(evil, 1.0), runs=(Run(accuracy=0.5),), metric=evil, layers=(LayerQuality(evil),)
    )
    assert evil not in outcome._repr_html_() and parsed(outcome._repr_html_()).text.count("<script>") >= 3


def test_a_report_is_saved_as_its_page(program: mho.Compiled, tmp_path: Path) -> None:
    report = program.report()
    report.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == report.html()

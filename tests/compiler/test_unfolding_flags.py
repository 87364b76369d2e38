"""Unfoldings and grouped convolutions from the command line: what is compiled, explained, reported and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import mho
from mho.examples.builder import Builder
from mho.targets.unfolding import Places, ShiftedWindows, Window
from tests.shell import Shell


@pytest.fixture
def model(tmp_path: Path) -> Path:
    net = Builder("small")
    x = net.input("x", ["N", 3, 9, 9])
    y = net.op("Conv", "first", x, net.weight("w", 8, 3, 3, 3, fan_in=27), net.bias("b", 8), pads=[1, 1, 1, 1])
    y = net.op("Relu", "relu", y)
    y = net.op("Conv", "depthwise", y, net.weight("v", 8, 1, 3, 3, fan_in=9), group=8, pads=[1, 1, 1, 1])
    net.output(y, ["N", 8, 9, 9])
    path = tmp_path / "small.onnx"
    onnx.save(net.model, path)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).standard_normal((4, 3, 9, 9)).astype(np.float32))
    return path


@pytest.mark.parametrize(
    ("form", "kind", "words"),
    [
        (
            "windows",
            ShiftedWindows,
            "shifted windows of the input at a position: windows 3 × 9, 165 × 216: 1 tile, 3 fires",
        ),
        ("places", Places, "one sample of the input at a position: places, 3 × 72: 1 tile, 81 fires"),
        ("auto", ShiftedWindows, "instead of im2col, 27 × 8: 1 tile, 81 fires, 81 MVMs, 2,187 words in"),
    ],
)
def test_unfold(run: Shell, model: Path, form: str, kind: type, words: str) -> None:
    flags = ("--data", "data.npz", "--unfold", form, "--verify", "--explain")
    found = run("compile", model, "-t", "ideal256", *flags)
    assert found.code == 0 and words in " ".join(found.out.split())
    assert run("check", "small.mho").code == 0
    layers = run("report", "small.mho", "--format", "json").json["layers"]
    program = mho.load(str(model.with_name("small.mho"))).program
    assert isinstance(next(s.unfolding for s in program.sequence if s.name == "first"), kind)  # type: ignore[union-attr]
    assert layers[0]["unfolding"].split()[0] == ("places" if kind is Places else "windows")
    assert layers[0]["weights"] == 3 * 9 * 8
    assert "unfolding" in run("report", "small.mho").out
    assert "<small>" + layers[0]["unfolding"] in run("report", "small.mho", "--format", "html").out
    told = run("validate", "small.mho", "--data", "data.npz", "--model", model, "--ideal", "--json").json
    assert all(layer["sqnr_db"] is None or layer["sqnr_db"] > 100 for layer in told["layers"])


def test_im2col_is_the_default(run: Shell, model: Path) -> None:
    found = run("compile", model, "-t", "ideal256", "--data", "data.npz", "--explain")
    assert "unfolding" not in found.out and "analog  Conv first: constant weights: 27 × 8" in found.out
    program = mho.load(str(model.with_name("small.mho"))).program
    assert all(isinstance(s.unfolding, Window) for s in program.sequence if hasattr(s, "unfolding"))
    assert program.manifest.options["unfold.unfold"] == "im2col"


@pytest.mark.parametrize(
    ("form", "groups", "unit"), [("auto", 8, "analog"), ("dense", 1, "analog"), ("digital", 0, "digital")]
)
def test_grouped(run: Shell, model: Path, form: str, groups: int, unit: str) -> None:
    found = run("compile", model, "-t", "ideal256", "--data", "data.npz", "--grouped", form, "--json").json
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert layers.get("depthwise", {"groups": 0})["groups"] == groups
    (node,) = (node for node in found["nodes"] if node["name"] == "depthwise")
    assert node["unit"] == unit
    for figures in ("72 × 8 in 8 groups: block-diagonal 1 tile, 81 fires", "dense 1 tile", "digital 729 passes"):
        assert figures in node["reason"]
    if groups:
        assert layers["depthwise"]["weights"] == 72
        assert layers["depthwise"]["macs"] == 72 * 81

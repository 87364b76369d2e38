"""Devices a weight and weight expansion from the command line to the report and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import mho
from mho.examples.rnnt import transducer
from mho.report import summarise
from mho.runtime.effects import Effects
from mho.targets.check.check import check_program
from tests.shell import Shell

MACHINE = """
title = "Small tiles"
[crossbar]
rows = 16
columns = 16
devices_per_weight = 4
devices_choices = [2]
weight_scale = "column"
analog_rows = 32
[mesh]
tiles = 8
"""
DIGITAL = ("--digital", "joint.hidden.product", "--digital", "joint.logits.product")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A transducer of 8 hidden numbers, and a machine of small tiles with a choice of devices."""
    onnx.save_model(transducer(features=16, hidden=16, predicted=8), tmp_path / "rnnt.onnx")
    (tmp_path / "small.toml").write_text(MACHINE)
    return tmp_path


def flags(*more: object) -> tuple[object, ...]:
    return ("compile", "rnnt.onnx", "-t", "small.toml", "--dim", "T=4,U=2", "--effort", "fast", "--verify", *more)


def test_the_report_tells_the_devices_of_every_layer(run: Shell, folder: Path) -> None:
    # Five LSTMs of 4 + 4 tiles and one of them 8 + 4; two of 2 + 2: 52 tiles of four devices, 26 of two.
    budget = ("--chips", 5, "--devices", "auto", "--sensitive", "encoder.lstm4", "--sensitive", "encoder.lstm2")
    found = run(*flags(*budget, *DIGITAL, "--json"))
    assert found.code == 0, found.err
    layers = {layer["name"]: layer for layer in found.json["layers"]}
    assert [layers[f"encoder.lstm4/{gate}"]["devices_per_weight"] for gate in "xh"] == [4, 4]
    assert {layer["devices_per_weight"] for layer in layers.values()} == {2, 4}
    for layer in layers.values():
        assert layer["devices"] == layer["weights"] * layer["devices_per_weight"]
    summary = found.json["summary"]
    assert summary["devices"] == sum(layer["devices"] for layer in layers.values())
    assert summary["tiles"] <= 40 and summary["chips"] <= 5
    columns = {(tile["devices_per_weight"], tile["columns"]) for tile in found.json["tiles"]}
    assert columns == {(4, 16), (2, 32)}
    searches = {s["search"]: s["status"] for s in found.json["solvers"]}
    assert searches["devices of encoder.lstm4"] == searches["devices"] == "OPTIMAL"


def test_a_program_with_a_choice_survives_its_file(run: Shell, folder: Path) -> None:
    found = run(*flags("--devices", 2, "--devices-of", "encoder.lstm0=4,encoder.lstm1/h=4", *DIGITAL))
    assert found.code == 0, found.err
    assert "dev/w" in found.out and "4 or 2 a weight" in found.out
    program = mho.load(str(folder / "rnnt.mho")).program
    assert check_program(program) == ()
    devices = {load.matrix: load.devices for core in program.cores for load in core.loads}
    own = {"encoder.lstm0/x", "encoder.lstm0/h", "encoder.lstm1/h"}
    assert {name for name, count in devices.items() if count is None} == own
    assert {count for name, count in devices.items() if name not in own} == {2}
    page = summarise(program).html()
    assert "16 × 16 or 16 × 32 cells" in page and "2 a weight" in page
    options = program.manifest.options
    assert options["devices.devices_of"] == "encoder.lstm0=4, encoder.lstm1/h=4"


def test_an_expansion_survives_its_file(run: Shell, folder: Path) -> None:
    found = run(*flags("--expand", "encoder.lstm0=2", "--expand", "encoder.lstm3=1.5", *DIGITAL, "--explain"))
    assert found.code == 0, found.err
    assert "the random matrix of a weight expansion" in found.out
    expanded = mho.load(str(folder / "rnnt.mho"))
    rows = {m.name: m.rows for m in expanded.program.matrices}
    assert (rows["encoder.lstm0/x"], rows["encoder.lstm3/x"], rows["encoder.lstm0/h"]) == (32, 24, 16)
    plain = mho.compile(folder / "rnnt.onnx", "ideal256", dimensions={"T": 4, "U": 2})
    data = {
        "features": np.random.default_rng(0).standard_normal((2, 4, 16), dtype=np.float32),
        "letters": np.array([[3, 1], [4, 15]]),
    }
    (name,) = (port.name for port in plain.program.outputs)
    wanted = np.asarray(plain.run(data, effects=Effects.ideal())[name])
    found_values = np.asarray(expanded.run(data, effects=Effects.ideal())[name])
    assert np.abs(found_values - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_the_configuration_file_does_the_same(run: Shell, folder: Path) -> None:
    assert (
        run(*flags("--chips", 5, "--devices", "auto", "--sensitive", "encoder.lstm1", *DIGITAL, "-o", "a.mho")).code
        == 0
    )
    config = '[devices]\ndevices = "auto"\nchips = 5\nsensitive = ["encoder.lstm1"]\n'
    config += "[partition]\nchips = 5\n[replicate]\nchips = 5\n"
    (folder / "mho.toml").write_text(config)
    assert run(*flags("--config", "mho.toml", *DIGITAL, "-o", "b.mho")).code == 0
    assert (folder / "a.mho").read_bytes() == (folder / "b.mho").read_bytes()

"""A machine whose arrays have no published size, from its file to the report."""

from __future__ import annotations

from pathlib import Path

import onnx

import mho
from mho.examples.builder import Builder
from mho.report import summarise
from mho.stages import Stages
from mho.targets.check.check import check_program

HEAD = 'title = "Cells"\n[crossbar]\ndevices_per_weight = 3\nweight_scale = "column"\n'


def network() -> onnx.ModelProto:
    net = Builder("mlp")
    x = net.gemm("first", net.input("x", ["N", 100]), 100, 40)
    net.output(net.gemm("second", x, 40, 60), ["N", 60])
    return net.model


def compiled(tmp_path: Path, more: str = "") -> mho.Compiled:
    path = tmp_path / "cells.toml"
    path.write_text(HEAD + more)
    return mho.compile(network(), path, stages=Stages(verify=True))


def test_every_matrix_has_an_array(tmp_path: Path) -> None:
    program = compiled(tmp_path).program
    assert (program.target.crossbar.rows, program.target.crossbar.columns) == (100, 60)
    assert [len(core.loads) for core in program.cores] == [1, 1]
    assert check_program(program) == ()
    assert program.manifest.options["pack.mode"] == "none"
    assert program.manifest.warnings[0] == (
        "cells: crossbar.rows and crossbar.columns are not published, so every matrix has arrays of its own, 100 × 60 "
        "like the largest; tiles and utilisation are of these"
    )


def test_cells_and_devices_are_counted(tmp_path: Path) -> None:
    report = summarise(compiled(tmp_path).program)
    assert report.summary.devices == 3 * (100 * 40 + 40 * 60)
    assert report.summary.utilisation == (100 * 40 + 40 * 60) / (2 * 100 * 60)
    assert [layer.devices for layer in report.layers] == [12_000, 7_200]
    assert "19,200, 3 a weight" in report.text()
    assert "100 × 60 cells" in report.html()


def test_a_side_that_is_published_cuts_the_matrices(tmp_path: Path) -> None:
    program = compiled(tmp_path, "rows = 50\n").program
    assert (program.target.crossbar.rows, program.target.crossbar.columns) == (50, 60)
    assert sorted(load.rows for core in program.cores for load in core.loads) == [(0, 40), (0, 50), (50, 100)]
    assert program.manifest.warnings[0].startswith("cells: crossbar.columns is not published")

"""Spare lines: tiles reach fewer, and survive as many dead ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mho
from mho.examples import digits
from mho.passes.pack.pack import Mode, Pack
from mho.passes.sites.room import tile_needs
from mho.passes.tile.spare import KeepSpare
from mho.passes.tile.tile import Tile
from mho.targets.check.check import check_program
from mho.targets.errors import FitError, OptionError
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.target import UNLIMITED
from tests.compilations import pipeline
from tests.passes.tilings import RESNET9, calibrated, machine


@pytest.mark.parametrize("mode", ["none", "pipelined", "sequential"])
def test_tiles_reach_no_spare_line(mode: Mode) -> None:
    target = KeepSpare(rows=4, columns=3).run(machine())
    packed = Pack(mode=mode, effort="fast").run(Tile().run(calibrated(RESNET9), target))
    rows, columns = tile_needs(packed).max(axis=0)
    assert rows <= 252
    assert columns <= 253


def test_nothing_spare_is_the_machine_itself() -> None:
    assert KeepSpare().run(machine()) == machine()


def test_more_than_there_is() -> None:
    with pytest.raises(OptionError) as caught:
        KeepSpare(rows=256, columns=300).run(machine())
    assert caught.value.problems == (
        "spare.rows = 256: must be at most 255, as bench has 256 rows a crossbar",
        "spare.columns = 300: must be at most 255, as bench has 256 columns a crossbar",
    )


def test_unknown_sizes_stay_unknown() -> None:
    assert KeepSpare(rows=4).run(machine(rows=UNLIMITED)).crossbar.rows == UNLIMITED


def test_spare_lines_make_a_worn_machine_do() -> None:
    files, target = digits(), mho.load_target("hermes64")
    worn = (TileFaults(site=Site(0, n % 8, n // 8), rows=(n, n + 9), columns=(n,) * (n % 2)) for n in range(64))
    faults = FaultMap(tiles=tuple(worn))
    options = replace(pipeline("pipelined", 1), partition=replace(pipeline().partition, chips=1))
    with pytest.raises(FitError, match=r"enough: --spare-rows 2 --spare-columns 1 \(6 tiles\)"):
        mho.compile(files.model, target, files.calibration_data, pipeline=options, faults=faults)
    roomy = replace(options, spare=KeepSpare(rows=2, columns=1))
    program = mho.compile(files.model, target, files.calibration_data, pipeline=roomy, faults=faults).program
    assert check_program(program) == ()
    assert program.target == target
    assert program.manifest.options["spare.rows"] == 2

"""Fault maps from the command line and from Python, to the program and its report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import mho
from mho.examples import digits
from mho.passes.tile.choose_devices import ChooseDevices
from mho.pipeline import Pipeline
from mho.stages import Stages
from mho.targets.check.check import check_program
from mho.targets.errors import FitError
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from tests.compilations import digits_on, pipeline, small
from tests.shell import Shell

MODEL, CALIBRATION = str(digits().model), str(digits().calibration_data)
DRAW = ("--dead-tiles", 0.3, "--dead-rows", 0.01, "--dead-columns", 0.005, "--stuck-high", 1e-4, "--seed", 3)


def test_from_rates_to_the_report(run: Shell, tmp_path: Path) -> None:
    drawn = run("faults", "-t", "hermes64", "-o", "map.toml", "--chips", 2, *DRAW)
    assert (drawn.code, drawn.err) == (0, "wrote map.toml\n")
    assert drawn.out == "31 dead tiles, 271 dead rows, 112 dead columns, 1,287 stuck cells\n"
    compiled = run(
        *("compile", MODEL, "-t", "hermes64", "--data", CALIBRATION, "--faults", "map.toml", "--effort", "fast"),
        *("--verify", "--json"),
    )
    assert compiled.code == 0, compiled.err
    program = mho.load(str(tmp_path / "digits.mho")).program
    whole = mho.read_faults(tmp_path / "map.toml", program.target)
    assert program.faults == whole.within(1, (8, 8))
    told = compiled.json["faults"]
    assert told["dead_tiles"] == len(told["dead_sites"]) == 19
    assert told["dead_rows"] > 0
    assert {str(core.site) for core in program.cores}.isdisjoint(
        f"{site['chip']}:{site['x']},{site['y']}" for site in told["dead_sites"]
    )
    assert run("check", "digits.mho").code == 0
    assert "19 dead tiles" in run("report", "digits.mho").out


def test_drawing_repeats_and_counts_as_json(run: Shell, tmp_path: Path) -> None:
    first = run("faults", "-t", "hermes64", "-o", "a.toml", *DRAW, "--json")
    run("faults", "-t", "hermes64", "-o", "b.toml", *DRAW)
    assert (tmp_path / "a.toml").read_bytes() == (tmp_path / "b.toml").read_bytes()
    assert set(first.json) == {"dead_tiles", "dead_rows", "dead_columns", "stuck_cells"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--dead-tiles", 1.5), 2, "'--dead-tiles': 1.5 is not in the range 0<=x<=1"),
        (("--stuck-low", 0.7, "--stuck-high", 0.7), 2, "stuck_low + stuck_high = 1.4: must be at most 1 together"),
        (("--tiles", 3), 2, "tiles = 3: a chip of hermes64 has 64; leave it out"),
        (("-o", "no/map.toml"), 1, "there is no folder no"),
    ],
)
def test_mistakes_of_a_draw(run: Shell, arguments: tuple[object, ...], code: int, says: str) -> None:
    found = run("faults", "-t", "hermes64", "-o", "map.toml", *arguments)
    assert found.code == code
    assert says in " ".join(found.err.split())
    assert not Path("map.toml").exists()


def test_mistakes_of_a_map_stop_a_compile(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[[tile]]\nsite = "0:8,0"\nrows = [256]\n')
    found = run("compile", MODEL, "-t", "hermes64", "--faults", "map.toml")
    assert found.code == 1
    assert found.err.splitlines() == [
        'mho: map.toml: tile 0:8,0.site = "0:8,0": the column must be at most 7 and the row at most 7, the grid of a '
        "chip",
        "mho: map.toml: tile 0:8,0.rows = 256: must be at least 0 and at most 255 (crossbar.rows = 256)",
    ]
    assert not (tmp_path / "digits.mho").exists()


def compiled(faults: FaultMap | Path | None, options: Pipeline) -> mho.Compiled:
    files = digits()
    return mho.compile(
        files.model, small(), files.calibration_data, pipeline=options, faults=faults, stages=Stages(verify=True)
    )


def test_an_empty_map_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text("")
    options = pipeline("pipelined", 2)
    assert compiled(tmp_path / "map.toml", options).program == digits_on("small", "pipelined", 2).program


@pytest.mark.parametrize("seed", range(3))
def test_random_maps_on_several_chips(seed: int) -> None:
    rates = mho.FaultRates(dead_tiles=0.1, dead_rows=0.02, dead_columns=0.02, stuck_low=0.001)
    faults = mho.draw_faults(small(), rates, chips=3, seed=seed)
    program = compiled(faults, pipeline("pipelined", 1)).program
    assert check_program(program) == ()
    dead = {tile.site for tile in faults.tiles if tile.dead}
    assert dead.isdisjoint(core.site for core in program.cores)
    report = json.loads(mho.Compiled(program).report().json())
    assert report["faults"]["stuck_cells"] >= report["faults"]["stuck_weights"] > 0


def test_fill_counts_live_tiles() -> None:
    dead = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, y), dead=True) for x in range(4) for y in range(2)))
    options = pipeline("none", "fill", tiles=None)
    sound, worn = compiled(None, options).program, compiled(dead, options).program
    assert len(sound.cores) <= 16 * sound.mapping.chips
    assert len(worn.cores) <= 16 * worn.mapping.chips - 8
    assert worn.mapping.chips == sound.mapping.chips


def test_a_map_that_leaves_too_little(tmp_path: Path) -> None:
    dead = tuple(TileFaults(site=Site(0, place % 8, place // 8), dead=True) for place in range(61))
    with pytest.raises(FitError, match=r"2 tiles \(.*\) found no site: the fault map leaves 3 of the 64 tiles"):
        mho.compile(
            digits().model,
            "hermes64",
            digits().calibration_data,
            pipeline=mho.Pipeline(partition=pipeline().partition.__class__(chips=1)),
            faults=FaultMap(tiles=dead),
        )


def test_dead_columns_among_weights_of_fewer_devices() -> None:
    target = mho.load_target("analog34")
    faults = mho.draw_faults(target, mho.FaultRates(dead_columns=0.3), seed=2)
    files, options = digits(), replace(pipeline("pipelined", 1), devices=ChooseDevices(devices=2))
    program = mho.compile(
        files.model, target, files.calibration_data, pipeline=options, faults=faults, stages=Stages(verify=True)
    ).program
    assert {load.devices for core in program.cores for load in core.loads} == {2}
    assert check_program(program) == ()

"""A network larger than its machine, from the command line to the report, and on both executors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mho
from mho.examples import digits
from mho.examples.builder import Builder
from mho.passes.partition.partition import PartitionChips
from mho.passes.reload.reload import ReloadTiles
from mho.passes.replicate.replicate import Replicate
from mho.passes.route.route import RouteWords
from mho.passes.schedule.schedule import Schedule
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.interpreter import Interpreter
from mho.runtime.machine import Machine
from mho.runtime.sequencer import Sequencer
from mho.stages import Stages
from mho.targets.check.check import check_program
from mho.targets.errors import FitError
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.program import Program
from mho.targets.reload import ReloadMode
from mho.targets.text import parse_program, print_program
from tests.compilations import digits_on, digits_test, everything, pipeline, small
from tests.shell import Shell

Array = NDArray[Any]

MODES: tuple[ReloadMode, ...] = ("order", "alternate", "batch")
MACHINE = """
title = "One chip of sixteen small tiles"
crossbar = { rows = 48, columns = 32, devices_per_weight = 2, weight_scale = "column" }
dac = { bits = 8 }
adc = { bits = 8 }
device = { endurance = 1000000 }
mesh = { tiles = 16 }
costs = { mvm_latency_ns = 100, mvm_energy_nj = 1, write_latency_ns = 5000, write_energy_nj = 20, tile_area_mm2 = 0.1 }
"""


@cache
def reloaded(mode: ReloadMode = "alternate", inferences: int = 5) -> mho.Compiled:
    """The digits network on one chip of 16 tiles of 48 × 32, every level verified."""
    example = digits()
    options = replace(
        pipeline(), reload=ReloadTiles(allow=True, mode=mode, inferences=inferences), partition=PartitionChips(chips=1)
    )
    return mho.compile(example.model, small(), example.calibration_data, pipeline=options, stages=Stages(verify=True))


def outputs(program: Program, unit: Machine | Interpreter, images: Array) -> Array:
    """Logits, one sample after another."""
    sequencer = Sequencer(program, unit, DigitalUnit(program.tensors))
    return np.concatenate([sequencer.run({"image": images[i : i + 1]}, i)["logits"] for i in range(len(images))])


@pytest.mark.parametrize("effects", [Effects.ideal(), Effects.quantised(), Effects()])
@pytest.mark.parametrize("executor", [Machine, Interpreter])
def test_results_are_those_of_a_machine_that_is_large_enough(
    executor: type[Machine | Interpreter], effects: Effects
) -> None:
    images, conditions = digits_test(5)[0], Conditions(effects=effects, seed=4, time_s=60.0)
    large, program = digits_on("small").program, reloaded().program
    unit = executor(program, conditions)
    wanted = outputs(large, executor(large, conditions), images)
    assert np.array_equal(outputs(program, unit, images), wanted)


@pytest.mark.parametrize("mode", ["order", "alternate"])
@pytest.mark.parametrize("executor", [Machine, Interpreter])
def test_the_executors_write_as_often_as_the_program_says(
    executor: type[Machine | Interpreter], mode: ReloadMode
) -> None:
    program = reloaded(mode).program
    assert program.reload is not None
    unit = executor(program, Conditions(effects=Effects.ideal()))
    outputs(program, unit, digits_test(5)[0])
    assert unit.residency is not None
    assert unit.residency.writes == program.reload.writes
    assert set(unit.residency.held) == set(program.reload.sites)


def test_a_batch_is_written_once_whatever_its_size() -> None:
    program = reloaded("batch").program
    assert program.reload is not None
    pages = len(program.cores)
    assert program.reload.writes == pages > len(program.reload.sites) == 16
    unit = Interpreter(program, Conditions(effects=Effects.ideal()))
    Sequencer(program, unit, DigitalUnit(program.tensors)).run({"image": digits_test(5)[0]})
    assert unit.residency is not None
    assert unit.residency.writes == pages
    larger = reloaded("batch", 50).program
    assert larger.reload is not None
    assert larger.reload.writes == pages
    assert larger.reload.kept_words == 10 * program.reload.kept_words > 0


@pytest.mark.parametrize("mode", MODES)
def test_program_file_and_text_keep_it(mode: ReloadMode, tmp_path: Path) -> None:
    compiled = reloaded(mode)
    assert check_program(compiled.program) == ()
    compiled.save(tmp_path / "d.mho")
    read = mho.load(str(tmp_path / "d.mho")).program
    assert read.reload == compiled.program.reload is not None
    assert parse_program(print_program(read), read.tensors) == read


def test_options_that_change_nothing_of_tiles_that_take_turns_are_told() -> None:
    example = digits()
    options = replace(
        pipeline(),
        replicate=Replicate("fill", pareto=True),
        reload=ReloadTiles(allow=True, inferences=5),
        partition=PartitionChips(chips=1),
        route=RouteWords("balanced"),
        schedule=Schedule("throughput"),
    )
    machine = replace(small(), mesh=replace(small().mesh, chips=1))
    told = mho.compile(example.model, machine, example.calibration_data, pipeline=options).program.manifest.warnings
    assert told == (
        "--replicate fill makes no copies and --pareto lists nothing: one copy of each matrix does not fit the tiles "
        "that are allowed",
        "--routes balanced and --schedule throughput change nothing: tiles are rewritten, so layers fire one after the "
        "other, and words have no links of their own",
    )
    assert not any("--" in warning for warning in reloaded().program.manifest.warnings)


def test_recurrent_layers_and_their_writes() -> None:
    net = Builder("lstm", seed=3)
    time_first = net.op("Transpose", "time_first", net.input("x", ["N", 7, 20]), perm=[1, 0, 2])
    net.output(net.linear("out", net.lstm("cell", time_first, 20, 18), 18, 5), [7, "N", 5])
    options = replace(
        pipeline(), reload=ReloadTiles(allow=True, inferences=3), partition=PartitionChips(chips=1, effort="fast")
    )
    target = replace(small(), mesh=replace(small().mesh, tiles=2, width=2, height=1), units={})
    compiled = mho.compile(net.model, target, pipeline=options, stages=Stages(verify=True))
    program = compiled.program
    assert program.reload is not None
    state = [name for name in program.reload.order if name.endswith("/h")]
    assert len(state) == 7
    assert check_program(program) == ()
    x = np.random.default_rng(0).standard_normal((1, 7, 20)).astype(np.float32)
    units = Machine(program, Conditions()), Interpreter(program, Conditions())
    found = []
    for unit in units:
        sequencer = Sequencer(program, unit, DigitalUnit(program.tensors))
        found.append([sequencer.run({program.inputs[0].name: x}, i) for i in range(3)])
        assert unit.residency is not None
        assert unit.residency.writes == program.reload.writes
    name = program.outputs[0].name
    assert all(np.allclose(one[name], other[name], atol=1e-5) for one, other in zip(*found, strict=True))


def test_the_report_tells_it_in_all_forms(run: Shell) -> None:
    Path("sixteen.toml").write_text(MACHINE, encoding="utf-8")
    files = (str(digits().model), "-t", "sixteen.toml", "--data", str(digits().calibration_data))
    refused = run("compile", *files, "--chips", 1)
    assert refused.code == 1
    assert "--allow-reload (" in refused.err and "rewritten an inference" in refused.err
    compiled = run("compile", *files, "--allow-reload", "-o", "d.mho", "--json", "--effort", "fast")
    assert compiled.code == 0, compiled.err
    told, summary = compiled.json["reload"], compiled.json["summary"]
    pages = told["pages"]
    assert told["writes"] == told["fewest_writes"] == pages + 999 * (pages - 16)
    assert f"{told['writes_an_inference']:,.2f} rewritten an inference" in refused.err
    assert told["write_ns"] == pytest.approx(5000 * told["writes_an_inference"])
    assert told["write_nj"] == pytest.approx(20 * told["writes_an_inference"])
    assert told["lifetime"] == pytest.approx(1e6 / (told["most_writes"] / 1000))
    assert summary["latency_ns"] > told["write_ns"] and summary["interval_ns"] == summary["latency_ns"]
    assert summary["energy_nj"] > told["write_nj"]
    assert summary["area_mm2"] == pytest.approx(1.6)
    assert "links between reloaded tiles" in summary["excluded"] and compiled.json["links"] == []
    assert "costs.write_latency_ns" not in summary["excluded"]
    text = " ".join(run("report", "d.mho").out.split())
    assert f"{pages} in turn on the 16 of 1 chip" in text
    assert f"{told['writes']:,} tiles written in 1,000 inferences" in text
    assert "devices endure 1.00 M writes" in text
    assert run("report", "d.mho", "-o", "d.html").code == 0
    trace = run("report", "d.mho", "--format", "trace", "-o", "d.json")
    assert trace.code == 2 and "its tiles take turns" in trace.err
    page = Path("d.html").read_text(encoding="utf-8")
    assert "take turns on the 16 tiles of this one" in page and f"{told['writes']:,} tiles written" in page


def test_a_network_that_fits_is_not_reloaded(run: Shell) -> None:
    files = (str(digits().model), "-t", "hermes64", "--data", str(digits().calibration_data), "--effort", "fast")
    assert run("compile", *files, "-o", "a.mho", "--allow-reload").code == 0
    assert mho.load("a.mho").program.reload is None


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("-t", "hermes64", "--reload", "batch"), 2, "need --allow-reload"),
        (("-t", "hermes64", "--inferences", 5), 2, "need --allow-reload"),
        (("-t", "ideal256", "--allow-reload"), 2, "a chip of ideal256 has no limit: give --tiles"),
        (("-t", "hermes64", "--allow-reload", "--reload", "sometimes"), 2, "'sometimes' is not one of"),
    ],
)
def test_options_that_go_nowhere(run: Shell, flags: tuple[object, ...], code: int, says: str) -> None:
    found = run("compile", str(digits().model), "--data", str(digits().calibration_data), *flags)
    assert found.code == code
    assert says in " ".join(found.err.split())
    assert "Traceback" not in found.err


def test_tiles_that_add_their_charge_cannot_be_reloaded_one_by_one() -> None:
    example = digits()
    options = replace(pipeline(), reload=ReloadTiles(allow=True), partition=PartitionChips(chips=1))
    target = replace(everything(), mesh=replace(everything().mesh, tiles=4, width=2, height=2))
    with pytest.raises(FitError, match="must hold their weights at the same time"):
        mho.compile(example.model, target, example.calibration_data, pipeline=options)


def test_tiles_that_a_fault_map_names_are_left_out() -> None:
    example = digits()
    options = replace(pipeline(), reload=ReloadTiles(allow=True), partition=PartitionChips(chips=1))
    map_ = FaultMap(tiles=(TileFaults(site=Site(0, 1, 0), dead=True), TileFaults(site=Site(0, 2, 0), rows=(3,))))
    program = mho.compile(example.model, small(), example.calibration_data, pipeline=options, faults=map_).program
    assert program.reload is not None
    assert len(program.reload.sites) == 14
    assert {Site(0, 1, 0), Site(0, 2, 0)}.isdisjoint(program.reload.sites)
    assert check_program(program) == ()
    every = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, y), rows=(0,)) for y in range(4) for x in range(4)))
    with pytest.raises(FitError, match="the fault map names all of them"):
        mho.compile(example.model, small(), example.calibration_data, pipeline=options, faults=every)

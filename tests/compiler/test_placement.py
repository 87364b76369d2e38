"""Constraints, placement files and programs to compile like, from the command line and from Python to the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import mho
from mho.compiled import Compiled
from mho.examples import digits
from mho.passes.constrain.constrain import Constrain
from mho.passes.pack.pack import Mode, Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.replicate.replicate import Replicate
from mho.pipeline import Pipeline
from mho.placement_file import read_placement
from mho.report import render
from mho.stages import Stages
from mho.targets.catalog import load_target
from mho.targets.check.check import check_program
from mho.targets.errors import OptionError
from mho.targets.isa import CoreProgram
from mho.targets.mapping import ReprogramFacts
from mho.targets.target import Mesh
from mho.targets.text import parse_program, print_program
from tests.refusals import model_of
from tests.shell import Shell

MODEL, CALIBRATION = str(digits().model), str(digits().calibration_data)
COMPILE = ("compile", MODEL, "-t", "hermes64", "--data", CALIBRATION, "--effort", "fast", "--verify")

Weights = Mapping[str, NDArray[np.float32]]


def normal(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def layers(**sizes: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    """Weights of dense layers by name."""
    return {name: normal(seed, *size) for seed, (name, size) in enumerate(sizes.items())}


WEIGHTS = layers(a=(300, 300), b=(300, 100), c=(100, 64), d=(64, 10))


def chain(weights: Weights) -> onnx.ModelProto:
    """Dense layers one after another, each with a ReLU."""
    lines, value = [], "x"
    for name in weights:
        lines.append(f"[{name}] {name}y = MatMul({value}, {name}w) {name}r = Relu({name}y)")
        value = f"{name}r"
    first, last = next(iter(weights.values())), list(weights.values())[-1]
    arrays: dict[str, Any] = {f"{name}w": array for name, array in weights.items()}
    return model_of(
        f"g (float[N, {len(first)}] x) => (float[N, {last.shape[1]}] {value}) {{ {' '.join(lines)} }}", **arrays
    )


def compiled(
    weights: Weights, like: Compiled | None = None, mode: Mode = "pipelined", copies: int = 1, **asked: Any
) -> Compiled:
    """The program for a chip of 64 tiles, every level checked."""
    pipeline = Pipeline(
        constrain=Constrain(**asked),
        pack=Pack(mode),
        replicate=Replicate(copies),
        partition=PartitionChips(effort="fast"),
        place=PlaceCores(effort="fast"),
    )
    inputs = normal(9, 8, len(next(iter(weights.values()))))
    found = mho.compile(chain(weights), "hermes64", inputs, like=like, pipeline=pipeline, stages=Stages(verify=True))
    assert check_program(found.program) == ()
    return found


@cache
def before(mode: Mode = "pipelined", copies: int = 1) -> Compiled:
    return compiled(WEIGHTS, mode=mode, copies=copies)


@cache
def digits_placement() -> str:
    """Where the blocks of the bundled network stand."""
    pipeline = Pipeline(partition=PartitionChips(effort="fast"), place=PlaceCores(effort="fast"))
    return render(mho.compile(MODEL, "hermes64", CALIBRATION, pipeline=pipeline).report(), "placement")


def facts(found: Compiled) -> ReprogramFacts:
    assert found.program.mapping.reprogram is not None
    return found.program.mapping.reprogram


def seats(cores: tuple[CoreProgram, ...], matrix: str) -> set[tuple[object, ...]]:
    """Where the blocks of a matrix stand."""
    return {
        (core.site, load.replica, load.rows, load.columns, load.row_offset, load.column_offset)
        for core in cores
        for load in core.loads
        if load.matrix == matrix
    }


def test_flags_and_files_are_all_obeyed(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"apart": [["conv1", "dense1"]], "pin": {"conv3": ["0:1,1", "0:2,2"]}}))
    (tmp_path / "config.toml").write_text('[constrain]\npin = {conv2 = 1}\nforbid = ["0:0,0"]\n')
    asked = ("--constraints", "c.json", "--config", "config.toml", "--pin", "conv1=0:5,5", "--forbid", "1:0,0")
    found = run(*COMPILE, *asked, "--json")
    assert found.code == 0, found.err
    cores: dict[str, list[tuple[int, int, int]]] = {b["layer"]: [] for t in found.json["tiles"] for b in t["blocks"]}
    for tile in found.json["tiles"]:
        for block in tile["blocks"]:
            cores[block["layer"]].append((tile["chip"], tile["x"], tile["y"]))
    assert cores["conv1"] == [(0, 5, 5)]
    assert sorted(cores["conv3"]) == [(0, 1, 1), (0, 2, 2)]
    assert {chip for chip, *_ in cores["conv2"]} == {chip for chip, *_ in cores["dense1"]} == {1}
    assert not {(0, 0, 0), (1, 0, 0)} & {core for found in cores.values() for core in found}
    options = found.json["provenance"]["options"]
    assert options["constrain.pin"] == "conv2=1, conv3=0:1,1 0:2,2, conv1=0:5,5"
    assert options["constrain.forbid"] == "0:0,0, 1:0,0"


@pytest.mark.parametrize("options", [(), ("--pack", "sequential"), ("--pack", "none", "--replicate", 2)])
def test_a_placement_that_nobody_edits_changes_nothing(run: Shell, tmp_path: Path, options: tuple[object, ...]) -> None:
    run(*COMPILE, *options, "-o", "one.mho")
    assert run("report", "one.mho", "--format", "placement", "-o", "p.json").code == 0
    found = run(*COMPILE, *options, "--placement", "p.json", "-o", "two.mho")
    assert found.code == 0, found.err
    one, two = (mho.load(str(tmp_path / name)).program for name in ("one.mho", "two.mho"))
    assert one.cores == two.cores
    assert one.mapping.links == two.mapping.links
    assert one.mapping.schedule == two.mapping.schedule
    assert len(str(two.manifest.options["placement.positions"])) == 64


def test_an_edited_placement_is_obeyed_and_what_it_leaves_out_is_free(run: Shell, tmp_path: Path) -> None:
    run(*COMPILE, "-o", "one.mho")
    document = json.loads(digits_placement())
    kept = [b for b in document["blocks"] if b["matrix"] not in ("conv3", "dense2")]
    cut: list[dict[str, Any]] = [
        {"matrix": "conv3", "rows": rows, "columns": [0, 32], "core": core, "row_offset": 7, "column_offset": 30}
        for rows, core in (([0, 100], "0:7,7"), ([100, 200], "0:6,6"), ([200, 288], "1:5,5"))
    ]
    (tmp_path / "p.json").write_text(json.dumps({**document, "blocks": kept + cut}))
    found = run(*COMPILE, "--placement", "p.json", "-o", "two.mho")
    assert found.code == 0, found.err
    program = mho.load(str(tmp_path / "two.mho")).program
    expected = {(b["core"], tuple(b["rows"]), b["row_offset"], b["column_offset"]) for b in cut}
    stand = {(str(s), rows, top, left) for s, _, rows, _, top, left in seats(program.cores, "conv3")}
    assert stand == expected
    assert seats(program.cores, "dense2")
    inputs = np.load(digits().test_data)
    data = {key: inputs[key][:20] for key in inputs if key != "y"}
    one, two = (mho.load(str(tmp_path / name)) for name in ("one.mho", "two.mho"))
    ideal = mho.Effects.ideal()
    for name, values in one.run(data, effects=ideal).items():
        np.testing.assert_allclose(two.run(data, effects=ideal)[name], values, rtol=1e-4, atol=1e-4)


def test_the_same_network_needs_no_cell(tmp_path: Path) -> None:
    again = compiled(WEIGHTS, before())
    assert again.program.cores == before().program.cores
    assert facts(again) == ReprogramFacts(
        program=facts(again).program, tiles_kept=len(again.program.cores), tiles_changed=(), cells=0, cells_moved=0
    )
    again.save(tmp_path / "again.mho")
    read = mho.load(str(tmp_path / "again.mho")).program
    assert read == again.program
    assert parse_program(print_program(read), read.tensors) == read


def test_only_what_was_trained_anew_is_written() -> None:
    changed = {**WEIGHTS, "c": normal(77, 100, 64)}
    found = compiled(changed, before())
    for name in WEIGHTS:
        assert seats(found.program.cores, name) == seats(before().program.cores, name)
    assert [change.cells for change in facts(found).tiles_changed] == [100 * 64]
    assert "6,400 cells in 1 tile" in str(found.report().reprogram)
    assert "6,400 cells in 1 tile" in " ".join(found.report().text().split())
    assert "6,400 cells in 1 tile" in found.report().html()
    assert json.loads(found.report().json())["reprogram"]["changed"][0]["cells"] == 6400


def test_a_largest_weight_that_changes_rewrites_its_column_or_tile() -> None:
    weights = WEIGHTS["d"].copy()
    weights[0, 3] *= 0.99
    single = facts(compiled({**WEIGHTS, "d": weights}, before()))
    assert single.cells == 1
    weights[0, 3] = 100.0
    assert facts(compiled({**WEIGHTS, "d": weights}, before())).cells == 64 * 10


def test_layers_may_be_renamed_added_removed_and_resized() -> None:
    renamed = {"a": WEIGHTS["a"], "other": WEIGHTS["b"], "c": WEIGHTS["c"], "d": WEIGHTS["d"]}
    assert facts(compiled(renamed, before())).cells == 0
    swapped = layers(p=(80, 80), q=(80, 80))
    old = compiled(swapped)
    new = compiled({"p": swapped["q"], "q": swapped["p"]}, old)
    assert facts(new).cells == 0
    assert seats(new.program.cores, "p") == seats(old.program.cores, "q")
    assert facts(compiled({**WEIGHTS, "e": normal(5, 10, 10)}, before())).cells == 100
    fewer = compiled({name: WEIGHTS[name] for name in ("a", "b", "c")}, before())
    assert facts(fewer).cells == 0
    resized = compiled({**WEIGHTS, "d": normal(6, 64, 20)}, before())
    assert facts(resized).cells == 64 * 20
    assert any("d: it is 64 × 20 and was 64 × 10" in warning for warning in resized.program.manifest.warnings)


def test_blocks_that_are_the_same_stay_where_a_layer_grew() -> None:
    old = compiled(layers(a=(256, 512), b=(512, 10)))
    a = layers(a=(256, 512))["a"]
    new = compiled({"a": np.concatenate([a, normal(3, 256, 256)], axis=1), "b": normal(4, 768, 10)}, old)
    staying = seats(old.program.cores, "a")
    assert staying < seats(new.program.cores, "a")
    assert facts(new).cells == 256 * 256 + 768 * 10


def test_who_is_pinned_to_a_core_comes_before_who_was_there() -> None:
    (site,) = {site for site, *_ in seats(before().program.cores, "d")}
    found = compiled({**WEIGHTS, "e": normal(5, 10, 10)}, before(), pin={"e": str(site)})
    assert {site for site, *_ in seats(found.program.cores, "e")} == {site}
    assert any("e is pinned to its core (constrain.pin, --pin)" in said for said in found.program.manifest.warnings)
    for name in ("a", "b", "c"):
        stood = seats(before().program.cores, name)
        assert {seat for seat in stood if seat[0] != site} <= seats(found.program.cores, name)


def test_what_cannot_stay_is_told() -> None:
    told = {
        "(--pack pipelined)": compiled(WEIGHTS, before("sequential")),
        "a tile holds one block (--pack none)": compiled(WEIGHTS, before(), mode="none"),
        "c is pinned to 0:7,7": compiled(WEIGHTS, before(), pin={"c": "0:7,7"}),
        "the core is forbidden": compiled(WEIGHTS, before(), forbid=(str(before().program.cores[0].site),)),
    }
    for reason, found in told.items():
        assert any(reason in warning for warning in found.program.manifest.warnings), reason
        assert 0 < facts(found).cells_moved == facts(found).cells
    assert facts(compiled(WEIGHTS, before(copies=2))).cells == 0


def test_another_machine_is_refused(run: Shell, tmp_path: Path) -> None:
    run(*COMPILE, "-o", "one.mho")
    found = run("compile", MODEL, "-t", "ideal256", "--like", "one.mho", "-o", "two.mho")
    assert found.code == 2
    assert found.err.startswith("mho: like (--like): the program is for hermes64, and this compile for ideal256; ")
    assert not (tmp_path / "two.mho").exists()
    (tmp_path / "p.json").write_text(digits_placement())
    both = run(*COMPILE, "--like", "one.mho", "--placement", "p.json", "-o", "two.mho")
    assert "both say where blocks stand; give one of them" in both.err


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"matrix": "conv4"}, "there is no matrix conv4; did you mean conv3?"),
        ({"replica": 1}, "there is only replica 0 of it"),
        ({"rows": [0, 600]}, "it is no slice of 9 rows × 16 columns"),
        ({"rows": [0, 5]}, "it is cut otherwise: [0:5,0:16] is none of its blocks, which are [0:9,0:16]"),
        ({"core": "0:9,0"}, "the column must be at most 7"),
        ({"row_offset": 250}, "it reaches 259 rows × 16 columns, and the tile has 256 × 256"),
        ({"row_offset": 20}, "they share rows (--pack pipelined)"),
        ({"row_offset": 20, "column_offset": 20}, "they lie over each other"),
        ({"cor": "0:1,1"}, ".cor is not a known key; the nearest one is core"),
        ({"core": 3}, '.core = 3: must be chip, column and row as in "0:3,4"'),
        ({"rows": [5, 5]}, ".rows = [5, 5]: must be [first, stop] with first below stop"),
    ],
)
def test_nonsense_in_a_placement_is_refused(run: Shell, tmp_path: Path, edit: dict[str, Any], says: str) -> None:
    document = json.loads(digits_placement())
    for block in document["blocks"]:
        block |= edit if block["matrix"] == "conv1" else {}
    (tmp_path / "p.json").write_text(json.dumps(document))
    found = run(*COMPILE, "--placement", "p.json", "-o", "two.mho")
    assert found.code == 2
    assert says in found.err
    assert not (tmp_path / "two.mho").exists()


@pytest.mark.parametrize("content", ["[]", '{"schema": "mho-placement-2"}', "no", '{"schema": "mho-placement-1"}'])
def test_files_that_are_no_placements_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(OptionError, match=r"p\.json"):
        read_placement(path)


@pytest.mark.parametrize("mode", ["pipelined", "sequential"])
def test_tiles_that_stay_take_blocks_where_chips_would_be_too_few(mode: Mode) -> None:
    small = replace(load_target("hermes64"), name="two", mesh=Mesh(tiles=2, width=2, height=1))
    weights = layers(a=(256, 200), b=(200, 200))
    pipeline = Pipeline(pack=Pack(mode), partition=PartitionChips(effort="fast"), place=PlaceCores(effort="fast"))
    stages, inputs = Stages(verify=True), normal(9, 8, 256)
    old = mho.compile(chain(weights), small, inputs, pipeline=pipeline, stages=stages)
    more = chain({**weights, "c": normal(5, 200, 40)})
    found = mho.compile(more, small, inputs, like=old, pipeline=pipeline, stages=stages)
    fits = mode == "sequential"
    assert found.program.mapping.chips == (1 if fits else 2)
    assert facts(found).cells == 200 * 40
    for name in weights:
        assert seats(old.program.cores, name) == seats(found.program.cores, name)

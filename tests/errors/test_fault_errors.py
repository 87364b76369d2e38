"""Mistakes in a fault map come back as sentences: all at once, with file, key, value and what is allowed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import mho
from mho.targets.errors import TargetError
from mho.targets.fault_file import check_faults, read_faults, write_faults
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.isa import Site
from mho.targets.target import UNLIMITED, Crossbar, Mesh, Target

CROSSBAR = Crossbar(rows=8, columns=4, devices_per_weight=2, weight_scale="tile")
BENCH = Target(name="bench", title="bench", crossbar=CROSSBAR, mesh=Mesh(tiles=5, width=3, height=2))


def problems(tmp_path: Path, content: str | bytes, target: Target = BENCH) -> list[str]:
    """What is wrong with a file of this content, its path left out."""
    path = tmp_path / "map.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TargetError) as caught:
        read_faults(path, target)
    assert not re.search(r"pydantic|\bNone\b|dataclass|Traceback", str(caught.value))
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems[:20])
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def tile(*lines: str, site: str = "0:1,0") -> str:
    return "\n".join(["[[tile]]", f'site = "{site}"', *lines, ""])


ONE = [
    ("tiles = 3", "tiles is not a known key; known here: tile"),
    ("tile = 3", "tile must be a list of tables: write [[tile]] above each"),
    ("tile = [3]", "tile number 1 = 3: must be a table"),
    (
        "[[tile]]\ndead = true",
        'tile number 1.site is missing; it must be chip, column and row as in "0:3,4", each of at most 2147483647',
    ),
    ('[[tile]]\nsite = "0:1"', 'tile number 1.site = "0:1": must be chip, column and row as in "0:3,4"'),
    ("[[tile]]\nsite = 3", 'tile number 1.site = 3: must be chip, column and row as in "0:3,4"'),
    ('[[tile]]\nsite = "9999999999:0,0"', 'tile number 1.site = "9999999999:0,0": must be chip, column and row'),
    (tile(site="0:-1,0"), 'tile number 1.site = "0:-1,0": must be chip, column and row'),
    (tile(site="0:3,0"), 'tile 0:3,0.site = "0:3,0": the column must be at most 2 and the row at most 1, the grid'),
    (
        tile(site="0:2,1"),
        'tile 0:2,1.site = "0:2,1": must be one of the first 5 sites of a chip, row by row of 3 (mesh.tiles = 5)',
    ),
    (tile() + tile(), "tile 0:1,0 is listed 2 times; list a site once"),
    (tile("dad = true"), "tile 0:1,0.dad is not a known key; the nearest one is dead"),
    (
        tile("zzz = true"),
        "tile 0:1,0.zzz is not a known key; known here: site, dead, rows, columns, stuck_low, stuck_high",
    ),
    (tile("dead = 1"), "tile 0:1,0.dead = 1: must be true or false"),
    (tile("rows = 3"), "tile 0:1,0.rows = 3: must be a list of whole numbers"),
    (tile('rows = [1, "x"]'), 'tile 0:1,0.rows = [1, "x"]: must be a list of whole numbers'),
    (tile("rows = [true]"), "tile 0:1,0.rows = [true]: must be a list of whole numbers"),
    (tile("rows = [2024-01-01]"), "tile 0:1,0.rows = [datetime.date(2024, 1, 1)]: must be a list of whole numbers"),
    (tile("rows = [8]"), "tile 0:1,0.rows = 8: must be at least 0 and at most 7 (crossbar.rows = 8)"),
    (tile("rows = [-1, 9]"), "tile 0:1,0.rows = -1, 9: must be at least 0 and at most 7 (crossbar.rows = 8)"),
    (tile("rows = [2, 2]"), "tile 0:1,0.rows = 2: listed more than once; list a line once"),
    (tile("columns = [4]"), "tile 0:1,0.columns = 4: must be at least 0 and at most 3 (crossbar.columns = 4)"),
    (
        tile('stuck_low = "1,2"'),
        'tile 0:1,0.stuck_low = ["1,2"]: must be a text of row, column and polarity a cell, as in "12,40+ 12,41-"',
    ),
    (tile("stuck_high = [1]"), "tile 0:1,0.stuck_high = [1]: must be a text of row, column and polarity a cell"),
    (
        tile('stuck_low = "8,0+"'),
        "tile 0:1,0.stuck_low: row = 8: must be at least 0 and at most 7 (crossbar.rows = 8)",
    ),
    (
        tile('stuck_high = "0,4+"'),
        "tile 0:1,0.stuck_high: column = 4: must be at least 0 and at most 3 (crossbar.columns = 4)",
    ),
    (
        tile('stuck_low = "1,2+"', 'stuck_high = "1,2+"'),
        "tile 0:1,0 has stuck cells that are listed more than once: 1,2+",
    ),
    ("x = [", "is not TOML: "),
    (b"\xff", "is not UTF-8 text (byte 0)"),
]


@pytest.mark.parametrize(("content", "start"), ONE)
def test_one_mistake(tmp_path: Path, content: str | bytes, start: str) -> None:
    (found,) = problems(tmp_path, content)
    assert found.startswith(start)


def test_all_at_once(tmp_path: Path) -> None:
    text = tile("rows = [8]", "dad = 1", site="0:3,0") + tile('columns = ["x", 7]', 'stuck_low = "1,1 9,9+"')
    assert len(problems(tmp_path, "speed = 1\n" + text)) == 9


def test_long_lists_and_many_tables_stay_short(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, tile(f"rows = {list(range(100, 9000))}"))
    assert found.startswith("tile 0:1,0.rows = 100, 101, 102, 103 and 8896 more: must be at least 0")
    found_many = problems(tmp_path, "".join(tile("rows = [9]", site=f"{chip}:0,0") for chip in range(500)))
    assert len(found_many) == 21
    assert found_many[-1] == "and 480 more problems"
    hostile = problems(tmp_path, tile(f'stuck_low = "{"x" * 10_000}"', f'"\\u001b{"k" * 5000}" = 1'))
    assert all(len(problem) < 1001 and problem.isprintable() for problem in hostile)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match=r"no.toml: cannot be read: No such file"):
        read_faults(tmp_path / "no.toml", BENCH)
    monkeypatch.setattr("mho.targets.fault_file.MOST_BYTES", 10)
    assert problems(tmp_path, tile()) == ["cannot be read: it is larger than 10 bytes, the most that are read"]
    with pytest.raises(TargetError, match=r"cannot be written: No such file"):
        write_faults(FaultMap(), tmp_path / "no" / "map.toml")


def test_machines_without_lines_have_none_to_lose(tmp_path: Path) -> None:
    boundless = replace(BENCH, crossbar=replace(CROSSBAR, rows=UNLIMITED), mesh=Mesh(width=2))
    assert problems(tmp_path, tile("rows = [1]", site="0:2,9"), boundless) == [
        'tile 0:2,9.site = "0:2,9": the column must be at most 1 and the row at most 2147483647, the grid of a chip',
        "tile 0:2,9.rows must be left out: the machine names no crossbar.rows, only whole tiles can be dead",
    ]


def test_maps_made_in_python_are_checked_as_well() -> None:
    stuck = (StuckCell(row=-1, column=0, polarity="+", level="low"),)
    faults = FaultMap(tiles=(TileFaults(site=Site(0, -1, 0)), TileFaults(site=Site(0, 0, 0), rows=(8,), stuck=stuck)))
    with pytest.raises(TargetError) as caught:
        check_faults(faults, BENCH)
    assert caught.value.problems == (
        'faults: tile 0:-1,0.site = "0:-1,0": chip, column and row must be at least 0',
        "faults: tile 0:0,0.rows = 8: must be at least 0 and at most 7 (crossbar.rows = 8)",
        "faults: tile 0:0,0.stuck_low: row = -1: must be at least 0 and at most 7 (crossbar.rows = 8)",
    )
    with pytest.raises(TargetError, match="must be at least 0 and at most 255"):
        mho.compile("no.onnx", "hermes64", faults=FaultMap(tiles=(TileFaults(site=Site(0, 0, 0), rows=(256,)),)))


def test_the_file_of_the_docs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n# file: \S+\n(.*?)```", text, re.S)
    (tmp_path / "map.toml").write_text(blocks[0], encoding="utf-8")
    read = read_faults(tmp_path / "map.toml", mho.load_target("hermes64"))
    assert read.by_site[Site(0, 0, 0)].dead
    assert len(read.by_site[Site(0, 1, 0)].stuck) == 3
    assert len(problems(tmp_path, blocks[1], mho.load_target("hermes64"))) == 3

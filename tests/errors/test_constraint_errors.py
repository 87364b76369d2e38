"""Demands that mean nothing, contradict each other or have no room: sentences, all at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mho.config import read_constraints, with_constraints
from mho.passes.constrain.constrain import Constrain
from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Pack
from mho.passes.partition.partition import PartitionChips
from mho.targets.errors import FitError, MhoError, OptionError
from mho.targets.faults import FaultMap, TileFaults
from mho.targets.isa import Site
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, tiling


def bench(chips_of: int | None = 4) -> Tiling:
    """Layers l0 (2 tiles), l1 (1) and l2 (2) on chips of four cores in two rows, of which 0:1,1 is dead."""
    made = tiling(chain((8, 4), (4, 4), (4, 8)), machine(Mesh(tiles=chips_of, width=2 if chips_of else None)))
    return replace(made, faults=FaultMap(tiles=(TileFaults(site=Site(0, 1, 1), dead=True),)))


def refused(constrain: Constrain, chips: int | None = None, tiled: Tiling | None = None) -> tuple[str, ...]:
    with pytest.raises(MhoError) as caught:
        PartitionChips(chips=chips, effort="fast").run(Ranged(Pack("none").run(constrain.run(tiled or bench())), {}))
    return caught.value.problems


def test_every_word_that_means_nothing_is_named() -> None:
    problems = refused(
        Constrain(
            pin={"l9": 0, "l0": "x", "l1": (), "l2": (0, 1)},
            apart=(("l0",), ("l0", "l11")),
            together=(("l0", "l0"),),
            forbid=("0", "0:1"),
        )
    )
    assert [problem.partition(";")[0] for problem in problems] == [
        "constrain.pin (--pin) names l9, which has no weights on tiles",
        'constrain.pin (--pin) of l0 = "x": must be a chip such as 0, or cores such as 0:3,4 (chip, column, row)',
        'constrain.pin (--pin) of l1 = "": must be a chip such as 0, or cores such as 0:3,4 (chip, column, row)',
        "constrain.pin (--pin) of l2 names the chips 0 and 1: give one",
        "constrain.apart (--apart) = l0: must name at least two different layers",
        "constrain.apart (--apart) names l11, which has no weights on tiles",
        "constrain.together (--together) = l0,l0: must name at least two different layers",
        "constrain.forbid (--forbid) = 0: must be a core such as 0:3,4 (chip, column, row)",
        "constrain.forbid (--forbid) = 0:1: must be a core such as 0:3,4 (chip, column, row)",
    ]


def test_cores_that_cannot_be_are_named() -> None:
    problems = refused(
        Constrain(pin={"l0#1": 0, "l1": ("0:2,0", "0:1,1", "0:0,0"), "l2[0:4,0:3]": 0}, forbid=("0:0,0", "0:0,9"))
    )
    assert problems == (
        "constrain: l0#1 is replica 1, and there is 1 copy, numbered from 0",
        "constrain: l2[0:4,0:3] cuts the block of rows 0:4 and columns 0:4, which stands in one tile; name whole "
        "blocks",
        "constrain.forbid (--forbid) = 0:0,9: the column must be at most 1 and the row at most 1, the grid of a chip",
        "constrain.pin (--pin) of l1 = 0:2,0: the column must be at most 1 and the row at most 1, the grid of a chip",
        "constrain.pin (--pin) of l1 = 0:1,1: the core is dead in the fault map",
        "constrain.pin (--pin) of l1 = 0:0,0: the core is forbidden (constrain.forbid, --forbid)",
    )


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"pin": {"l0": 0, "l1": 1}, "together": (("l0", "l1"),)}, "l0 is pinned to chip 0 and l1 is pinned to chip 1"),
        ({"pin": {"l0": 0, "l0#0": 1}}, "l0 is pinned to chip 0 and l0#0 is pinned to chip 1, but both name the same"),
        ({"apart": (("l0", "l1"),), "together": (("l1", "l0"),)}, "l0 and l1 cannot be on different chips"),
        ({"apart": (("l0", "l1"),), "pin": {"l0": 1, "l1": "1:0,0"}}, "as l0 is pinned to chip 1 and l1 is pinned to"),
        ({"apart": (("l0", "l0#0"),)}, "l0 and l0#0 cannot be on different chips, as both name the same blocks"),
    ],
)
def test_contradictions_are_named(asked: dict[str, Any], says: str) -> None:
    problems = refused(Constrain(**asked))
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize(
    ("asked", "chips", "says"),
    [
        ({"pin": {"l0": "0:0,0"}}, None, "2 tiles of l0 are pinned to 1 core (0:0,0), and 1 of them finds none left"),
        ({"pin": {"l0": 2}}, 2, "l0 is pinned to chip 2, but only 2 chips are allowed, numbered from 0; allow more"),
        (
            {"pin": {"l0": 0, "l2": 0}},
            None,
            "4 tiles of l0, l2 are pinned to chip 0, which has 3 cores that take a tile",
        ),
        (
            {"together": (("l0", "l1", "l2"),)},
            None,
            "5 tiles of l0, l1, l2 have to be on one chip, and a chip of bench has 4",
        ),
        ({"apart": (("l0", "l1", "l2"),)}, 2, "There is no way to put the tiles on 2 chips so that all that is pinned"),
    ],
)
def test_what_has_no_room_is_refused(asked: dict[str, Any], chips: int | None, says: str) -> None:
    problems = refused(Constrain(**asked), chips)
    assert says in problems[0], problems


def test_faults_are_named_where_they_take_the_room() -> None:
    broken = FaultMap(tiles=tuple(TileFaults(site=Site(0, x, 0), rows=(1, 2)) for x in range(2)))
    tiled = replace(bench(), faults=broken)
    (problem,) = refused(Constrain(apart=(("l0", "l1", "l2"),)), 2, tiled=tiled)
    assert "is where it has to be, around what is broken or forbidden; 3 chips would do" in problem


def test_too_few_lines_are_named() -> None:
    tiled = replace(bench(), faults=FaultMap(tiles=(TileFaults(site=Site(0, 0, 0), rows=(1, 2)),)))
    problems = refused(Constrain(pin={"l1": "0:0,0"}), tiled=tiled)
    assert problems == (
        "a tile of l1 reaches 4 rows × 4 columns, and of the cores that it is pinned to 0:0,0 has 2 × 4 left; pin it "
        "to another core",
    )


def test_an_unlimited_chip_takes_shape_around_pins_but_not_without_end() -> None:
    assert "column and row must be at most 31" in refused(Constrain(pin={"l1": "0:99,0"}), tiled=bench(None))[0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("c.toml", "pins = 3", "pins is no constraint; did you mean pin?"),
        ("c.json", "{", "is not a JSON file"),
        ("c.toml", "= 3", "is not a TOML file"),
        ("c.json", "[]", "must be a table with the keys pin, apart, together, forbid"),
        ("none.toml", None, "does not exist"),
    ],
)
def test_files_of_constraints(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(OptionError) as caught:
        read_constraints(tmp_path / name)
    assert says in str(caught.value)


def test_constraints_add_up_and_have_their_types() -> None:
    merged = with_constraints({"constrain": {"pin": {"a": 1}}}, [{"pin": {"a": ["1:0,0"]}, "forbid": ["0:0,0"]}, {}])
    assert merged["constrain"] == {"pin": {"a": (1, "1:0,0")}, "forbid": ("0:0,0",)}
    with pytest.raises(OptionError, match="must be a list"):
        with_constraints({}, [{"forbid": "0:0,0"}])
    with pytest.raises(OptionError, match="must be a table of layers"):
        with_constraints({}, [{"pin": ["a"]}])


def test_fit_errors_are_fit_errors() -> None:
    with pytest.raises(FitError):
        PartitionChips(chips=1).run(Ranged(Pack("none").run(Constrain(pin={"l0": 1}).run(bench())), {}))

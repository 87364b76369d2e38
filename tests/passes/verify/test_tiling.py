from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.passes.pack.pack import Mode
from mho.passes.tile.tile import Tile
from mho.passes.verify.tiling import verify_tiling
from tests.passes.tilings import Shape, calibrated, machine

TILING = Tile().run(calibrated([Shape(40, 20), Shape(8, 8)], vectors=1), machine(32, 32, analog_rows=64))
"""Blocks 0 and 1 share a converter; block 2 is 8 × 8."""


def changed(place: int, /, **fields: object) -> Tiling:
    """The tiling with other fields in one block."""
    blocks = list(TILING.blocks)
    blocks[place] = replace(blocks[place], **fields)  # type: ignore[arg-type]
    return replace(TILING, blocks=tuple(blocks))


def seated(*tiles: tuple[Seat, ...]) -> Tiling:
    return replace(TILING, tiles=tiles, tiles_lower_bound=1)


BROKEN: dict[str, Callable[[], Tiling]] = {
    "40 rows|is 40 × 20": lambda: changed(0, rows=(0, 40)),
    "320 of 800|claims 400 weights": lambda: changed(1, rows=(20, 21)),
    "overlap": lambda: changed(1, rows=(19, 39)),
    "replica that is not one of 1": lambda: changed(2, replica=1),
    "stands at place": lambda: changed(2, number=5),
    "leaves the matrix": lambda: changed(2, columns=(4, 12)),
    "unknown matrix": lambda: changed(2, matrix="m9"),
    "rows are not consecutive": lambda: changed(0, rows=(0, 19)),
    "more than 0 rows": lambda: replace(TILING, target=machine(32, 32)),
    "some of them a tile": lambda: seated((Seat(0), Seat(1, 20)), (Seat(2),)),
    "sits in 0 places": lambda: seated((Seat(0),), (Seat(1),)),
    "sits in 2 places": lambda: seated((Seat(0),), (Seat(1),), (Seat(2),), (Seat(2),)),
    "seats of unknown": lambda: seated((Seat(0),), (Seat(1),), (Seat(7),)),
    "no block": lambda: seated((Seat(0),), (Seat(1),), (Seat(2),), ()),
    "leaves the crossbar": lambda: seated((Seat(0, 20),), (Seat(1),), (Seat(2),)),
    "blocks 0 and 2 overlap": lambda: seated((Seat(0), Seat(2, 12, 12)), (Seat(1),)),
    "fewer than the bound": lambda: replace(TILING, tiles_lower_bound=4),
    "do not name the matrices": lambda: replace(TILING, replicas={"m0": 1}),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_each_kind_of_damage_is_named(problem: str) -> None:
    found = " ".join(verify_tiling(BROKEN[problem]()))
    assert all(part in found for part in problem.split("|")[1:] or [problem])


@pytest.mark.parametrize(("mode", "problem"), [("none", "2 blocks"), ("pipelined", "share rows"), ("sequential", None)])
def test_the_rule_of_the_mode_is_held(mode: Mode, problem: str | None) -> None:
    found = verify_tiling(seated((Seat(0), Seat(2, 0, 20)), (Seat(1),)), mode)
    assert found == () if problem is None else problem in found[0]


def test_a_tiling_is_sound_as_it_is_made() -> None:
    assert verify_tiling(TILING, "none") == ()
    assert isinstance(TILING.blocks[0], Block)

"""What the report says of a fault map."""

from __future__ import annotations

import json
from dataclasses import replace

from mho.report.faults import FaultLine, fault_line
from mho.report.summary import summarise
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.isa import CoreProgram, Load, Site
from mho.targets.program import MatrixFacts, Program
from tests.programs import tiny_program, tiny_target


def low(row: int, column: int) -> StuckCell:
    return StuckCell(row=row, column=column, polarity="+", level="low")


def one_tile(tile: TileFaults, load: Load, matrix: MatrixFacts) -> Program:
    """A program of one tile of 12 × 10 with one block."""
    core = CoreProgram(site=tile.site, loads=(load,), kernels=())
    dead = TileFaults(site=Site(0, 1, 0), dead=True, rows=(3,))
    faults = FaultMap(tiles=(dead, tile))
    return replace(tiny_program(), target=tiny_target(12, 10), cores=(core,), matrices=(matrix,), faults=faults)


MATRIX = MatrixFacts(name="m", rows=6, columns=4, groups=1, origins=())
BLOCK = Load(
    block=0, matrix="m", replica=0, rows=(0, 6), columns=(0, 4), scale_rows=(0, 6), row_offset=2, column_offset=1
)
FIRST = Site(0, 0, 0)


def test_nothing_without_a_map() -> None:
    assert fault_line(tiny_program()) is None
    report = summarise(tiny_program())
    assert json.loads(report.json())["faults"] is None
    assert "faults" not in report.text()
    assert "Faults:" not in report.html()


def test_counts() -> None:
    # Rows 2 to 7 of those left are 2, 3, 5, 6, 7 and 8; columns 1 to 4 are 1 to 4.
    stuck = (low(2, 1), low(4, 1), low(8, 4), low(9, 4), low(3, 5), low(0, 0))
    tile = TileFaults(site=FIRST, rows=(4, 11), columns=(9,), stuck=stuck)
    line = fault_line(one_tile(tile, BLOCK, MATRIX))
    assert line == FaultLine(
        dead_tiles=1,
        dead_rows=2,
        dead_columns=1,
        spare_tiles=1,
        stuck_cells=6,
        stuck_weights=2,
        dead_sites=(Site(0, 1, 0),),
    )
    assert str(line) == (
        "1 dead tile, 2 dead rows and 1 dead column avoided; 1 tile uses spare lines; "
        "2 of 6 stuck cells of the tiles in use lie under a weight"
    )


def test_dead_lines_behind_the_blocks_need_no_spare_ones() -> None:
    line = fault_line(one_tile(TileFaults(site=FIRST, rows=(8,), columns=(5,)), BLOCK, MATRIX))
    assert line is not None
    assert (line.dead_rows, line.dead_columns, line.spare_tiles) == (1, 1, 0)
    line = fault_line(one_tile(TileFaults(site=FIRST, columns=(4,)), BLOCK, MATRIX))
    assert line is not None
    assert line.spare_tiles == 1


def test_zeros_between_groups_are_no_weights() -> None:
    grouped = replace(MATRIX, groups=2)
    stuck = (low(2, 1), low(2, 3), low(5, 1), low(5, 3))
    line = fault_line(one_tile(TileFaults(site=FIRST, stuck=stuck), BLOCK, grouped))
    assert line is not None
    assert (line.stuck_cells, line.stuck_weights) == (4, 2)


def test_all_renderings_tell() -> None:
    free = TileFaults(site=Site(0, 5, 5), dead=True)
    report = summarise(replace(tiny_program(), faults=FaultMap(tiles=(free,))))
    assert json.loads(report.json())["faults"] == {
        "dead_tiles": 1,
        "dead_rows": 0,
        "dead_columns": 0,
        "spare_tiles": 0,
        "stuck_cells": 0,
        "stuck_weights": 0,
        "dead_sites": [{"chip": 0, "x": 5, "y": 5}],
    }
    assert "1 dead tile, 0 dead rows and 0 dead columns avoided" in " ".join(report.text().split())
    page = report.html()
    assert "Faults: 1 dead tile, 0 dead rows" in page
    assert "A crossed square is a dead tile." in page
    assert '"dead_sites":[{"chip":0,"x":5,"y":5}]' in page

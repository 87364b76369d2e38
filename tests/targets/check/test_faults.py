"""Programs that contradict their own fault map are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mho.targets.check.check import check_program
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.isa import Site
from tests.programs import tiny_program

PROGRAM = tiny_program()
FIRST = PROGRAM.cores[0].site

CASES = [
    (TileFaults(site=FIRST, dead=True), "core 0:0,0: block 0 lies on a dead tile"),
    (TileFaults(site=FIRST, rows=(0,)), "core 0:0,0: block 0 reaches row 3, and 3 rows are not dead"),
    (TileFaults(site=FIRST, columns=(1, 2)), "core 0:0,0: block 0 reaches column 2, and 1 columns are not dead"),
    (
        TileFaults(site=FIRST, rows=(4,)),
        "fault map: tile 0:0,0.rows = 4: must be at least 0 and at most 3 (crossbar.rows = 4)",
    ),
]


@pytest.mark.parametrize(("faults", "problem"), CASES)
def test_a_contradiction(faults: TileFaults, problem: str) -> None:
    assert check_program(replace(PROGRAM, faults=FaultMap(tiles=(faults,)))) == (problem,)


def test_faults_where_nothing_lies_are_no_problem() -> None:
    used = {core.site for core in PROGRAM.cores}
    free = next(site for y in range(8) for x in range(8) if (site := Site(0, x, y)) not in used)
    stuck = (StuckCell(row=0, column=0, polarity="+", level="low"),)
    faults = FaultMap(tiles=(TileFaults(site=free, dead=True), TileFaults(site=FIRST, stuck=stuck)))
    assert check_program(replace(PROGRAM, faults=faults)) == ()

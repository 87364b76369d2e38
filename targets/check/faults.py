"""Checks of a program against its own fault map: nothing lies on a dead tile or beyond the lines that are left."""

from __future__ import annotations

from collections.abc import Iterator

from mho.targets.fault_file import contradictions
from mho.targets.faults import TileFaults
from mho.targets.isa import Load
from mho.targets.program import Program
from mho.targets.target import Crossbar


def check_faults(program: Program) -> Iterator[str]:
    """What is wrong, a sentence each."""
    wrong = [f"fault map: {p.key} {p.text}" for p in contradictions(program.faults.tiles, program.target)]
    yield from wrong
    for core in program.cores if not wrong else ():
        faults = program.faults.by_site.get(core.site)
        if faults is not None and faults.bars:
            for load in core.loads:
                yield from (f"core {core.site}: {p}" for p in _load(load, faults, program.target.crossbar))


def _load(load: Load, faults: TileFaults, crossbar: Crossbar) -> Iterator[str]:
    if faults.dead:
        yield f"block {load.block} lies on a dead tile"
        return
    rows, columns = faults.room(crossbar, load.devices)
    bottom = load.row_offset + load.rows[1] - load.rows[0]
    right = load.column_offset + load.columns[1] - load.columns[0]
    if bottom > rows:
        yield f"block {load.block} reaches row {bottom - 1}, and {rows} rows are not dead"
    if right > columns:
        yield f"block {load.block} reaches column {right - 1}, and {columns} columns are not dead"

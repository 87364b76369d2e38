"""A program as text at the level that a person asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mho.targets.errors import OptionError
from mho.targets.isa import Site
from mho.targets.program import Program
from mho.targets.text import print_program, print_steps


def show_level(program: Program, level: str, core: str | None = None) -> str:
    """The program's network, tiling, plan, or all of it.

    Args:
        core: `CHIP:X,Y`; only that core of the level `program`.

    Raises:
        OptionError: the core does not exist.
    """
    if core is not None:
        return print_program(program, core=_site(program, core))
    if level == "network":
        return "".join(_matrices(program)) + print_steps(program.sequence)
    if level == "tiling":
        return "".join(_tiles(program))
    if level == "plan":
        return "".join(_plan(program))
    return print_program(program)


def _site(program: Program, text: str) -> Site:
    found = next((core.site for core in program.cores if str(core.site) == text.replace(" ", "")), None)
    if found is None:
        some = ", ".join(str(core.site) for core in program.cores[:8])
        raise OptionError(f"there is no core {text} with weights; cores are CHIP:X,Y, such as {some}")
    return found


def _matrices(program: Program) -> Iterator[str]:
    for m in program.matrices:
        yield f"matrix {json.dumps(m.name)} rows={m.rows} columns={m.columns} groups={m.groups}\n"


def _tiles(program: Program) -> Iterator[str]:
    for core in program.cores:
        yield f"tile {core.site}\n"
        for load in core.loads:
            yield (
                f"  block {load.block} of {json.dumps(load.matrix)} replica={load.replica} "
                f"rows={load.rows[0]}:{load.rows[1]} columns={load.columns[0]}:{load.columns[1]} "
                f"at {load.row_offset},{load.column_offset}\n"
            )


def _plan(program: Program) -> Iterator[str]:
    for fact in program.mapping.solvers:
        yield f"search {fact.search} status={fact.status} objective={fact.objective} bound={fact.bound}\n"
    for link in program.mapping.links:
        yield f"link {link.source} -> {link.target} words={link.words:g}\n"
    for slot in program.mapping.schedule:
        yield f"slot {json.dumps(slot.step)} start_ns={slot.start_ns:g} end_ns={slot.end_ns:g} rows={slot.rows}\n"

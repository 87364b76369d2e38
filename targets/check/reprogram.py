"""Checks of what a program says has to be written: its tiles are the program's own, and the counts add up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mho.targets.program import Program


def check_reprogram(program: Program) -> Iterator[str]:
    """What is wrong, a sentence each."""
    facts = program.mapping.reprogram
    if facts is None:
        return
    cores = {core.site for core in program.cores}
    crossbar = program.target.crossbar
    if any(one.site >= other.site for one, other in pairwise(facts.tiles_changed)):
        yield "tiles to write are not in order, or one is listed twice"
    for change in facts.tiles_changed:
        if change.site not in cores:
            yield f"core {change.site} is to be written and holds nothing"
    if facts.tiles_kept + len(facts.tiles_changed) != len(cores):
        yield f"{facts.tiles_kept} tiles are kept and {len(facts.tiles_changed)} written of {len(cores)}"
    if facts.cells != sum(change.cells for change in facts.tiles_changed):
        yield f"{facts.cells} cells are to be written, and the tiles say otherwise"
    if facts.cells_moved > facts.cells:
        yield f"{facts.cells_moved} cells move, of {facts.cells} that are to be written"
    widest = max((crossbar.with_devices(n).columns for n in crossbar.devices_allowed), default=crossbar.columns)
    if any(change.cells > crossbar.rows * widest for change in facts.tiles_changed):
        yield f"more cells are to be written than the {crossbar.rows} × {widest} of a tile"

"""What has to be written where the machine holds the program that this one was compiled like."""

from __future__ import annotations

from dataclasses import dataclass

from mho.report import quantities as q
from mho.targets.mapping import TileChange
from mho.targets.program import Program


@dataclass(frozen=True, kw_only=True)
class ReprogramLine:
    """Counts of tiles and cells.

    Attributes:
        program: digest of the program that the machine holds.
        tiles_kept, tiles_changed: tiles that stay as they are, and those of which cells are written.
        cells: that are written, in all, of `weights`, those that the blocks of all replicas have.
        cells_moved: of them, those of matrices that the machine holds already, elsewhere.
        changed: the tiles that are written, in the order of their sites.
    """

    program: str
    tiles_kept: int
    tiles_changed: int
    cells: int
    cells_moved: int
    weights: int
    changed: tuple[TileChange, ...]

    def __str__(self) -> str:
        tiles = self.tiles_kept + self.tiles_changed
        stay = f"{q.whole(self.tiles_kept)} of {_count(tiles, 'tile')} {'stays' if tiles == 1 else 'stay'} as before"
        if not self.cells:
            return f"{stay}, no cell has to be written"
        moved = f", {q.whole(self.cells_moved)} of them with weights that only move" if self.cells_moved else ""
        return f"{stay}; {_count(self.cells, 'cell')} in {_count(self.tiles_changed, 'tile')}{moved}"


def _count(number: int, noun: str) -> str:
    return f"{q.whole(number)} {noun}{'' if number == 1 else 's'}"


def reprogram_line(program: Program, weights: int) -> ReprogramLine | None:
    """The counts; None where the program was compiled like none.

    Args:
        weights: of all replicas together.
    """
    facts = program.mapping.reprogram
    if facts is None:
        return None
    return ReprogramLine(
        program=facts.program,
        tiles_kept=facts.tiles_kept,
        tiles_changed=len(facts.tiles_changed),
        cells=facts.cells,
        cells_moved=facts.cells_moved,
        weights=weights,
        changed=facts.tiles_changed,
    )

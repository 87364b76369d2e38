"""`Positions`: where blocks stand, told from outside: by a placement file, or by a program that exists already."""

from __future__ import annotations

from dataclasses import dataclass

from mho.passes.levels.demands import BlockKey, Spot
from mho.targets.isa import Site, Span


@dataclass(frozen=True)
class Position:
    """A block of a matrix, its core, and its upper left cell there.

    Attributes:
        scale_rows: rows of the matrix whose blocks add their charge before one converter with it, its own among them;
            None is as many as the machine allows.
    """

    matrix: str
    replica: int
    rows: Span
    columns: Span
    core: Site
    row_offset: int = 0
    column_offset: int = 0
    scale_rows: Span | None = None

    @property
    def block(self) -> BlockKey:
        return self.matrix, self.replica, self.rows, self.columns

    @property
    def spot(self) -> Spot:
        return Spot(self.core, self.row_offset, self.column_offset)

    @property
    def height(self) -> int:
        return self.rows[1] - self.rows[0]

    @property
    def width(self) -> int:
        return self.columns[1] - self.columns[0]

    def __str__(self) -> str:
        span = f"[{self.rows[0]}:{self.rows[1]},{self.columns[0]}:{self.columns[1]}]"
        return f"{self.matrix}#{self.replica}{span} at {self.core}"


Positions = tuple[Position, ...]

"""Filling tiles whose blocks only must not overlap, without a free cell but in the last one.

Columns are cut into widths of which each divides the next larger one, up to the crossbar's: such strips stand side by
side without a gap, the widest first, as powers of two fill a whole. Each strip is cut where its tile's rows end, and
what is left of a tile's rows beside it is a gap that narrower strips fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from mho.passes.levels.matrix import Matrix
from mho.passes.pack.strips import Cut, Strip, groups_of
from mho.targets.target import Crossbar


@dataclass(frozen=True)
class Gap:
    """Free cells of a tile: all rows from one on, of some columns."""

    tile: int
    row: int
    column: int
    width: int


def widths_of(columns: int) -> tuple[int, ...]:
    """The crossbar's columns, and what is left when they are divided by prime factor after prime factor, down to 1."""
    widths = [columns]
    factor = 2
    while widths[-1] > 1:
        if widths[-1] % factor:
            factor += 1
        else:
            widths.append(widths[-1] // factor)
    return tuple(widths)


def nested_strips(matrix: Matrix, replica: int, widths: Sequence[int]) -> Iterator[Strip]:
    """The strips of a copy: each group's columns as the largest of these widths that they hold, over and over."""
    height, width = groups_of(matrix)
    for group in range(matrix.groups):
        column = group * width
        for part in widths:
            while column + part <= (group + 1) * width:
                yield Strip(matrix.name, replica, group * height, column, height, part)
                column += part


def nested_parts(matrix: Matrix, widths: Sequence[int]) -> int:
    """How many strips that are."""
    _, rest = groups_of(matrix)
    count = 0
    for part in widths:
        count, rest = count + rest // part, rest % part
    return count * matrix.groups


def fill(strips: Iterable[Strip], crossbar: Crossbar) -> list[Cut]:
    """All strips in tiles, the widest first, of those the highest."""
    filling = _Filling(crossbar, widths_of(crossbar.columns))
    for strip in sorted(strips, key=lambda s: (-s.width, -s.height)):
        filling.place(strip)
    return filling.cuts


@dataclass
class _Filling:
    """The cuts so far, and the gaps by width; all gaps that are wider than the present strips are used up first."""

    crossbar: Crossbar
    widths: tuple[int, ...]
    tiles: int = 0
    cuts: list[Cut] = field(default_factory=list)
    gaps: dict[int, list[Gap]] = field(default_factory=dict)

    def place(self, strip: Strip) -> None:
        start = 0
        while start < strip.height:
            gap = self._gap(strip.width)
            rows = min(strip.height - start, self.crossbar.rows - gap.row)
            self.cuts.append(Cut(strip, start, start + rows, gap.tile, gap.row, gap.column))
            self._keep(replace(gap, row=gap.row + rows))
            start += rows

    def _gap(self, width: int) -> Gap:
        """A gap of this width: the last that was left, else a part of a wider one, else of a new tile."""
        if not self.gaps.get(width):
            wider = [w for w in self.widths if w > width and self.gaps.get(w)]
            whole = self.gaps[wider[-1]].pop() if wider else self._new_tile()
            for larger, smaller in pairwise(w for w in self.widths if width <= w <= whole.width):
                for part in reversed(range(1, larger // smaller)):
                    self._keep(replace(whole, column=whole.column + part * smaller, width=smaller))
                whole = replace(whole, width=smaller)
            return whole
        return self.gaps[width].pop()

    def _keep(self, gap: Gap) -> None:
        if gap.row < self.crossbar.rows:
            self.gaps.setdefault(gap.width, []).append(gap)

    def _new_tile(self) -> Gap:
        self.tiles += 1
        return Gap(self.tiles - 1, 0, 0, self.crossbar.columns)

"""Dealing out strips to tiles whose blocks share neither rows nor columns, cut where a tile's rows end.

Rows are what such tiles run out of in most networks: a tile is well used when its rows are all taken, whatever the
columns. So the widest strip that waits opens a tile, and the widest ones that fit beside it fill its rows; the
narrow ones, cut where that ends, fill what the wide ones leave.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mho.passes.levels.matrix import Matrix
from mho.passes.pack.strips import Cut, Strip, apart, strips_of, width_choices
from mho.targets.target import Crossbar

MOST_TRIED = 40
"""Strips up to which other widths are tried."""

MOST_SEEN = 64
"""Strips of one width that are looked at for one place."""

Load = Mapping[int, int]
"""What a tile holds: strip → units."""


@dataclass(frozen=True)
class Dealt:
    """Strips, and what each tile holds of them."""

    strips: tuple[Strip, ...]
    tiles: tuple[Load, ...]


def deals(copies: Sequence[tuple[Matrix, int]], crossbar: Crossbar) -> Iterator[Dealt]:
    """The strips of copies of matrices in tiles: first of the most promising widths.

    Where they are few, then of those widths that take fewer tiles when they are tried matrix by matrix.
    """
    choices = {matrix.name: width_choices(matrix, crossbar) for matrix, _ in copies}
    chosen = {name: widths[0] for name, widths in choices.items()}

    def dealt() -> Dealt:
        found = [s for matrix, replica in copies for s in strips_of(matrix, replica, crossbar, chosen[matrix.name])]
        return deal(found, crossbar)

    yield (best := dealt())
    if len(best.strips) > MOST_TRIED:
        return
    for name, widths in choices.items():
        for other in widths[1:]:
            before, chosen[name] = chosen[name], other
            found = dealt()
            if _spread(found, crossbar) < _spread(best, crossbar):
                best = found
            else:
                chosen[name] = before
    yield best


def _spread(dealt: Dealt, crossbar: Crossbar) -> tuple[int, int]:
    """Fewer tiles are better, and then free rows that lie together."""
    used = (sum(dealt.strips[i].rows_of(units) for i, units in load.items()) for load in dealt.tiles)
    return len(dealt.tiles), -sum((crossbar.rows - rows) ** 2 for rows in used)


def deal(strips: Sequence[Strip], crossbar: Crossbar) -> Dealt:
    """All units of all strips in tiles."""
    dealer = _Dealer(crossbar, list(strips))
    tiles: list[Load] = []
    for index, strip in enumerate(strips):
        if not strip.rigid and 2 * strip.width > crossbar.columns:
            whole, rest = divmod(strip.height, crossbar.rows)
            tiles += [{index: crossbar.rows}] * whole
            dealer.add(index, rest)
        else:
            dealer.add(index, strip.units)
    while dealer.left:
        tiles.append(dealer.tile())
    return Dealt(tuple(dealer.strips), tuple(tiles))


@dataclass
class _Dealer:
    """The strips that wait.

    Attributes:
        left: strip → units that wait.
        widths: of the strips that wait and may be cut after any row, in order; waiting: width → those strips.
        chains: the rigid strips that wait.
    """

    crossbar: Crossbar
    strips: list[Strip]
    left: dict[int, int] = field(default_factory=dict)
    widths: list[int] = field(default_factory=list)
    waiting: dict[int, list[int]] = field(default_factory=dict)
    chains: list[int] = field(default_factory=list)

    def add(self, index: int, units: int) -> None:
        """Units of a strip wait."""
        if units == 0:
            return
        strip = self.strips[index]
        self.left[index] = units
        if strip.rigid:
            self.chains.append(index)
            return
        if strip.width not in self.waiting:
            insort(self.widths, strip.width)
        self.waiting.setdefault(strip.width, []).append(index)

    def tile(self) -> Load:
        """The content of the next tile."""
        load: dict[int, int] = {}
        rows, columns = self.crossbar.rows, self.crossbar.columns
        while rows and (found := self._next(rows, columns, load)) is not None:
            index, units = found
            strip = self.strips[index]
            self._take(index, units)
            load[index] = units
            rows, columns = rows - strip.rows_of(units), columns - strip.columns_of(units)
        return load

    def _next(self, rows: int, columns: int, load: Load) -> tuple[int, int] | None:
        """The part of a strip that takes the most columns of a tile's room; a group is cut if nothing else fits."""
        found = [*self._cuttable(rows, columns, load), *self._whole(rows, columns, load)]
        if found:
            _, index, units = max(found, key=lambda f: f[0])
            return index, units
        return self._cut_group(rows, columns) if load else None

    def _cuttable(self, rows: int, columns: int, load: Load) -> Iterator[tuple[tuple[int, bool, int], int, int]]:
        """The widest strips that fit: what is left over whole tiles before what needs one more cut."""
        for width in reversed(self.widths[: bisect_right(self.widths, columns)]):
            found = [index for index in self.waiting[width][:MOST_SEEN] if index not in load]
            for index in found:
                rest = self.left[index] % self.crossbar.rows
                units = rest if 0 < rest <= rows else min(rows, self.left[index])
                yield (width, units == rest, units), index, units
            if found:
                return

    def _whole(self, rows: int, columns: int, load: Load) -> Iterator[tuple[tuple[int, bool, int], int, int]]:
        for index in self.chains:
            strip = self.strips[index]
            units = min(self.left[index], rows // strip.height, columns // strip.width)
            if units and index not in load:
                yield (strip.columns_of(units), strip.rows_of(units) == rows, strip.rows_of(units)), index, units

    def _cut_group(self, rows: int, columns: int) -> tuple[int, int] | None:
        """A group made a strip of its own, and the rows of it that fill the tile."""
        fits = [i for i in self.chains if self.strips[i].height > rows and self.strips[i].width <= columns]
        if not fits:
            return None
        chosen = max(fits, key=lambda i: (self.strips[i].width, self.left[i]))
        self.strips[chosen], group = apart(self.strips[chosen])
        self._take(chosen, 1)
        self.strips.append(group)
        self.add(len(self.strips) - 1, group.height)
        return len(self.strips) - 1, rows

    def _take(self, index: int, units: int) -> None:
        self.left[index] -= units
        if self.left[index]:
            return
        del self.left[index]
        strip = self.strips[index]
        if strip.rigid:
            self.chains.remove(index)
            return
        self.waiting[strip.width].remove(index)
        if not self.waiting[strip.width]:
            del self.waiting[strip.width]
            self.widths.remove(strip.width)


def cuts_of(dealt: Dealt, first_tile: int = 0) -> Iterator[Cut]:
    """The cuts, those of a strip in the order of their size and of the tiles; the blocks of a tile on its diagonal."""
    shares: dict[int, list[tuple[int, int]]] = {}
    for tile, load in enumerate(dealt.tiles):
        for index, units in load.items():
            shares.setdefault(index, []).append((-units, tile))
    parts: dict[tuple[int, int], int] = {}
    for index, found in shares.items():
        start = 0
        for units, tile in sorted(found):
            parts[tile, index] = start
            start -= units
    for tile, load in enumerate(dealt.tiles):
        row = column = 0
        for index, units in sorted(load.items()):
            strip, start = dealt.strips[index], parts[tile, index]
            yield Cut(strip, start, start + units, first_tile + tile, row, column)
            row, column = row + strip.rows_of(units), column + strip.columns_of(units)

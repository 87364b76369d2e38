"""Strips: the parts of a matrix whose rows packing may cut anywhere, and the blocks that cuts make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.tiling import Block, Seat, Tile, Tiling
from mho.passes.tile.tile import even_spans
from mho.targets.isa import Span
from mho.targets.target import Crossbar, Target

CHIP_PART = 4
"""Tiles that share converters are at most one in so many of a chip's."""


@dataclass(frozen=True)
class Strip:
    """Equal groups of weights on a diagonal of one copy of a matrix; most strips are a single group.

    Attributes:
        row, column: of its first weight in the matrix.
        height, width: rows and columns of a group.
        rigid: it is cut between groups only; else it is a single group, which may be cut after any row.
    """

    matrix: str
    replica: int
    row: int
    column: int
    height: int
    width: int
    groups: int = 1
    rigid: bool = False

    @property
    def units(self) -> int:
        """What it may be cut into: rows, or groups."""
        return self.groups if self.rigid else self.height

    @property
    def unit_rows(self) -> int:
        """Rows of a unit."""
        return self.height if self.rigid else 1

    def rows_of(self, units: int) -> int:
        return units * self.unit_rows

    def columns_of(self, units: int) -> int:
        """Columns that a part of so many units has."""
        return units * self.width if self.rigid else self.width

    def spans(self, first: int, last: int) -> tuple[Span, Span]:
        """Rows and columns of the units first … last − 1 in the matrix."""
        if not self.rigid:
            return (self.row + first, self.row + last), (self.column, self.column + self.width)
        return (
            (self.row + first * self.height, self.row + last * self.height),
            (self.column + first * self.width, self.column + last * self.width),
        )

    def weights_of(self, units: int) -> int:
        return units * self.width * self.unit_rows


@dataclass(frozen=True)
class Cut:
    """The units first … last − 1 of a strip in a tile, with their upper left cell there."""

    strip: Strip
    first: int
    last: int
    tile: int
    row_offset: int
    column_offset: int


def groups_of(matrix: Matrix) -> tuple[int, int]:
    """Rows and columns of a group."""
    return matrix.rows // matrix.groups, matrix.columns // matrix.groups


def fits_whole(matrix: Matrix, crossbar: Crossbar) -> bool:
    """Whether the matrix has several groups that each fit a crossbar."""
    height, width = groups_of(matrix)
    return matrix.groups > 1 and height <= crossbar.rows and width <= crossbar.columns


Widths = tuple[int, ...]
"""Columns of the strips of a group, in their order."""


def width_choices(matrix: Matrix, crossbar: Crossbar) -> tuple[Widths, ...]:
    """Ways to cut the columns of a group for tiles whose blocks share no lines, the most promising first.

    The first has as few strips as the crossbar allows, of even width. Where they would be exactly as wide as the
    crossbar, so that what is left of their rows shares its tile with nothing, it has one strip more if that takes fewer
    rows than those tiles have. The others have whole widths and a rest, or one strip more.
    """
    height, width = groups_of(matrix)
    if fits_whole(matrix, crossbar):
        return ((width,),)
    parts = ceil(width / crossbar.columns)
    alone = parts * ceil(height / crossbar.rows) * crossbar.rows
    choices = [_even(width, parts), (*[crossbar.columns] * (parts - 1), width - (parts - 1) * crossbar.columns)]
    if parts < width:
        more = _even(width, parts + 1)
        first = width % crossbar.columns == 0 and (parts + 1) * height < alone
        choices.insert(0 if first else 2, more)
    return tuple(dict.fromkeys(choices))


def strips_of(matrix: Matrix, replica: int, crossbar: Crossbar, widths: Widths) -> Iterator[Strip]:
    """The strips of a copy; groups that each fit a crossbar are one rigid strip together."""
    height, width = groups_of(matrix)
    if fits_whole(matrix, crossbar):
        yield Strip(matrix.name, replica, 0, 0, height, width, matrix.groups, rigid=True)
        return
    for group in range(matrix.groups):
        column = group * width
        for part in widths:
            yield Strip(matrix.name, replica, group * height, column, height, part)
            column += part


def _even(total: int, parts: int) -> Widths:
    return tuple(last - first for first, last in even_spans(total, ceil(total / parts)))


def apart(strip: Strip) -> tuple[Strip, Strip]:
    """A rigid strip without its last group, and that one, which may be cut after any row."""
    last = strip.groups - 1
    rows, columns = strip.spans(last, strip.groups)
    return replace(strip, groups=last), replace(strip, row=rows[0], column=columns[0], groups=1, rigid=False)


def retiled(tiling: Tiling, cuts: Iterable[Cut], kept: Iterable[Tile]) -> Tiling:
    """The tiling with the blocks of the cuts in their tiles, and tiles of blocks that stay as they were behind them.

    Cuts of one column range of a copy share converters in the order of their rows, as far as the machine adds their
    charge, no two of them lie in one tile, and what is bound together so stays a small part of a chip.
    """
    seated: list[tuple[Block, int, Seat]] = [
        (tiling.blocks[seat.block], -1 - place, seat) for place, tile in enumerate(kept) for seat in tile
    ]
    fresh = [(_block(cut), cut.tile, Seat(0, cut.row_offset, cut.column_offset)) for cut in cuts]
    fresh.sort(key=lambda item: (item[0].matrix, item[0].replica, item[0].columns, item[0].rows))
    heads = _heads(
        [(block, tile) for block, tile, _ in fresh], tiling.target.crossbar.analog_rows, _largest_unit(tiling.target)
    )
    shift = len(tiling.blocks)
    seated += [
        (replace(b, converter=shift + head), tile, seat) for (b, tile, seat), head in zip(fresh, heads, strict=True)
    ]
    order = {name: place for place, name in enumerate(tiling.calibrated.network.matrices)}
    seated.sort(key=lambda item: (order[item[0].matrix], item[0].replica, item[0].columns, item[0].rows))
    first: dict[int, int] = {}
    blocks: list[Block] = []
    tiles: dict[int, list[Seat]] = {}
    for number, (block, tile, seat) in enumerate(seated):
        blocks.append(replace(block, number=number, converter=first.setdefault(block.converter, number)))
        tiles.setdefault(tile, []).append(replace(seat, block=number))
    ordered = sorted(
        (tuple(sorted(seats, key=lambda s: s.block)) for seats in tiles.values()), key=lambda t: t[0].block
    )
    return replace(tiling, blocks=tuple(blocks), tiles=tuple(ordered))


def _block(cut: Cut) -> Block:
    strip, units = cut.strip, cut.last - cut.first
    rows, columns = strip.spans(cut.first, cut.last)
    return Block(0, strip.matrix, strip.replica, rows, columns, 0, strip.weights_of(units))


def _heads(blocks: Sequence[tuple[Block, int]], analog_rows: int | None, largest: int | None) -> list[int]:
    """For each block, in order of copy, columns and rows, the first one that shares its converter."""
    heads: list[int] = []
    tiles: set[int] = set()
    units = _Units(largest)
    for index, (block, tile) in enumerate(blocks):
        head = blocks[heads[-1]][0] if heads else None
        joins = (
            head is not None
            and analog_rows is not None
            and (head.matrix, head.replica, head.columns) == (block.matrix, block.replica, block.columns)
            and block.rows[0] == blocks[index - 1][0].rows[1]
            and block.rows[1] - head.rows[0] <= analog_rows
            and tile not in tiles
            and units.join(blocks[index - 1][1], tile)
        )
        tiles = tiles | {tile} if joins else {tile}
        heads.append(heads[-1] if joins else index)
    return heads


@dataclass
class _Units:
    """Tiles that must lie on one chip, because blocks of theirs share converters.

    Attributes:
        largest: tiles of a unit, at most; None is no limit.
    """

    largest: int | None
    unit_of: dict[int, int] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)

    def join(self, one: int, other: int) -> bool:
        """Whether both tiles may be, and thus are, of one unit."""
        first, second = (self.unit_of.get(tile, tile) for tile in (one, other))
        if first == second:
            return True
        mine, theirs = self.members.get(first, [one]), self.members.get(second, [other])
        if self.largest is not None and len(mine) + len(theirs) > self.largest:
            return False
        self.members[first] = mine + theirs
        self.unit_of.update(dict.fromkeys(mine + theirs, first))
        return True


def _largest_unit(target: Target) -> int | None:
    """Tiles that may be bound to one chip by the converters that they share: a part of a chip, or those of one sum."""
    crossbar, tiles = target.crossbar, target.mesh.tiles
    if tiles is None or crossbar.analog_rows is None:
        return tiles
    return min(tiles, max(tiles // CHIP_PART, crossbar.analog_rows // crossbar.rows))

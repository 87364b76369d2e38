"""How many tiles a packing needs at least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from mho.passes.levels.matrix import Matrix
from mho.targets.target import Crossbar

Integers = NDArray[np.int64]
Shape = tuple[int, int]
"""Rows and columns."""

FUNCTIONS = 24
"""Dual feasible functions of each kind that are tried along an axis."""


@dataclass(frozen=True)
class Piece:
    """A block as packing sees it: pieces of one `converter` must lie in different tiles."""

    block: int
    rows: int
    columns: int
    converter: int

    @property
    def shape(self) -> Shape:
        return self.rows, self.columns


def fits_diagonally(one: Shape, other: Shape, crossbar: Crossbar) -> bool:
    """Whether two shapes fit in a tile without sharing a row or a column."""
    return one[0] + other[0] <= crossbar.rows and one[1] + other[1] <= crossbar.columns


def fits_beside(one: Shape, other: Shape, crossbar: Crossbar) -> bool:
    """Whether two shapes fit in a tile without overlap."""
    return one[0] + other[0] <= crossbar.rows or one[1] + other[1] <= crossbar.columns


def least_tiles(matrices: Iterable[tuple[Matrix, int]], crossbar: Crossbar, diagonal: bool) -> int:
    """No packing of the matrices, each with a number of copies, needs fewer tiles, wherever they are cut.

    Any cells may be a block's, but that the columns of a group are cut through all of its rows. Without overlap the
    cells of the weights are the bound. Where the blocks of a tile share neither rows nor columns, a row of a group lies
    in at least ⌈its width / columns⌉ blocks, each of which takes a row of a tile for itself, so the rows of all these
    are a bound, and so are the columns. Where a group is a multiple of the crossbar's width, its row either has blocks
    as wide as a tile, which share it with nothing, or takes one row more; and columns likewise.

    Args:
        diagonal: blocks of a tile share neither rows nor columns.
    """
    rows = columns = cells = 0
    for matrix, copies in matrices:
        height, width = matrix.rows // matrix.groups, matrix.columns // matrix.groups
        groups = matrix.groups * copies
        cells += groups * height * width
        rows += groups * _lines(height, width, crossbar.rows, crossbar.columns, together=True)
        columns += groups * _lines(width, height, crossbar.columns, crossbar.rows, together=False)
    volume = ceil(cells / (crossbar.rows * crossbar.columns))
    return max(volume, ceil(rows / crossbar.rows), ceil(columns / crossbar.columns)) if diagonal else volume


def _lines(length: int, breadth: int, lines: int, across: int, together: bool) -> int:
    """Lines of tiles that a group of so many lines needs, each of them `breadth` long, in tiles of lines × across.

    Args:
        together: all lines are cut at the same places, as rows are by cuts between columns.
    """
    parts = ceil(breadth / across)
    if breadth % across:
        return parts * length
    alone, rest = divmod(length, lines)
    if together:
        return min(parts * ceil(length / lines) * lines, (parts + 1) * length)
    return parts * alone * lines + min(parts * lines * (rest > 0), (parts + 1) * rest)


def lower_bound(pieces: Sequence[Piece], crossbar: Crossbar, diagonal: bool) -> int:
    """No packing of the pieces, as they are cut, needs fewer tiles.

    A dual feasible function f has Σ f(x) ≤ 1 wherever Σ x ≤ 1. So a tile whose blocks lie on a diagonal has
    Σ f(rows) ≤ 1 and Σ f(columns) ≤ 1, and a tile of rectangles Σ f(rows) · g(columns) ≤ 1 (Fekete and Schepers,
    "New classes of fast lower bounds for bin packing problems", Mathematical Programming 91, 2001).

    Args:
        diagonal: blocks of a tile share neither rows nor columns.
    """
    if not pieces:
        return 0
    shapes = Counter(p.shape for p in pieces)
    count = np.array(list(shapes.values()), np.int64)
    rows, row_units = _dual_feasible(np.array([s[0] for s in shapes], np.int64), crossbar.rows)
    columns, column_units = _dual_feasible(np.array([s[1] for s in shapes], np.int64), crossbar.columns)
    converters = max(Counter(p.converter for p in pieces).values())
    if diagonal:
        sums = max(_ceil(rows @ count, row_units), _ceil(columns @ count, column_units))
        return max(sums, converters, _clique(shapes, crossbar))
    return max(_ceil((rows * count) @ columns.T, np.outer(row_units, column_units)), converters)


def _dual_feasible(sizes: Integers, limit: int) -> tuple[Integers, Integers]:
    """Functions of sizes / limit as integers [functions, sizes], and for each the integer that stands for 1."""
    halves = np.unique(sizes[2 * sizes <= limit])
    chosen = halves[np.unique(np.linspace(0, len(halves) - 1, min(FUNCTIONS, len(halves))).astype(int))]
    values, units = [sizes], [limit]
    for small in np.unique([*chosen, *(chosen + 1)]):
        if 2 * small <= limit:
            values.append(np.where(sizes < small, 0, np.where(sizes > limit - small, limit, sizes)))
            units.append(limit)
    for k in range(1, FUNCTIONS):
        exact = (k + 1) * sizes % limit == 0
        values.append(np.where(exact, k * sizes, (k + 1) * sizes // limit * limit))
        units.append(k * limit)
    return np.array(values, np.int64), np.array(units, np.int64)


def _ceil(values: Integers, units: Integers) -> int:
    """The largest of values / units, rounded up."""
    return int((-(-values // units)).max())


def _clique(shapes: Counter[Shape], crossbar: Crossbar) -> int:
    """How many pieces there are of which no two fit on one diagonal, found greedily from the largest."""
    chosen: list[Shape] = []
    total = 0
    by_size = sorted(shapes, key=lambda s: (max(s[0] / crossbar.rows, s[1] / crossbar.columns), s), reverse=True)
    for shape in by_size:
        if not any(fits_diagonally(shape, other, crossbar) for other in chosen):
            total += 1 if fits_diagonally(shape, shape, crossbar) else shapes[shape]
            chosen.append(shape)
    return total

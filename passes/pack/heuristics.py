"""Quick packings: blocks on the diagonals of tiles, and blocks side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mho.passes.levels.tiling import Seat
from mho.passes.pack.bounds import Piece
from mho.targets.target import Crossbar

Bin = list[Seat]
Order = Callable[[Piece, Crossbar], tuple[float, ...]]
Packed = TypeVar("Packed", list[Piece], Bin)
Rectangle = tuple[int, int, int, int]
"""First row, first column, stop row, stop column."""

NO_ROOM = np.iinfo(np.int64).max

ORDERS: tuple[Order, ...] = (
    lambda p, c: (p.rows * p.columns, p.rows),
    lambda p, c: (p.rows / c.rows + p.columns / c.columns, p.rows),
    lambda p, c: (max(p.rows / c.rows, p.columns / c.columns), p.rows / c.rows + p.columns / c.columns),
    lambda p, c: (p.rows, p.columns),
    lambda p, c: (p.columns, p.rows),
)
"""Keys by which pieces are sorted, largest first; the first are the best on average."""

MANY = 2000
"""With more pieces than this only the best orders are tried."""


def diagonal_packing(pieces: Sequence[Piece], crossbar: Crossbar, bound: int) -> list[Bin]:
    """Blocks that share neither rows nor columns: the first of several packings to meet the bound, or the best."""

    def tries() -> Iterator[list[list[Piece]]]:
        yield from (_best_fit(ordered, crossbar) for ordered in _sorted(pieces, crossbar, ORDERS[:3]))
        yield _tile_by_tile(pieces, crossbar)

    return [on_diagonal(group) for group in _first_or_best(tries(), bound)]


def rectangle_packing(pieces: Sequence[Piece], crossbar: Crossbar, bound: int) -> list[Bin]:
    """Blocks that do not overlap, chosen in the same way."""

    def tries() -> Iterator[list[Bin]]:
        orders = ORDERS if len(pieces) <= MANY else ORDERS[:2]
        yield from (_narrowest_strip(ordered, crossbar) for ordered in _sorted(pieces, crossbar, orders))
        yield diagonal_packing(pieces, crossbar, bound)

    return _first_or_best(tries(), bound)


def _first_or_best(packings: Iterable[list[Packed]], bound: int) -> list[Packed]:
    """The first packing of at most `bound` tiles, else the one with the fewest; later ones are not computed."""
    best: list[Packed] | None = None
    for packing in packings:
        if best is None or len(packing) < len(best):
            best = packing
        if len(best) <= bound:
            break
    return best or []


def on_diagonal(group: Sequence[Piece]) -> Bin:
    """The seats of blocks down a tile's diagonal, in order of their numbers."""
    seats: Bin = []
    row = column = 0
    for piece in sorted(group, key=lambda p: p.block):
        seats.append(Seat(piece.block, row, column))
        row, column = row + piece.rows, column + piece.columns
    return seats


def _sorted(pieces: Sequence[Piece], crossbar: Crossbar, orders: Sequence[Order]) -> Iterator[list[Piece]]:
    """The pieces in each order, the largest first."""

    def largest_first(order: Order) -> list[Piece]:
        return sorted(pieces, key=lambda p: (*(-v for v in order(p, crossbar)), p.block))

    return map(largest_first, orders)


def _best_fit(pieces: Sequence[Piece], crossbar: Crossbar) -> list[list[Piece]]:
    """Each piece goes to the open tile that it leaves the least room in."""
    free_rows, free_columns = np.full(len(pieces), crossbar.rows), np.full(len(pieces), crossbar.columns)
    groups: list[list[Piece]] = []
    holders: dict[int, list[int]] = {}
    for piece in pieces:
        rows, columns = free_rows[: len(groups)], free_columns[: len(groups)]
        room = rows * crossbar.columns + columns * crossbar.rows
        room[(rows < piece.rows) | (columns < piece.columns)] = NO_ROOM
        room[holders.get(piece.converter, [])] = NO_ROOM
        chosen = int(room.argmin()) if room.min(initial=NO_ROOM) < NO_ROOM else len(groups)
        if chosen == len(groups):
            groups.append([])
        groups[chosen].append(piece)
        free_rows[chosen] -= piece.rows
        free_columns[chosen] -= piece.columns
        holders.setdefault(piece.converter, []).append(chosen)
    return groups


def _tile_by_tile(pieces: Sequence[Piece], crossbar: Crossbar) -> list[list[Piece]]:
    """Each tile takes the piece that lies best in its remaining room, by dot product, until none fits.

    The measure is that of Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for vector bin packing", 2011.
    """
    full = np.array([crossbar.rows, crossbar.columns])
    sizes = np.array([p.shape for p in pieces]).reshape(-1, 2)
    converters = np.array([p.converter for p in pieces])
    waiting = np.arange(len(pieces))
    weights = sizes.sum(axis=0) / full / max(len(pieces), 1)
    groups: list[list[Piece]] = []
    while len(waiting):
        free = full.copy()
        group: list[Piece] = []
        candidates = waiting
        while len(candidates):
            value = (sizes[candidates] / full) @ (weights * free / full)
            chosen = candidates[value.argmax()]
            group.append(pieces[chosen])
            free -= sizes[chosen]
            fits = (sizes[candidates] <= free).all(axis=1) & (converters[candidates] != converters[chosen])
            candidates = candidates[fits]
            waiting = waiting[waiting != chosen]
        groups.append(group)
    return groups


def _narrowest_strip(pieces: Sequence[Piece], crossbar: Crossbar) -> list[Bin]:
    """Each piece goes to the corner of the free rectangle that it leaves the narrowest strip of.

    Free space is kept as all largest free rectangles of every tile (Jylänki, "A thousand ways to pack the bin",
    2010, there called maximal rectangles with best short side fit).
    """
    whole = (0, 0, crossbar.rows, crossbar.columns)
    free = np.zeros((0, 5), np.int64)
    bins: list[Bin] = []
    holders: dict[int, list[int]] = {}
    for piece in pieces:
        found = _narrowest(free, piece, holders.get(piece.converter, []))
        if found is None:
            tile, corner = len(bins), (0, 0)
            bins.append([])
            mine = [whole]
        else:
            tile, corner = int(free[found, 0]), (int(free[found, 1]), int(free[found, 2]))
            mine = [(r, c, s, t) for _, r, c, s, t in free[free[:, 0] == tile].tolist()]
        bins[tile].append(Seat(piece.block, *corner))
        holders.setdefault(piece.converter, []).append(tile)
        taken = (*corner, corner[0] + piece.rows, corner[1] + piece.columns)
        rest = np.array([(tile, *r) for r in without(mine, taken)], np.int64).reshape(-1, 5)
        free = np.concatenate([free[free[:, 0] != tile], rest])
    return bins


def _narrowest(free: NDArray[np.int64], piece: Piece, forbidden: Sequence[int]) -> int | None:
    """Index of the free rectangle [tile, row, column, stop row, stop column] where the narrowest strip is left."""
    left = free[:, 3:] - free[:, 1:3] - piece.shape
    fits = (left >= 0).all(axis=1)
    if forbidden:
        fits &= ~np.isin(free[:, 0], forbidden)
    candidates = np.flatnonzero(fits)
    if not len(candidates):
        return None
    strips = np.sort(left[candidates], axis=1)
    return int(candidates[np.lexsort((strips[:, 1], strips[:, 0]))[0]])


def without(free: Sequence[Rectangle], taken: Rectangle) -> list[Rectangle]:
    """The largest rectangles that remain free when one is taken."""
    parts: list[Rectangle] = []
    for top, left, bottom, right in free:
        if taken[0] >= bottom or taken[2] <= top or taken[1] >= right or taken[3] <= left:
            parts.append((top, left, bottom, right))
            continue
        around = (
            (top, left, taken[0], right),
            (taken[2], left, bottom, right),
            (top, left, bottom, taken[1]),
            (top, taken[3], bottom, right),
        )
        parts += [r for r in around if r[0] < r[2] and r[1] < r[3]]
    parts = list(dict.fromkeys(parts))
    return [p for p in parts if not any(p != other and _inside(p, other) for other in parts)]


def _inside(inner: Rectangle, outer: Rectangle) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]

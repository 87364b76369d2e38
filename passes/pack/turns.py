"""Packing in which blocks of a tile take turns, but no tile works longer for one inference than an interval allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from mho.passes.levels.tiling import Block, Seat, Tile, Tiling
from mho.passes.pack.pack import Pack
from mho.passes.tile.blocks import blocks_by_matrix, with_blocks
from mho.targets.arrays import Floats
from mho.targets.mapping import SolverFacts
from mho.targets.target import Crossbar

PARTS = (0.0, 0.1, 0.2, 0.34, 0.5, 0.7)
"""Matrices that work for at most so much of the interval take turns, the others lie on diagonals; each is tried."""

SAFE = 1e-9
"""Part of a bound that rounding may have added."""


def pack_within(tiling: Tiling, interval: float, busy: Mapping[str, float], pack: Pack) -> Tiling:
    """The blocks in few tiles, so that layers that take turns are done within the interval.

    Blocks of slow matrices share tiles where they share neither rows nor columns, so that they fire at once. Fast
    matrices form groups whose times add up to no more than the interval, and only those of a group share tiles: they
    take turns as a whole, on however many tiles each of them lies.

    Args:
        tiling: with all copies, not packed.
        busy: matrix → how long each of its blocks works for one inference, for those that may take turns.
        pack: its effort and its seed.
    """
    diagonal = replace(pack, mode="pipelined", cuts="even")
    social = _social(tiling)
    best: Tiling | None = None
    tried: set[frozenset[str]] = set()
    for part in PARTS:
        fast = frozenset(name for name, time in busy.items() if name in social and time <= part * interval)
        if fast not in tried:
            tried.add(fast)
            slow = diagonal.run(_only(tiling, tiling.replicas.keys() - fast))
            found = _joined(tiling, (slow, _grouped(_only(tiling, fast), interval, busy)))
            best = found if best is None or len(found.tiles) < len(best.tiles) else best
    return best or tiling


def _social(tiling: Tiling) -> frozenset[str]:
    """Matrices of which some block can lie beside the smallest that there is."""
    least = {"rows": min(map(_rows, tiling.blocks), default=0), "columns": min(map(_columns, tiling.blocks), default=0)}
    found = set()
    for block in tiling.blocks:
        crossbar = tiling.crossbar_of(block.matrix)
        if _rows(block) + least["rows"] <= crossbar.rows or _columns(block) + least["columns"] <= crossbar.columns:
            found.add(block.matrix)
    return frozenset(found)


def _rows(block: Block) -> int:
    return block.rows[1] - block.rows[0]


def _columns(block: Block) -> int:
    return block.columns[1] - block.columns[0]


def least_tiles(single: Tiling, interval: float, total: Mapping[str, float]) -> int:
    """No packing in which blocks may take turns has fewer tiles and is done within the interval.

    In a tile, blocks that take turns have the sum of their times within the interval, and sets of blocks that do not
    take turns with each other share no row: so Σ f(rows) · time of a tile's blocks is at most the interval for every
    dual feasible function f that does not fall (Σ f(x) ≤ 1 wherever Σ x ≤ 1; here those that Fekete and Schepers,
    Mathematical Programming 91, 2001, call u(ε)). The same goes for columns. However a matrix is copied, the
    times of all copies of a block add up to some least total.

    Args:
        single: one copy of each matrix.
        total: matrix → the least time of all copies of one of its blocks together.
    """
    if interval <= 0:
        return 0
    kinds: dict[Crossbar, list[Block]] = {}
    for block in single.blocks:
        kinds.setdefault(single.crossbar_of(block.matrix), []).append(block)
    least = 0
    for crossbar, blocks in kinds.items():
        times = np.array([total[b.matrix] for b in blocks]) / interval
        sides = ([_rows(b) for b in blocks], crossbar.rows), ([_columns(b) for b in blocks], crossbar.columns)
        least += max(_filled(np.array(lengths) / limit, times) for lengths, limit in sides)
    return least


def _filled(parts: Floats, times: Floats) -> int:
    """Tiles that blocks fill which reach over parts of a side for parts of the interval."""
    most = 0.0
    for small in (0.0, *np.unique(parts[parts <= 0.5]).tolist()):
        counted = np.where(parts < small, 0.0, np.where(parts > 1 - small, 1.0, parts))
        most = max(most, float(counted @ times))
    return ceil(most * (1 - SAFE))


def _only(tiling: Tiling, matrices: Iterable[str]) -> Tiling:
    """The tiling without the blocks of other matrices."""
    kept = frozenset(matrices)
    return with_blocks(tiling, (b for b in tiling.blocks if b.matrix in kept))


@dataclass(frozen=True)
class _Shelves:
    """A tile in which blocks of different matrices stand in rows from the left, one row below the other.

    Attributes:
        shelves: first row, rows, and first free column of each.
    """

    seats: Tile = ()
    shelves: tuple[tuple[int, int, int], ...] = ()

    def with_block(self, block: Block, crossbar: Crossbar) -> _Shelves | None:
        """The tile with a block on the first shelf that has room, or on a new one; None where there is no room."""
        rows, columns = _rows(block), _columns(block)
        for place, (top, height, left) in enumerate(self.shelves):
            if rows <= height and left + columns <= crossbar.columns:
                longer = (*self.shelves[:place], (top, height, left + columns), *self.shelves[place + 1 :])
                return _Shelves((*self.seats, Seat(block.number, top, left)), longer)
        bottom = sum(height for _, height, _ in self.shelves)
        if bottom + rows > crossbar.rows:
            return None
        return _Shelves((*self.seats, Seat(block.number, bottom, 0)), (*self.shelves, (bottom, rows, columns)))


@dataclass(frozen=True)
class _Group:
    """Matrices that take turns, on tiles of their own."""

    crossbar: Crossbar
    load: float = 0.0
    tiles: tuple[_Shelves, ...] = ()

    def with_matrix(self, blocks: Sequence[Block], busy: float) -> _Group:
        """The group with another matrix, whose blocks go to different tiles."""
        tiles, free = list(self.tiles), list(range(len(self.tiles)))
        for block in blocks:
            for place in free:
                taken = tiles[place].with_block(block, self.crossbar)
                if taken is not None:
                    tiles[place] = taken
                    free.remove(place)
                    break
            else:
                alone = _Shelves().with_block(block, self.crossbar)
                tiles += [alone] if alone is not None else []
        return _Group(self.crossbar, self.load + busy, tuple(tiles))


def _grouped(tiling: Tiling, interval: float, busy: Mapping[str, float]) -> Tiling:
    """The blocks in groups, the tallest matrices first, each in the group where it needs the fewest further tiles."""
    groups: list[_Group] = []
    found = blocks_by_matrix(tiling.blocks)
    for matrix in sorted(found, key=lambda name: (-_rows(found[name][0]), -len(found[name]), name)):
        crossbar, blocks, time = tiling.crossbar_of(matrix), found[matrix], busy[matrix]
        open_groups = [
            (place, g) for place, g in enumerate(groups) if g.crossbar == crossbar and g.load + time <= interval
        ]
        choices = [(place, g, g.with_matrix(blocks, time)) for place, g in open_groups]
        best = min(choices, key=lambda c: (len(c[2].tiles) - len(c[1].tiles), -c[2].load, c[0]), default=None)
        if best is None or len(best[2].tiles) - len(best[1].tiles) >= len(blocks):
            groups.append(_Group(crossbar).with_matrix(blocks, time))
        else:
            groups[best[0]] = best[2]
    return replace(tiling, tiles=tuple(tile.seats for group in groups for tile in group.tiles))


def _joined(tiling: Tiling, parts: Sequence[Tiling]) -> Tiling:
    """The tiling with the blocks and tiles of its parts, each of which has all blocks of some matrices."""
    found = [blocks_by_matrix(part.blocks) for part in parts]
    number: list[dict[int, int]] = [{} for _ in parts]
    blocks: list[Block] = []
    for matrix in tiling.replicas:
        for names, own in zip(number, found, strict=True):
            for block in own.get(matrix, ()):
                names[block.number] = len(blocks)
                blocks.append(block)
    tiles = [_renamed(tile, names) for part, names in zip(parts, number, strict=True) for tile in part.tiles]
    bare = with_blocks(tiling, blocks)
    least = bare.tiles_lower_bound
    proof = SolverFacts.of("pack", len(tiles), least)
    return replace(bare, tiles=tuple(sorted(tiles, key=lambda t: t[0].block)), solvers=(*tiling.solvers, proof))


def _renamed(tile: Tile, names: Mapping[int, int]) -> Tile:
    """The tile with other numbers for its blocks, in the order of these."""
    return tuple(sorted((replace(seat, block=names[seat.block]) for seat in tile), key=lambda s: s.block))

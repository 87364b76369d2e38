"""Packing in which blocks of a tile take turns, but no tile works longer for one inference than an interval allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mho.passes.levels.tiling import Block, Seat, Tile, Tiling
from mho.passes.tile.pack import Pack
from mho.passes.tile.pack_bounds import Piece, lower_bound
from mho.passes.tile.tile import blocks_by_matrix, with_blocks
from mho.targets.program import SolverFacts
from mho.targets.target import Crossbar

PARTS = (0.0, 0.1, 0.2, 0.34, 0.5, 0.7)
"""Matrices that work for at most so much of the interval take turns, the others lie on diagonals; each is tried."""

TICKS = 10_000
"""An interval in whole numbers, for bounds."""


def pack_within(tiling: Tiling, interval: float, busy: Mapping[str, float], pack: Pack) -> Tiling:
    """The blocks in few tiles, none of which works longer than the interval; a tile of one block may.

    Blocks of slow matrices share tiles where they share neither rows nor columns, so that they fire at once; those of
    fast ones stand on shelves, as long as their times add up to no more than the interval.

    Args:
        tiling: with all copies, not packed.
        busy: matrix → how long each of its blocks works for one inference.
        pack: its effort and its seed.
    """
    diagonal = replace(pack, mode="pipelined")
    best: Tiling | None = None
    tried: set[frozenset[str]] = set()
    for part in PARTS:
        fast = frozenset(name for name, time in busy.items() if time <= part * interval)
        if fast not in tried:
            tried.add(fast)
            slow = diagonal.run(_only(tiling, busy.keys() - fast))
            found = _joined(tiling, (slow, _shelved(_only(tiling, fast), interval, busy)))
            best = found if best is None or len(found.tiles) < len(best.tiles) else best
    return best or tiling


def least_tiles(single: Tiling, copies: Mapping[str, int], interval: float, busy: Mapping[str, float]) -> int:
    """No packing in which blocks may take turns has fewer tiles and is done within the interval.

    In a tile, blocks that take turns have the sum of their times within the interval, and sets of blocks that do not
    take turns with each other share no row: so the rectangles of rows × time of a tile's blocks can be laid without
    overlap into one of the tile's rows × the interval, and bounds for rectangles hold. The same goes for columns.

    Args:
        busy: matrix → the least that each of its blocks works for one inference.
    """
    pieces: dict[Crossbar, list[tuple[Piece, Piece]]] = {}
    for block in single.blocks:
        time = min(TICKS, int(busy[block.matrix] * TICKS / interval + 1e-6)) if interval else TICKS
        rows, columns = block.rows[1] - block.rows[0], block.columns[1] - block.columns[0]
        own = pieces.setdefault(single.crossbar_of(block.matrix), [])
        for number in range(len(own), len(own) + copies[block.matrix]):
            own.append((Piece(number, rows, time, number), Piece(number, columns, time, number)))
    return sum(
        max(
            lower_bound([rows for rows, _ in found], replace(crossbar, columns=TICKS), diagonal=False),
            lower_bound([columns for _, columns in found], _turned(crossbar), diagonal=False),
        )
        for crossbar, found in pieces.items()
    )


def _turned(crossbar: Crossbar) -> Crossbar:
    """The crossbar's columns as rows, and the interval as columns."""
    return replace(crossbar, rows=crossbar.columns, columns=TICKS)


def _only(tiling: Tiling, matrices: Iterable[str]) -> Tiling:
    """The tiling without the blocks of other matrices."""
    kept = frozenset(matrices)
    return with_blocks(tiling, (b for b in tiling.blocks if b.matrix in kept))


@dataclass
class _Shelves:
    """A tile while it is filled: rows of blocks from the left, one below the other."""

    crossbar: Crossbar
    load: float = 0.0
    bottom: int = 0
    seats: list[Seat] = field(default_factory=list)
    converters: set[int] = field(default_factory=set)
    shelves: list[list[int]] = field(default_factory=list)
    """First row, rows, and first free column of each."""

    def takes(self, block: Block, busy: float, interval: float) -> bool:
        """Puts a block onto the first shelf that has room, or onto a new one; whether there was room at all."""
        rows, columns = block.rows[1] - block.rows[0], block.columns[1] - block.columns[0]
        if self.seats and (self.load + busy > interval or block.converter in self.converters):
            return False
        shelf = next((s for s in self.shelves if rows <= s[1] and s[2] + columns <= self.crossbar.columns), None)
        if shelf is None:
            if self.bottom + rows > self.crossbar.rows:
                return False
            shelf = [self.bottom, rows, 0]
            self.shelves.append(shelf)
            self.bottom += rows
        self.seats.append(Seat(block.number, shelf[0], shelf[2]))
        shelf[2] += columns
        self.load += busy
        self.converters.add(block.converter)
        return True


def _shelved(tiling: Tiling, interval: float, busy: Mapping[str, float]) -> Tiling:
    """The blocks on shelves, the tallest first, each in the first tile that takes it."""
    open_tiles: dict[Crossbar, list[_Shelves]] = {}
    for block in sorted(tiling.blocks, key=lambda b: (b.rows[0] - b.rows[1], b.columns[0] - b.columns[1], b.number)):
        crossbar = tiling.crossbar_of(block.matrix)
        tiles = open_tiles.setdefault(crossbar, [])
        if not any(tile.takes(block, busy[block.matrix], interval) for tile in tiles):
            tiles.append(_Shelves(crossbar))
            tiles[-1].takes(block, busy[block.matrix], interval)
    return replace(tiling, tiles=tuple(tuple(tile.seats) for found in open_tiles.values() for tile in found))


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
    proof = SolverFacts(
        search="pack", status="OPTIMAL" if len(tiles) == least else "FEASIBLE", objective=len(tiles), bound=least
    )
    return replace(bare, tiles=tuple(sorted(tiles, key=lambda t: t[0].block)), solvers=(*tiling.solvers, proof))


def _renamed(tile: Tile, names: Mapping[int, int]) -> Tile:
    """The tile with other numbers for its blocks, in the order of these."""
    return tuple(sorted((replace(seat, block=names[seat.block]) for seat in tile), key=lambda s: s.block))

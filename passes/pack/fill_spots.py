"""Blocks put into what tiles with spots have left, where there would be more tiles than the chips in use hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from mho.passes.levels.demands import block_key
from mho.passes.levels.tiling import Block, Seat, Tile, Tiling
from mho.passes.tile.blocks import converter_key
from mho.targets.isa import Site

Box = tuple[int, int, int, int]
"""First row, stop row, first column, stop column."""


@dataclass
class _Taken:
    """A tile with a spot, and what lies in it."""

    site: Site
    seats: list[Seat]
    boxes: list[Box]


def fill_spots(tiling: Tiling, pipelined: bool) -> Tiling:
    """The tiling with tiles dissolved, the emptiest first, until no more are left than the chips in use hold.

    A tile is dissolved where all its blocks find room beside blocks that have spots. Only blocks of which nothing is
    asked move, and none that shares its converter with others.
    """
    mesh, spots = tiling.target.mesh, tiling.demands.spots
    if not spots or mesh.tiles is None:
        return tiling
    most = mesh.tiles * (1 + max(spot.core.chip for spot in spots.values()))
    tiles = list(tiling.tiles)
    taken = [_taken(tiling, seats) for seats in tiles if _spot(tiling, seats) is not None]
    sharing = Counter(converter_key(block) for block in tiling.blocks)
    loose = [seats for seats in tiles if _spot(tiling, seats) is None]
    for seats in sorted(loose, key=lambda seats: sum(tiling.blocks[seat.block].weights for seat in seats)):
        if len(tiles) <= most:
            break
        blocks = [tiling.blocks[seat.block] for seat in seats]
        movable = not any(tiling.demands.kind_of(b) or sharing[converter_key(b)] > 1 for b in blocks)
        if movable and _dissolved(tiling, blocks, taken, pipelined):
            tiles.remove(seats)
    if len(tiles) == len(tiling.tiles):
        return tiling
    left = [seats for seats in tiles if _spot(tiling, seats) is None]
    filled = (tuple(sorted(seats, key=lambda s: s.block)) for seats in (*(t.seats for t in taken), *left))
    ordered = tuple(sorted(filled, key=lambda t: t[0].block))
    return replace(tiling, tiles=ordered, tiles_lower_bound=min(tiling.tiles_lower_bound, len(taken)))


def _spot(tiling: Tiling, seats: Tile) -> Site | None:
    spots = (tiling.demands.spots.get(block_key(tiling.blocks[seat.block])) for seat in seats)
    return next((spot.core for spot in spots if spot is not None), None)


def _taken(tiling: Tiling, seats: Tile) -> _Taken:
    site = _spot(tiling, seats)
    assert site is not None
    return _Taken(site, list(seats), [_box(tiling.blocks[s.block], s.row_offset, s.column_offset) for s in seats])


def _box(block: Block, row: int, column: int) -> Box:
    return row, row + block.rows[1] - block.rows[0], column, column + block.columns[1] - block.columns[0]


def _dissolved(tiling: Tiling, blocks: Sequence[Block], taken: list[_Taken], pipelined: bool) -> bool:
    """Whether all blocks found room, which they then have."""
    before = [(len(tile.seats), tile) for tile in taken]
    if all(any(_add(tiling, block, tile, pipelined) for tile in taken) for block in blocks):
        return True
    for count, tile in before:
        del tile.seats[count:], tile.boxes[count:]
    return False


def _add(tiling: Tiling, block: Block, tile: _Taken, pipelined: bool) -> bool:
    """Puts a block into a tile, in the first corner that other blocks leave; False where there is none."""
    devices = tiling.devices.get(block.matrix)
    if devices != tiling.devices.get(tiling.blocks[tile.seats[0].block].matrix):
        return False
    crossbar, faults = tiling.crossbar_of(block.matrix), tiling.faults.by_site.get(tile.site)
    rows, columns = crossbar.rows, crossbar.columns
    if faults is not None:
        left = faults.room(tiling.target.crossbar, devices)
        rows, columns = min(rows, left[0]), min(columns, left[1])
    corners = product(sorted({0, *(b[1] for b in tile.boxes)}), sorted({0, *(b[3] for b in tile.boxes)}))
    for row, column in corners:
        box = _box(block, row, column)
        if box[1] <= rows and box[3] <= columns and not any(_clash(box, other, pipelined) for other in tile.boxes):
            tile.seats.append(Seat(block.number, row, column))
            tile.boxes.append(box)
            return True
    return False


def _clash(one: Box, other: Box, pipelined: bool) -> bool:
    rows, columns = one[0] < other[1] and other[0] < one[1], one[2] < other[3] and other[2] < one[3]
    return (rows or columns) if pipelined else (rows and columns)

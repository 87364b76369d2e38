"""Which blocks of a tile take turns: those that share rows or columns of its crossbar."""

from __future__ import annotations

import numpy as np

from mho.passes.levels.tiling import Block, Seat, Tile, Tiling
from mho.passes.place.traffic import Indices


def lanes(tiling: Tiling) -> Indices:
    """Block number → lane; blocks of one lane sit in one tile and cannot fire at the same time.

    Two seats that share neither rows nor columns fire in one MVM; what shares a row or a column with a third seat
    takes turns with everything that does.
    """
    lane_of = np.zeros(len(tiling.blocks), np.int64)
    count = 0
    for tile in tiling.tiles:
        for members in _connected(tile, tiling.blocks):
            lane_of[members] = count
            count += 1
    return lane_of


def _connected(tile: Tile, blocks: tuple[Block, ...]) -> list[list[int]]:
    groups: list[list[Seat]] = []
    for seat in tile:
        touching = [g for g in groups if any(_share(seat, other, blocks) for other in g)]
        groups = [g for g in groups if g not in touching] + [[seat, *(s for g in touching for s in g)]]
    return [sorted(seat.block for seat in group) for group in groups]


def _share(a: Seat, b: Seat, blocks: tuple[Block, ...]) -> bool:
    one, two = blocks[a.block], blocks[b.block]
    height, other_height = one.rows[1] - one.rows[0], two.rows[1] - two.rows[0]
    width, other_width = one.columns[1] - one.columns[0], two.columns[1] - two.columns[0]
    rows = a.row_offset < b.row_offset + other_height and b.row_offset < a.row_offset + height
    columns = a.column_offset < b.column_offset + other_width and b.column_offset < a.column_offset + width
    return rows or columns

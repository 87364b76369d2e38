"""Which blocks of a tile take turns: those that share rows or columns of its crossbar."""

from __future__ import annotations

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.targets.arrays import Indices
from mho.targets.turns import turns


def lanes(tiling: Tiling) -> Indices:
    """Block number → lane; blocks of one lane sit in one tile and cannot fire at the same time.

    Two seats that share neither rows nor columns fire in one MVM; what shares a row or a column with a third seat
    takes turns with everything that does.
    """
    lane_of = np.zeros(len(tiling.blocks), np.int64)
    count = 0
    for tile in tiling.tiles:
        blocks = [tiling.blocks[seat.block] for seat in tile]
        rows = [(s.row_offset, s.row_offset + b.rows[1] - b.rows[0]) for s, b in zip(tile, blocks, strict=True)]
        columns = [
            (s.column_offset, s.column_offset + b.columns[1] - b.columns[0]) for s, b in zip(tile, blocks, strict=True)
        ]
        for members in turns(rows, columns):
            lane_of[[tile[place].block for place in members]] = count
            count += 1
    return lane_of

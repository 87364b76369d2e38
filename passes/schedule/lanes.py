"""Which blocks of a tile take turns: those that share rows or columns of its crossbar."""

from __future__ import annotations

import numpy as np

from mho.passes.levels.tiling import Block, Tile, Tiling
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
    """Blocks of a tile that share lines, directly or through others: those over a line are sweeps of touching spans."""
    boxes = [(seat, blocks[seat.block]) for seat in tile]
    rows = [(seat.row_offset, seat.row_offset + b.rows[1] - b.rows[0]) for seat, b in boxes]
    columns = [(seat.column_offset, seat.column_offset + b.columns[1] - b.columns[0]) for seat, b in boxes]
    leader = list(range(len(boxes)))
    for spans in (rows, columns):
        reach, last = 0, 0
        for place in sorted(range(len(spans)), key=spans.__getitem__):
            if spans[place][0] < reach:
                leader[_leader(leader, place)] = _leader(leader, last)
            last, reach = place, max(reach, spans[place][1])
    groups: dict[int, list[int]] = {}
    for place, seat in enumerate(tile):
        groups.setdefault(_leader(leader, place), []).append(seat.block)
    return [sorted(group) for group in groups.values()]


def _leader(leader: list[int], place: int) -> int:
    """The one that stands for a group, with the ways to it shortened."""
    while leader[place] != place:
        leader[place] = leader[leader[place]]
        place = leader[place]
    return place

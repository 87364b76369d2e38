"""What is said where sites are too few for the tiles, and what would make room."""

from __future__ import annotations

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.sites.room import Room
from mho.targets.arrays import Mask
from mho.targets.errors import plain

MOST_KINDS = 3
"""Sizes of tiles that a sentence lists."""


def no_site(room: Room, left: Mask) -> str:
    """How many tiles of which size found no site; the largest first.

    Args:
        left: which tiles: [tiles].
    """
    kinds, counts = np.unique(room.kind_of[left], return_counts=True)
    ranked = sorted(zip(room.kinds[kinds].tolist(), counts.tolist(), strict=True), reverse=True)
    listed = ", ".join(f"{count} of {rows} × {columns}" for (rows, columns, *_), count in ranked[:MOST_KINDS])
    rest = sum(count for _, count in ranked[MOST_KINDS:])
    more = f" and {rest} smaller ones" if rest else ""
    total = int(left.sum())
    return f"{total} tile{'' if total == 1 else 's'} ({listed}{more}) found no site"


def survivors(room: Room, tiling: Tiling, chips: int) -> str:
    """What the fault map leaves of the first chips, in a sentence."""
    offers = np.concatenate([room.offers(chip) for chip in range(chips)])
    whole = int((offers == (room.crossbar.rows, room.crossbar.columns)).all(axis=1).sum())
    live = int((offers > 0).all(axis=1).sum())
    return (
        f"{_takers(room)} {live} of the {len(offers)} tiles of {chips} chip{'' if chips == 1 else 's'} of "
        f"{plain(tiling.target.name)}, {whole} of them with all {room.crossbar.rows} rows and {room.crossbar.columns} "
        f"columns, and the network needs {len(room.kind_of)}."
    )


def spare_lines(room: Room, chips: int) -> tuple[int, int] | None:
    """Rows and columns to leave spare so that every tile fits every site that is not dead; None where all are."""
    offers = np.concatenate([room.offers(chip) for chip in range(chips)])
    live = offers[(offers > 0).all(axis=1)]
    if not len(live):
        return None
    rows, columns = (room.crossbar.rows, room.crossbar.columns) - live.min(axis=0)
    return int(rows), int(columns)


def _takers(room: Room) -> str:
    """What takes room away, with its verb."""
    if room.forbidden:
        return "the fault map and the forbidden cores leave" if room.faults.barred else "the forbidden cores leave"
    return "the fault map leaves"


def smaller_tiles(room: Room, chips: int) -> str:
    """What makes every tile fit every site that is not dead."""
    rows, columns = spare_lines(room, chips) or (0, 0)
    return f"leave as many lines of every tile spare as the map takes (--spare-rows {rows} --spare-columns {columns})."

"""Which chip every converter unit begins on where chips differ, because a fault map takes sites away."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from mho.passes.sites.matching import Matching
from mho.passes.sites.room import Room, tightest_first
from mho.passes.sites.units import members_of
from mho.targets.arrays import Indices


@dataclass(frozen=True)
class Filling:
    """Units on the first `chips` chips.

    Attributes:
        chip_of: unit → chip, −1 where it found none.
    """

    chips: int
    chip_of: Indices

    @property
    def left(self) -> Indices:
        """The units without a chip."""
        return np.flatnonzero(self.chip_of < 0)


def fill_fewest(room: Room, unit_of: Indices, least: int, most: int | None) -> Filling:
    """The filling of the fewest chips, from `least` on, that hold all units; of `most` chips where those do not.

    It is the fewest there can be where every unit is a single tile. A chip that the map does not name is sound.
    """
    chips, live = 0, 0
    while (chips < least or live < len(unit_of)) and chips != most:
        live += room.live(chips) if chips in room.marked else len(room.sites)
        chips += 1
    short, step = chips - 1, 1
    filling = fill_chips(room, unit_of, chips)
    while len(filling.left) and filling.chips != most:
        short, step = filling.chips, 2 * step
        filling = fill_chips(room, unit_of, min(short + step, most or short + step))
    while not len(filling.left) and filling.chips - short > 1:
        middle = fill_chips(room, unit_of, (short + filling.chips) // 2)
        short, filling = (middle.chips, filling) if len(middle.left) else (short, middle)
    return filling


def fill_chips(room: Room, unit_of: Indices, chips: int) -> Filling:
    """Units on chips, chip by chip in the order of the layers; single tiles then move so that more find a site.

    Where a unit of several tiles finds no chip so, those of the most tiles come first.
    """
    filling, matchings = _filled(room, unit_of, chips, largest_first=False)
    sizes = np.bincount(unit_of, minlength=1)
    if (sizes[filling.left] > 1).any():
        filling, matchings = _filled(room, unit_of, chips, largest_first=True)
    return _moved(room, unit_of, filling, matchings)


def fill_near(room: Room, unit_of: Indices, chips: int, wanted: Indices) -> Filling:
    """Units on the chips that they want, else on the nearest one with room; single tiles then move as in `fill_chips`.

    Args:
        wanted: unit → chip.
    """
    members, chip_of = members_of(unit_of), np.full(len(wanted), -1)
    matchings = [room.matching(chip) for chip in range(chips)]
    failed: set[tuple[int, ...]] = set()
    for most in (0, chips):
        for unit in np.flatnonzero(chip_of < 0).tolist():
            tiles, first = members[unit], int(wanted[unit])
            kinds = sorted(room.kind_of[tiles].tolist())
            for chip in sorted(range(chips), key=lambda chip: abs(chip - first))[: 1 + most]:
                tried = (chip, *kinds)
                if tried not in failed and matchings[chip].add_all(tiles.tolist(), room.kind_of[tiles].tolist()):
                    chip_of[unit] = chip
                    break
                failed.add(tried)
    return _moved(room, unit_of, Filling(chips, chip_of), matchings)


def _filled(room: Room, unit_of: Indices, chips: int, largest_first: bool) -> tuple[Filling, list[Matching]]:
    """The filling, and the sites on each chip."""
    members = members_of(unit_of)
    chip_of = np.full(len(members), -1)
    waiting: dict[tuple[int, ...], deque[int]] = {}
    for unit, tiles in enumerate(members):
        waiting.setdefault(tuple(sorted(room.kind_of[tiles].tolist())), deque()).append(unit)
    matchings = []
    for chip in range(chips):
        matchings.append(room.matching(chip))
        hopeful = {kinds for kinds, units in waiting.items() if units}
        while hopeful and matchings[-1].free:
            kinds = min(hopeful, key=lambda k: (-len(k) if largest_first else 0, waiting[k][0]))
            tiles = members[waiting[kinds][0]]
            if matchings[-1].add_all(tiles.tolist(), room.kind_of[tiles].tolist()):
                chip_of[waiting[kinds].popleft()] = chip
                hopeful -= set() if waiting[kinds] else {kinds}
            else:  # what comes later on this chip does not make room for it
                hopeful.discard(kinds)
    return Filling(chips, chip_of), matchings


def _moved(room: Room, unit_of: Indices, filling: Filling, matchings: list[Matching]) -> Filling:
    """The filling with as many of the single tiles as there can be beside the larger units, which stay.

    Where a larger unit has no chip the filling fails anyway, and stays as it is.
    """
    size, sizes = len(room.sites), np.bincount(unit_of, minlength=1)
    if not len(filling.left) or (sizes[filling.left] > 1).any():
        return filling
    chips = range(filling.chips)
    closed = np.zeros(size * filling.chips, bool)
    offers = np.concatenate([room.offers(chip) for chip in chips])
    whole = Matching(np.concatenate([room.fits(chip) for chip in chips], axis=1), tightest_first(offers), closed)
    for chip, matching in zip(chips, matchings, strict=True):
        for tile, site in matching.site_of.items():
            whole.hold(tile, int(room.kind_of[tile]), chip * size + site)
            closed[chip * size + site] = sizes[unit_of[tile]] > 1
    failed: set[int] = set()
    for tile in np.flatnonzero(filling.chip_of[unit_of] < 0).tolist():
        kind = int(room.kind_of[tile])
        if kind not in failed and not whole.add(tile, kind):
            failed.add(kind)
    chip_of = filling.chip_of.copy()
    for tile, site in whole.site_of.items():
        chip_of[unit_of[tile]] = site // size
    return Filling(filling.chips, chip_of)

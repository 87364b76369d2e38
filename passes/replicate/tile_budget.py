"""`TileBudget`: how many tiles, and on how many chips, copies may use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.sites.fill_chips import fill_fewest
from mho.passes.sites.room import Room, chip_sites
from mho.passes.sites.units import converter_units, pack_units
from mho.targets.errors import OptionError, plain
from mho.targets.faults import FaultMap


@dataclass(frozen=True)
class TileBudget:
    """What a tiling may use.

    Attributes:
        tiles: in all.
        chips: that hold them; None where a chip has no limit, or where nobody said how many chips there are.
    """

    tiles: int
    chips: int | None

    @staticmethod
    def of(single: Tiling, tiles: int | None, chips: int | None) -> TileBudget:
        """The budget that a user gives; without any, the chips that one copy of the network needs.

        Args:
            single: one copy, packed.
            tiles, chips: the most in all; where both are given, both hold.

        Raises:
            OptionError: no number of tiles follows.
        """
        capacity = single.target.mesh.tiles
        if capacity is None:
            if tiles is None:
                raise OptionError(
                    "replicate: 'fill', 'balance' and the Pareto table need a number of tiles to fill, and a chip of "
                    f"{plain(single.target.name)} has no limit: give --tiles"
                )
            return TileBudget(tiles, None)
        if tiles is not None and chips is None:
            return TileBudget(tiles, None)
        allowed = chips if chips is not None else chips_needed(single) or 1
        live = live_tiles(single.faults, capacity, allowed)
        return TileBudget(live if tiles is None else min(live, tiles), allowed)

    def holds(self, tiling: Tiling) -> bool:
        """Whether a packed tiling fits."""
        if len(tiling.tiles) > self.tiles:
            return False
        needed = 1 if self.chips is None else chips_needed(tiling, self.chips)
        return needed is not None and needed <= (self.chips or needed)

    def most_chips(self, tiling: Tiling) -> int:
        """No tiling within the budget is put on more chips.

        Tiles that stay together may leave almost half of every chip empty but for one, other tiles nothing.
        """
        capacity = tiling.target.mesh.tiles
        if self.chips is not None or capacity is None:
            return self.chips or 1
        together = tiling.target.crossbar.analog_rows is not None or bool(tiling.faults.barred)
        return -(-self.tiles // capacity) * (2 if together else 1)


def live_tiles(faults: FaultMap, capacity: int, chips: int) -> int:
    """Tiles of the first chips, the dead ones left out."""
    dead = Counter(tile.site.chip for found in faults.barred.values() for tile in found if tile.dead)
    return sum(max(0, capacity - dead[chip]) for chip in range(chips))


def chips_needed(tiling: Tiling, most: int | None = None) -> int | None:
    """The fewest chips that a packed tiling is put on, around what is broken; None where `most` do not hold it."""
    mesh = tiling.target.mesh
    if mesh.tiles is None or not tiling.tiles:
        return 1
    single = tiling.target.crossbar.analog_rows is None
    unit_of = np.arange(len(tiling.tiles)) if single else converter_units(tiling)
    least = int(pack_units(np.bincount(unit_of), mesh.tiles).max()) + 1
    if not any(chip < least for chip in tiling.faults.barred):
        return least
    filling = fill_fewest(Room.of(tiling, chip_sites(mesh, mesh.grid(mesh.tiles))), unit_of, least, most)
    return None if len(filling.left) else filling.chips

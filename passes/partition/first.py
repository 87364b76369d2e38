"""`FirstChips`: the fewest chips that hold all tiles as is asked, and a first chip for every unit of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.partition.allowed import Allowed, room_of
from mho.passes.partition.assign import Assigned, assign_chips
from mho.passes.partition.digital_cells import with_cells
from mho.passes.partition.in_order import cut_in_order
from mho.passes.partition.limits import ChipLimits
from mho.passes.sites.ask_room import AskedRoom
from mho.passes.sites.fill_chips import fill_near
from mho.passes.sites.room import Room
from mho.passes.sites.units import Units, pack_units
from mho.passes.solver import Budget
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Indices
from mho.targets.errors import FitError, counted


@dataclass(frozen=True)
class FirstChips:
    """Where a partition begins: a contiguous cut in the order of the layers, or whatever is asked.

    Attributes:
        between: words between the units.
    """

    tiling: Tiling
    units: Units
    between: TileFlows
    allowed: Allowed
    limit: Budget
    seed: int

    def found(self) -> tuple[ChipLimits, Indices]:
        """The fewest chips that hold all units as is asked, and a first chip for every unit.

        Raises:
            FitError: the chips that are allowed hold the units in no way, or in none that was found.
        """
        tiling, units, between = self.tiling, self.units, self.between
        capacity = tiling.target.mesh.tiles or max(len(tiling.tiles), 1)
        problems = tuple(AskedRoom(tiling, self.allowed.chips).problems())
        if problems:
            raise FitError(problems)
        packed = pack_units(units.sizes, capacity)
        chips = max(int(packed.max(initial=0)), int(units.pinned.max(initial=0))) + 1
        self.allowed.check(tiling, capacity, int(units.sizes.max(initial=0)), int(packed.max(initial=-1)) + 1)
        room = None if tiling.target.mesh.tiles is None else room_of(tiling)
        if not units.free:
            marked = max(room.marked, default=-1) + 1 if room is not None else 0
            return self._as_asked(
                lambda chips: _limits(room, units, chips, capacity), chips, chips + marked, marked > 0
            )
        if room is not None and any(chip < chips for chip in room.marked):
            filling = self.allowed.filled(tiling, room, units.unit_of, chips)
            chips, packed = filling.chips, filling.chip_of
        else:
            room = None
        limits = _limits(room, units, chips, capacity)
        if chips == 1:
            return limits, packed
        found = cut_in_order(between, units, limits.capacities) if room is None else _cut_around(between, limits, room)
        start = packed if found is None else found
        return self._with_cells(limits, start)

    def _with_cells(self, limits: ChipLimits, start: Indices) -> tuple[ChipLimits, Indices]:
        """The same with no more recurrent cells on a chip than it has digital units for, where that is possible.

        Cells take turns where there are more of them than units on all chips; then every chip has its share.
        """
        limited = with_cells(self.tiling, limits)
        if limited is limits or limited.allow(start):
            return limited, start
        assigned = assign_chips(self.between, limited, self.limit, self.seed).chip_of
        return (limits, start) if assigned is None else (limited, assigned)

    def _as_asked(
        self, limits_of: Callable[[int], ChipLimits], least: int, sound: int, broken: bool
    ) -> tuple[ChipLimits, Indices]:
        """The same where units are pinned or kept apart, from `least` chips on; `sound` chips hold what is free.

        Args:
            broken: whether faults, or cores to leave empty, take room on chips.

        Raises:
            FitError: as `found`.
        """
        units = self.units
        enough = sound + int(units.pinned.max(initial=-1)) + 1 + len(units.strangers)
        proved, needed = True, None
        for chips in range(least, enough + 1):
            limits = limits_of(chips)
            found = self._assigned(limits)
            allowed = self.allowed.chips is None or chips <= self.allowed.chips
            if found.chip_of is None:
                proved &= found.impossible or not allowed
            elif allowed:
                return limits, found.chip_of
            else:
                needed = chips
                break
        around = ", around what is broken or forbidden" if broken else ""
        more = f"; {needed} chips would do. Allow more chips (--chips {needed}), or ask" if needed else ". Ask"
        raise FitError(
            f"{'There is no way' if proved else 'No way was found'} to put the tiles on "
            f"{counted(self.allowed.chips or enough, 'chip')} so that all that is pinned, kept apart or kept together "
            f"is where it has to be{around}{more} for less (constrain, --pin, --apart, --together)."
        )

    def _assigned(self, limits: ChipLimits) -> Assigned:
        """A first chip for every unit, on this number of chips."""
        units = limits.units
        if int(limits.capacities.sum()) < len(units.unit_of):
            return Assigned(None, impossible=True)
        pinned = bool((units.pinned >= 0).all())
        found = units.pinned if pinned else cut_in_order(self.between, units, limits.capacities)
        if found is not None and limits.allow(found):
            return Assigned(found)
        return assign_chips(self.between, limits, self.limit, self.seed)


def _cut_around(flows: TileFlows, limits: ChipLimits, room: Room) -> Indices | None:
    """A cut in the order of the layers over the chips that take any tile, tiles that find no site there moved on."""
    chips = np.flatnonzero(limits.capacities)
    cut = cut_in_order(flows, limits.units, limits.capacities[chips])
    if cut is None:
        return None
    filling = fill_near(room, limits.units.unit_of, limits.chips, chips[cut])
    return None if len(filling.left) else filling.chip_of


def _limits(room: Room | None, units: Units, chips: int, capacity: int) -> ChipLimits:
    if room is None:
        return ChipLimits(units, np.full(chips, capacity))

    def fits(chip: int, held: Indices) -> bool:
        return room.holds(chip, np.concatenate([units.members[unit] for unit in held]) if len(held) else held)

    return ChipLimits(units, np.array([room.live(chip) for chip in range(chips)]), fits, alike=False)

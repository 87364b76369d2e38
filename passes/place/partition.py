"""`PartitionChips`: which chip every logical tile is on, so that few words go from chip to chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from mho.passes.levels.plan import Partition, Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.place.ask_room import AskedRoom
from mho.passes.place.assign_chips import Assigned, assign_chips
from mho.passes.place.chip_limits import ChipLimits
from mho.passes.place.cut_bounds import cut_bound
from mho.passes.place.cut_in_order import cut_in_order
from mho.passes.place.demanded import Asked
from mho.passes.place.digital_cells import with_cells
from mho.passes.place.fill_chips import Filling, fill_fewest, fill_near
from mho.passes.place.misfit import Knob, misfit
from mho.passes.place.room import Room, chip_sites, no_site, spare_lines, survivors
from mho.passes.place.search_chips import search_chips
from mho.passes.place.traffic import Indices, TileFlows, cut_words, tile_flows, tiles_of_blocks
from mho.passes.place.units import Units, contract, converter_units, pack_units
from mho.passes.reload.pages import chips_in_order
from mho.passes.solver import Effort, budget
from mho.runtime.products import steady_products
from mho.targets.errors import FitError, plain
from mho.targets.mapping import SolverFacts
from mho.targets.steps import layers
from mho.targets.target import Count

Words = Annotated[float, Field(gt=0, allow_inf_nan=False)]

KNOBS = "pack several blocks into a tile (--pack sequential) or use fewer replicas (--replicate 1)."


@dataclass(frozen=True)
class PartitionChips:
    """Spread the tiles over the fewest chips that hold them, with little traffic between chips.

    Tiles that add their charge before one converter stay together. A contiguous cut in the order of the layers,
    the best of its kind, is improved between pairs of chips. Where a fault map takes lines or tiles away, every chip
    gets only tiles that find a site of their own there, and chips keep the numbers that they have in the map. What is
    asked of where tiles stand holds, or is refused.

    Attributes:
        chips: the most chips to use; None is as many as needed, even if no system of so many was published.
        tiles: the most tiles to use in all; None is no limit.
        link_words: the most words from one chip to another in one inference; None is no limit.
    """

    chips: Count | None = None
    tiles: Count | None = None
    effort: Effort = "normal"
    seed: int = 0
    link_words: Words | None = None

    def run(self, ranged: Ranged) -> Partition:
        """Assign the chips.

        Raises:
            FitError: the tiles do not fit the chips that are allowed.
        """
        if ranged.reload is not None:
            return chips_in_order(ranged)
        tiling = ranged.tiling
        units = Asked(tiling).units
        flows = tile_flows(tiling)
        limits, start = self._begin(tiling, units, contract(flows, units.unit_of))
        limits = replace(limits, link_words=self.link_words)
        return self._improved(ranged, flows, limits, start)

    def _begin(self, tiling: Tiling, units: Units, between: TileFlows) -> tuple[ChipLimits, Indices]:
        """The fewest chips that hold all units as is asked, and a first chip for every unit.

        Raises:
            FitError: the chips that are allowed hold the units in no way, or in none that was found.
        """
        capacity = tiling.target.mesh.tiles or max(len(tiling.tiles), 1)
        problems = tuple(AskedRoom(tiling, self.chips).problems())
        if problems:
            raise FitError(problems)
        packed = pack_units(units.sizes, capacity)
        chips = max(int(packed.max(initial=0)), int(units.pinned.max(initial=0))) + 1
        self._check(tiling, capacity, int(units.sizes.max(initial=0)), int(packed.max(initial=-1)) + 1)
        room = None if tiling.target.mesh.tiles is None else _room(tiling)
        if not units.free:
            marked = max(room.marked, default=-1) + 1 if room is not None else 0
            return self._begin_as_asked(
                units, between, lambda chips: _limits(room, units, chips, capacity), chips, chips + marked, marked > 0
            )
        if room is None or not any(chip < chips for chip in room.marked):
            room = None
        else:
            filling = self._filled(tiling, room, units.unit_of, chips)
            chips, packed = filling.chips, filling.chip_of
        limits = _limits(room, units, chips, capacity)
        if chips == 1:
            return limits, packed
        found = cut_in_order(between, units, limits.capacities) if room is None else _cut_around(between, limits, room)
        start = packed if found is None else found
        return self._with_cells(tiling, limits, between, start)

    def _with_cells(
        self, tiling: Tiling, limits: ChipLimits, between: TileFlows, start: Indices
    ) -> tuple[ChipLimits, Indices]:
        """The same with no more recurrent cells on a chip than it has digital units for, where that is possible.

        Cells take turns where there are more of them than units on all chips; then every chip has its share.
        """
        limited = with_cells(tiling, limits)
        if limited is limits or limited.allow(start):
            return limited, start
        assigned = assign_chips(between, limited, budget(self.effort), self.seed).chip_of
        return (limits, start) if assigned is None else (limited, assigned)

    def _begin_as_asked(
        self,
        units: Units,
        between: TileFlows,
        limits_of: Callable[[int], ChipLimits],
        least: int,
        sound: int,
        broken: bool,
    ) -> tuple[ChipLimits, Indices]:
        """The same where units are pinned or kept apart, from `least` chips on; `sound` chips hold what is free.

        Args:
            broken: whether faults, or cores to leave empty, take room on chips.

        Raises:
            FitError: as `_begin`.
        """
        enough = sound + int(units.pinned.max(initial=-1)) + 1 + len(units.strangers)
        proved, needed = True, None
        for chips in range(least, enough + 1):
            limits = limits_of(chips)
            found = self._as_asked(between, limits)
            allowed = self.chips is None or chips <= self.chips
            if found.chip_of is None:
                proved &= found.impossible or not allowed
            elif allowed:
                return limits, found.chip_of
            else:
                needed = chips
                break
        more = f"; {needed} chips would do. Allow more chips (--chips {needed}), or ask" if needed else ". Ask"
        around = ", around what is broken or forbidden" if broken else ""
        raise FitError(
            f"{'There is no way' if proved else 'No way was found'} to put the tiles on "
            f"{_count(self.chips or enough, 'chip')} so that all that is pinned, kept apart or kept together is where "
            f"it has to be{around}{more} for less (constrain, --pin, --apart, --together)."
        )

    def _as_asked(self, between: TileFlows, limits: ChipLimits) -> Assigned:
        """A first chip for every unit, on this number of chips."""
        units = limits.units
        if int(limits.capacities.sum()) < len(units.unit_of):
            return Assigned(None, impossible=True)
        pinned = bool((units.pinned >= 0).all())
        found = units.pinned if pinned else cut_in_order(between, units, limits.capacities)
        if found is not None and limits.allow(found):
            return Assigned(found)
        return assign_chips(between, limits, budget(self.effort), self.seed)

    def _improved(self, ranged: Ranged, flows: TileFlows, limits: ChipLimits, start: Indices) -> Partition:
        """The start with fewer words from chip to chip."""
        tiling, units, chips, limit = ranged.tiling, limits.units, limits.chips, budget(self.effort)
        if chips == 1:
            facts = SolverFacts(search="partition", status="OPTIMAL", objective=0.0, bound=0.0)
            return Partition(ranged, 1, (0,) * len(units.unit_of), (facts,))
        between = contract(flows, units.unit_of)
        with steady_products():
            chip_of, proved = search_chips(between, start, limits, limit, self.seed)
            cut = cut_words(between, chip_of)
            if proved < cut:
                proved = max(proved, cut_bound(flows, limits, chip_of, limit.seconds))
        self._check_links(tiling, limits, between, chip_of)
        bound = min(cut, proved)
        facts = SolverFacts(
            search="partition", status="OPTIMAL" if cut <= bound else "FEASIBLE", objective=cut, bound=bound
        )
        numbered = in_order(chip_of) if units.free and limits.alike else chip_of
        return Partition(ranged, chips, tuple(numbered[units.unit_of].tolist()), (facts,))

    def _check_links(self, tiling: Tiling, limits: ChipLimits, between: TileFlows, chip_of: Indices) -> None:
        over = limits.overload(between, chip_of)
        if over > 0:
            raise FitError(
                f"partition.link_words = {self.link_words:g}: no partition over {_count(limits.chips, 'chip')} of "
                f"{plain(tiling.target.name)} was found in which so few words go from any chip to another; the best "
                f"has {over:g} words too many in all. Allow more words, or use fewer copies or larger chips."
            )

    def _filled(self, tiling: Tiling, room: Room, unit_of: Indices, least: int) -> Filling:
        """A chip for every unit, on the chips that the map names first.

        Raises:
            FitError: what the map leaves of the allowed chips does not hold all.
        """
        filling = fill_fewest(room, unit_of, least, self.chips)
        if not len(filling.left):
            return filling
        needed = fill_fewest(room, unit_of, least, None).chips
        left = f"{no_site(room, np.isin(unit_of, filling.left))}: {survivors(room, tiling, filling.chips)}"
        more = [Knob(f"--chips {needed}")]
        raise self._refusal(tiling, [left], more, spare_lines(room, filling.chips))

    def _check(self, tiling: Tiling, capacity: int, largest: int, needed: int) -> None:
        name, count = plain(tiling.target.name), len(tiling.tiles)
        problems, room = list[str](), list[Knob]()
        if largest > capacity:
            raise FitError(
                f"{largest} tiles add their charge before one converter and need one chip, but a chip of {name} has "
                f"{capacity} tiles. Lower crossbar.analog_rows of the machine."
            )
        if self.chips is not None and needed > self.chips:
            over = max(count - self.chips * capacity, 1)
            problems.append(
                f"The network needs {_count(count, 'tile')}, but {_count(self.chips, 'chip')} of {name} with "
                f"{capacity} tiles each {'is' if self.chips == 1 else 'are'} allowed: {_count(over, 'tile')} too many; "
                f"{needed} chips would do."
            )
            room.append(Knob(f"--chips {needed}", f"room for {needed * capacity:,} tiles"))
        if self.tiles is not None and count > self.tiles:
            problems.append(
                f"The network needs {_count(count, 'tile')}, but {self.tiles} are allowed: "
                f"{_count(count - self.tiles, 'tile')} too many."
            )
            room.append(Knob(f"--tiles {count}"))
        if problems:
            more = Knob(" ".join(knob.flags for knob in room), room[0].told)
            raise self._refusal(tiling, problems, [more])

    def _refusal(
        self, tiling: Tiling, problems: list[str], room: list[Knob], spare: tuple[int, int] | None = None
    ) -> FitError:
        return FitError([*problems, *misfit(tiling, self._lacking, room, self.chips, self.tiles, spare).sentences()])

    def _lacking(self, tiling: Tiling) -> int:
        """Tiles of a tiling that find no place under the limits."""
        unit_of = converter_units(tiling)
        capacity = tiling.target.mesh.tiles or max(len(tiling.tiles), 1)
        least = int(pack_units(np.bincount(unit_of), capacity).max(initial=0)) + 1
        over = max(0, len(tiling.tiles) - (len(tiling.tiles) if self.tiles is None else self.tiles))
        if self.chips is None:
            return over
        if least > self.chips:
            return max(over, 1, len(tiling.tiles) - self.chips * capacity)
        if tiling.target.mesh.tiles is None or not tiling.faults.barred:
            return over
        left = fill_fewest(_room(tiling), unit_of, least, self.chips).left
        return max(over, int(np.isin(unit_of, left).sum()))


def _room(tiling: Tiling) -> Room:
    """The sites of a chip with a known number of tiles."""
    mesh = tiling.target.mesh
    return Room.of(tiling, chip_sites(mesh, mesh.grid(mesh.tiles or 0)))


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


def in_order(chip_of: Indices) -> Indices:
    """The same chips, numbered by the first unit that each holds, so that chip 0 holds the first layer."""
    chips, first = np.unique(chip_of, return_index=True)
    number = np.zeros(int(chips.max(initial=0)) + 1, np.int64)
    number[chips[np.argsort(first)]] = np.arange(len(chips))
    return number[chip_of]


def _heaviest(tiling: Tiling) -> str:
    tile_of = tiles_of_blocks(tiling)
    held: dict[str, set[int]] = {}
    for block in tiling.blocks:
        held.setdefault(block.matrix, set()).add(int(tile_of[block.number]))
    names = {layer.matrix: layer.name for layer in reversed(layers(tiling.calibrated.network.steps))}
    ranked = sorted(held.items(), key=lambda item: -len(item[1]))[:3]
    listed = ", ".join(f"{plain(names.get(matrix, matrix))} ({len(tiles)})" for matrix, tiles in ranked)
    return f"Most tiles go to {listed}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

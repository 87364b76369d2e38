"""`Allowed`: how many chips and tiles may be used, and what is said where they are too few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.passes.fit.misfit import Knob, misfit
from mho.passes.levels.tiling import Tiling
from mho.passes.sites.fill_chips import Filling, fill_fewest
from mho.passes.sites.room import Room, chip_sites
from mho.passes.sites.shortage import no_site, spare_lines, survivors
from mho.passes.sites.units import converter_units, pack_units
from mho.targets.arrays import Indices
from mho.targets.errors import FitError, counted, plain


@dataclass(frozen=True)
class Allowed:
    """The most chips and the most tiles to use in all; None is no limit."""

    chips: int | None
    tiles: int | None

    def check(self, tiling: Tiling, capacity: int, largest: int, needed: int) -> None:
        """Whether so many chips, and the tiles, are allowed.

        Args:
            capacity: tiles of a chip. largest: tiles that need one chip. needed: chips that hold all tiles.

        Raises:
            FitError: they are not, or a chip is too small.
        """
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
                f"The network needs {counted(count, 'tile')}, but {counted(self.chips, 'chip')} of {name} with "
                f"{capacity} tiles{' is' if self.chips == 1 else ' each are'} allowed: {counted(over, 'tile')} too "
                f"many; {needed} chips would do."
            )
            room.append(Knob(f"--chips {needed}", f"room for {needed * capacity:,} tiles"))
        if self.tiles is not None and count > self.tiles:
            problems.append(
                f"The network needs {counted(count, 'tile')}, but {self.tiles} are allowed: "
                f"{counted(count - self.tiles, 'tile')} too many."
            )
            room.append(Knob(f"--tiles {count}"))
        if problems:
            more = Knob(" ".join(knob.flags for knob in room), room[0].told)
            raise self.refusal(tiling, problems, [more])

    def refusal(
        self, tiling: Tiling, problems: list[str], room: list[Knob], spare: tuple[int, int] | None = None
    ) -> FitError:
        """The problems, and what would change them.

        Args:
            room: remedies that make the machine larger.
            spare: rows and columns of each crossbar that a fault map would have left free.
        """
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
        left = fill_fewest(room_of(tiling), unit_of, least, self.chips).left
        return max(over, int(np.isin(unit_of, left).sum()))

    def filled(self, tiling: Tiling, room: Room, unit_of: Indices, least: int) -> Filling:
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
        raise self.refusal(tiling, [left], more, spare_lines(room, filling.chips))


def room_of(tiling: Tiling) -> Room:
    """The sites of a chip with a known number of tiles."""
    mesh = tiling.target.mesh
    return Room.of(tiling, chip_sites(mesh, mesh.grid(mesh.tiles or 0)))

"""Whether cores and chips have the room that is asked of them, before any search for a partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.sites.demanded import Asked
from mho.passes.sites.matching import Matching
from mho.passes.sites.room import Room
from mho.targets.arrays import Indices
from mho.targets.errors import counted, plain
from mho.targets.isa import Site
from mho.targets.steps import layers

NAMES_SHOWN = 3


@dataclass(frozen=True)
class AskedRoom:
    """What is asked of the chips of a machine.

    Attributes:
        chips: the most chips that are allowed; None is any number.
    """

    tiling: Tiling
    chips: int | None

    def problems(self) -> Iterator[str]:
        """A sentence for everything that is asked and cannot be, whatever the other tiles do."""
        asked = Asked(self.tiling)
        if not asked.demands.any:
            return
        narrow = list(self._cores(asked))
        yield from (*self._far_chips(asked), *narrow)
        if self.tiling.target.mesh.tiles is not None:
            yield from self._full_chips(asked, told=bool(narrow))

    def _far_chips(self, asked: Asked) -> Iterator[str]:
        chips = np.unique(asked.chips)
        for chip in chips[chips >= (self.chips or np.inf)].tolist():
            named = self._named(np.flatnonzero(asked.chips == chip))
            yield (
                f"{named} is pinned to chip {chip}, but only {counted(self.chips or 0, 'chip')} "
                f"{'is' if self.chips == 1 else 'are'} allowed, numbered from 0; allow more "
                f"(--chips {chip + 1}) or pin to another"
            )

    def _cores(self, asked: Asked) -> Iterator[str]:
        """Tiles that find no core among those that they are pinned to, each core one tile."""
        cores = sorted(asked.demands.cores)
        sites = np.array([(core.x, core.y) for core in cores], np.int64).reshape(-1, 2)
        for chip in sorted({core.chip for core in cores}):
            here = np.unique(sites[[core.chip == chip for core in cores]], axis=0)
            room = Room.of(self.tiling, here)
            pinned = np.array([tile for tile in asked.cores if asked.chips[tile] == chip], np.int64)
            fits, matching = room.fits(chip), room.matching(chip)
            small = pinned[~fits[room.kind_of[pinned]].any(axis=1)]
            for tile in small.tolist():
                yield self._too_small(asked, room, chip, tile)
            left = [t for t in np.setdiff1d(pinned, small).tolist() if not matching.add(t, int(room.kind_of[t]))]
            if left:
                yield self._too_few(asked, matching, np.array(left), pinned)

    def _too_small(self, asked: Asked, room: Room, chip: int, tile: int) -> str:
        """Why none of its cores takes a tile."""
        rows, columns, devices, _ = room.kinds[room.kind_of[tile]].tolist()
        offered = room.offers(chip, devices).tolist()
        places = {tuple(site): offer for site, offer in zip(room.sites.tolist(), offered, strict=True)}
        offers = [
            f"{core} has {'none' if core in room.spots.values() else '{} × {}'.format(*places[core.x, core.y])}"
            for core in sorted(asked.cores[tile])
        ]
        return (
            f"a tile of {self._named([tile])} reaches {rows} rows × {columns} columns, and of the cores that it is "
            f"pinned to {', '.join(offers[:NAMES_SHOWN])} left; pin it to another core"
        )

    def _too_few(self, asked: Asked, matching: Matching, left: Indices, pinned: Indices) -> str:
        cores: set[Site] = set().union(*(asked.cores[tile] for tile in left.tolist()))
        rivals = [tile for tile in pinned.tolist() if asked.cores[tile] & cores]
        listed = ", ".join(map(str, sorted(cores)[:NAMES_SHOWN])) + (" …" if len(cores) > NAMES_SHOWN else "")
        return (
            f"{len(rivals)} tiles of {self._named(rivals)} are pinned to {counted(len(cores), 'core')} ({listed}), and "
            f"{len(left)} of them {'finds' if len(left) == 1 else 'find'} none left: a core holds one tile; "
            "list more cores"
        )

    def _full_chips(self, asked: Asked, told: bool) -> Iterator[str]:
        """Chips and groups with more tiles than a chip has.

        Args:
            told: whether it is known already that cores have not enough lines.
        """
        mesh, units = self.tiling.target.mesh, asked.units
        width, height = mesh.grid(mesh.tiles or 0)
        sites = np.array([(x, y) for y in range(height) for x in range(width)], np.int64)[: mesh.tiles]
        room = Room.of(self.tiling, sites)
        load = np.bincount(units.pinned[units.unit_of] + 1, minlength=1)
        for chip in np.flatnonzero(load[1:]).tolist():
            live, tiles = room.live(chip), np.flatnonzero(units.pinned[units.unit_of] == chip)
            if load[chip + 1] > live:
                yield (
                    f"{len(tiles)} tiles of {self._named(tiles)} are pinned to chip {chip}, which has {live} cores "
                    f"that take a tile: {len(tiles) - live} too many"
                )
            elif not told and not room.holds(chip, tiles):
                yield (
                    f"{len(tiles)} tiles of {self._named(tiles)} are pinned to chip {chip}, whose cores have not "
                    "enough rows and columns left for all of them"
                )
        for unit in np.flatnonzero((units.sizes > len(sites)) & (units.pinned < 0)).tolist():
            tiles = np.flatnonzero(units.unit_of == unit)
            yield (
                f"{len(tiles)} tiles of {self._named(tiles)} have to be on one chip, and a chip of "
                f"{plain(self.tiling.target.name)} has {len(sites)}: {len(tiles) - len(sites)} too many"
            )

    def _named(self, tiles: Iterable[int]) -> str:
        """The layers of some tiles."""
        network = self.tiling.calibrated.network
        names = {layer.matrix: layer.name for layer in reversed(layers(network.steps))}
        seats = (seat for tile in tiles for seat in self.tiling.tiles[tile])
        found = dict.fromkeys(self.tiling.blocks[seat.block].matrix for seat in seats)
        shown = [plain(names.get(matrix, matrix)) for matrix in list(found)[:NAMES_SHOWN]]
        return ", ".join(shown) + (" …" if len(found) > NAMES_SHOWN else "")

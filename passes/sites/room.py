"""`Room`: what the sites of the chips offer around faults and what is forbidden, and what tiles need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.sites.demanded import Asked
from mho.passes.sites.matching import Matching
from mho.targets.arrays import Indices, Mask
from mho.targets.faults import FaultMap
from mho.targets.isa import Site
from mho.targets.target import Crossbar, Mesh


def chip_sites(mesh: Mesh, grid: tuple[int, int]) -> Indices:
    """(x, y) of the sites of a chip, row by row: [sites, 2]; a grid may have more places than the chip has tiles."""
    width, height = grid
    every = np.array([(x, y) for y in range(height) for x in range(width)], np.int64)
    return every[: mesh.tiles]


def tile_devices(tiling: Tiling) -> Indices:
    """Devices of a weight of each tile, 0 where they are the machine's own number: [tiles]."""
    first = [tiling.blocks[seats[0].block].matrix if seats else "" for seats in tiling.tiles]
    return np.array([tiling.devices.get(matrix, 0) for matrix in first], np.int64)


def tile_needs(tiling: Tiling) -> Indices:
    """Rows and columns that the blocks of each tile reach: [tiles, 2]."""
    needs = np.zeros((len(tiling.tiles), 2), np.int64)
    for need, seats in zip(needs, tiling.tiles, strict=True):
        for seat in seats:
            block = tiling.blocks[seat.block]
            bottom = seat.row_offset + block.rows[1] - block.rows[0]
            right = seat.column_offset + block.columns[1] - block.columns[0]
            np.maximum(need, (bottom, right), out=need)
    return needs


@dataclass(frozen=True)
class Room:
    """Needs of tiles, by kind, and what the sites of a chip offer.

    Attributes:
        kinds: the different needs: rows, columns, devices of a weight, as in `tile_devices`, and the number of the
            cores that it is pinned to, −1 where to none: [kinds, 4].
        kind_of: tile → kind.
        sites: (x, y) of the sites of a chip: [sites, 2].
        cores: number → cores that tiles are pinned to.
        forbidden: cores on which nothing stands.
        spots: tile → the core that it stands on, whatever the others do.
    """

    crossbar: Crossbar
    faults: FaultMap
    kinds: Indices
    kind_of: Indices
    sites: Indices
    cores: tuple[frozenset[Site], ...] = ()
    forbidden: frozenset[Site] = frozenset()
    spots: Mapping[int, Site] = field(default_factory=dict)

    @staticmethod
    def of(tiling: Tiling, sites: Indices) -> Room:
        asked = Asked(tiling)
        numbers = {cores: number for number, cores in enumerate(dict.fromkeys(asked.cores.values()))}
        listed = np.full(len(tiling.tiles), -1)
        for tile, cores in asked.cores.items():
            listed[tile] = numbers[cores]
        needs = np.column_stack([tile_needs(tiling), tile_devices(tiling), listed])
        kinds, kind_of = np.unique(needs, axis=0, return_inverse=True)
        return Room(
            crossbar=tiling.target.crossbar,
            faults=tiling.faults,
            kinds=kinds,
            kind_of=kind_of.reshape(-1),
            sites=sites,
            cores=tuple(numbers),
            forbidden=tiling.demands.forbidden,
            spots=asked.spots,
        )

    @cached_property
    def marked(self) -> frozenset[int]:
        """The chips on which not every site will do for every tile."""
        named = {*self.forbidden, *self.spots.values(), *(core for cores in self.cores for core in cores)}
        return frozenset({*self.faults.barred, *(core.chip for core in named)})

    @cached_property
    def _place_of(self) -> Mapping[tuple[int, int], int]:
        return {(x, y): place for place, (x, y) in enumerate(self.sites.tolist())}

    def offers(self, chip: int, devices: int = 0) -> Indices:
        """Rows and columns that each site has left for weights of so many devices: [sites, 2]."""
        crossbar = self.crossbar.with_devices(devices) if devices else self.crossbar
        offers = np.full(self.sites.shape, (crossbar.rows, crossbar.columns), np.int64)
        for tile in self.faults.barred.get(chip, ()):
            place = self._place_of.get((tile.site.x, tile.site.y))
            if place is not None:
                offers[place] = tile.room(self.crossbar, devices or None)
        offers[self._places(chip, self.forbidden)] = 0
        return offers

    def _places(self, chip: int, cores: Iterable[Site]) -> list[int]:
        """The places of those cores that are on a chip."""
        found = (self._place_of.get((core.x, core.y)) for core in cores if core.chip == chip)
        return [place for place in found if place is not None]

    def fits(self, chip: int) -> Mask:
        """Whether a site offers enough to a kind of tiles, and is theirs to take: [kinds, sites]."""
        offers = {devices: self.offers(chip, devices) for devices in set(self.kinds[:, 2].tolist())}
        rows = [(kind[:2] <= offers[int(kind[2])]).all(axis=1) for kind in self.kinds]
        fits = np.array(rows, bool).reshape(len(self.kinds), len(self.sites))
        fits[:, self._places(chip, self._spots_of.get(chip, ()))] = False
        for number, cores in enumerate(self.cores):
            elsewhere = np.ones(len(self.sites), bool)
            elsewhere[self._places(chip, cores)] = False
            fits[np.ix_(self.kinds[:, 3] == number, elsewhere)] = False
        return fits

    @cached_property
    def _spots_of(self) -> Mapping[int, list[Site]]:
        found: dict[int, list[Site]] = {}
        for site in self.spots.values():
            found.setdefault(site.chip, []).append(site)
        return found

    @cached_property
    def _free(self) -> Mask:
        """Which tiles have no spot of their own: [tiles]."""
        free = np.ones(len(self.kind_of), bool)
        free[list(self.spots)] = False
        return free

    def live(self, chip: int) -> int:
        """Sites of a chip that hold anything at all."""
        return int((self.offers(chip) > 0).all(axis=1).sum())

    def matching(self, chip: int, order: Indices | None = None) -> Matching:
        """An empty matching with the sites of a chip; the sites with the least to offer first unless told else."""
        return Matching(self.fits(chip), tightest_first(self.offers(chip)) if order is None else order)

    def allowed(self, chip: int, tiles: Indices) -> Mask | None:
        """Which of some tiles may stand where on a chip, [tiles, sites]; None where every site will do."""
        if chip not in self.marked:
            return None
        mask: Mask = self.fits(chip)[self.kind_of[tiles]]
        for row in np.flatnonzero(~self._free[tiles]).tolist():
            mask[row] = False
            mask[row, self._places(chip, [self.spots[int(tiles[row])]])] = True
        return None if mask.all() else mask

    def left(self, chip: int, tiles: Indices) -> Mask:
        """Which of all tiles belong to these and find no site on the chip: [all tiles]."""
        matching, left = self.matching(chip), np.zeros(len(self.kind_of), bool)
        for tile in tiles[self._free[tiles]].tolist():
            left[tile] = not matching.add(tile, int(self.kind_of[tile]))
        return left

    def holds(self, chip: int, tiles: Indices) -> bool:
        """Whether all of some tiles find sites on a chip."""
        if chip not in self.marked:
            return len(tiles) <= len(self.sites)
        tiles = tiles[self._free[tiles]]
        return self.matching(chip).add_all(tiles.tolist(), self.kind_of[tiles].tolist())


def tightest_first(offers: Indices) -> Indices:
    """The sites, those with the fewest cells first."""
    return np.lexsort((offers[:, 1], offers[:, 0], offers.astype(np.float64).prod(axis=1)))

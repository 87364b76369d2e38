"""What the sites of the chips offer where a fault map takes lines or whole tiles away, and what tiles need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.place.matching import Mask, Matching
from mho.passes.place.traffic import Indices
from mho.targets.errors import plain
from mho.targets.faults import FaultMap
from mho.targets.target import Crossbar, Mesh

MOST_KINDS = 3
"""Sizes of tiles that a sentence lists."""


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
        kinds: the different needs: rows, columns and devices of a weight, as in `tile_devices`: [kinds, 3].
        kind_of: tile → kind.
        sites: (x, y) of the sites of a chip: [sites, 2].
    """

    crossbar: Crossbar
    faults: FaultMap
    kinds: Indices
    kind_of: Indices
    sites: Indices

    @staticmethod
    def of(tiling: Tiling, sites: Indices) -> Room:
        needs = np.column_stack([tile_needs(tiling), tile_devices(tiling)])
        kinds, kind_of = np.unique(needs, axis=0, return_inverse=True)
        return Room(tiling.target.crossbar, tiling.faults, kinds, kind_of.reshape(-1), sites)

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
        return offers

    def fits(self, chip: int) -> Mask:
        """Whether a site offers enough to a kind of tiles: [kinds, sites]."""
        offers = {devices: self.offers(chip, devices) for devices in set(self.kinds[:, 2].tolist())}
        rows = [(kind[:2] <= offers[int(kind[2])]).all(axis=1) for kind in self.kinds]
        return np.array(rows, bool).reshape(len(self.kinds), len(self.sites))

    def live(self, chip: int) -> int:
        """Sites of a chip that hold anything at all."""
        return int((self.offers(chip) > 0).all(axis=1).sum())

    def matching(self, chip: int, order: Indices | None = None) -> Matching:
        """An empty matching with the sites of a chip; the sites with the least to offer first unless told else."""
        return Matching(self.fits(chip), tightest_first(self.offers(chip)) if order is None else order)

    def allowed(self, chip: int, tiles: Indices) -> Mask | None:
        """Which of some tiles may stand where on a chip, [tiles, sites]; None where every site will do."""
        if chip not in self.faults.barred:
            return None
        mask: Mask = self.fits(chip)[self.kind_of[tiles]]
        return None if mask.all() else mask

    def left(self, chip: int, tiles: Indices) -> Mask:
        """Which of all tiles belong to these and find no site on the chip: [all tiles]."""
        matching, left = self.matching(chip), np.zeros(len(self.kind_of), bool)
        for tile in tiles.tolist():
            left[tile] = not matching.add(tile, int(self.kind_of[tile]))
        return left

    def holds(self, chip: int, tiles: Indices) -> bool:
        """Whether all of some tiles find sites on a chip."""
        if chip not in self.faults.barred:
            return len(tiles) <= len(self.sites)
        return self.matching(chip).add_all(tiles.tolist(), self.kind_of[tiles].tolist())


def tightest_first(offers: Indices) -> Indices:
    """The sites, those with the fewest cells first."""
    return np.lexsort((offers[:, 1], offers[:, 0], offers.astype(np.float64).prod(axis=1)))


def no_site(room: Room, left: Mask) -> str:
    """How many tiles of which size found no site; the largest first.

    Args:
        left: which tiles: [tiles].
    """
    kinds, counts = np.unique(room.kind_of[left], return_counts=True)
    ranked = sorted(zip(room.kinds[kinds].tolist(), counts.tolist(), strict=True), reverse=True)
    listed = ", ".join(f"{count} of {rows} × {columns}" for (rows, columns, _), count in ranked[:MOST_KINDS])
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
        f"the fault map leaves {live} of the {len(offers)} tiles of {chips} chip{'' if chips == 1 else 's'} of "
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


def smaller_tiles(room: Room, chips: int) -> str:
    """What makes every tile fit every site that is not dead."""
    rows, columns = spare_lines(room, chips) or (0, 0)
    return f"leave as many lines of every tile spare as the map takes (--spare-rows {rows} --spare-columns {columns})."

"""What is asked of the tiles of a tiling: the chip of each, its cores, and which share no chip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mho.passes.levels.demands import Demands, Part, block_key
from mho.passes.levels.tiling import Tiling
from mho.passes.sites.units import Units, converter_units
from mho.passes.tile.blocks import tiles_of_blocks
from mho.targets.arrays import Indices
from mho.targets.isa import Site


@dataclass(frozen=True)
class Asked:
    """The demands of a tiling, tile by tile. The blocks of a tile agree in what is asked of them."""

    tiling: Tiling

    @property
    def demands(self) -> Demands:
        return self.tiling.demands

    @cached_property
    def spots(self) -> dict[int, Site]:
        """Tile → the core that it has to stand on."""
        spots = self.demands.spots
        found = (
            (tile, spots.get(block_key(self.tiling.blocks[seat.block])))
            for tile, seats in enumerate(self.tiling.tiles if spots else ())
            for seat in seats
        )
        return {tile: spot.core for tile, spot in found if spot is not None}

    @cached_property
    def cores(self) -> dict[int, frozenset[Site]]:
        """Tile → the cores that it may stand on, where it is pinned to some and has no spot."""
        found: dict[int, frozenset[Site]] = {}
        for pin in self.demands.pins:
            for tile in self.tiles(pin.part) if pin.cores else ():
                found[tile] = found.get(tile, frozenset(pin.cores)) & frozenset(pin.cores)
        return {tile: cores for tile, cores in found.items() if tile not in self.spots}

    @cached_property
    def chips(self) -> Indices:
        """Tile → the chip that it is pinned to by itself, or −1."""
        chips = np.full(len(self.tiling.tiles), -1)
        for pin in self.demands.pins:
            chips[self.tiles(pin.part)] = pin.chip
        for tile, site in self.spots.items():
            chips[tile] = site.chip
        return chips

    def tiles(self, part: Part) -> list[int]:
        """The tiles of a part, in order."""
        return sorted({int(self._tile_of[b.number]) for b in self.tiling.blocks if part.holds(b)})

    @cached_property
    def _tile_of(self) -> Indices:
        return tiles_of_blocks(self.tiling)

    @cached_property
    def units(self) -> Units:
        """The units that go to chips together, pinned and kept apart as is asked."""
        units = Units.of(converter_units(self.tiling))
        if not self.demands.any:
            return units
        groups = [self._tiles_of_all(parts) for parts in self.demands.together]
        units = units.joined(groups) if groups else units
        pinned = np.full(len(units.pinned), -1)
        np.maximum.at(pinned, units.unit_of, self.chips)
        return units.asking(pinned, np.array(list(self._pairs(units)), np.int64))

    def _tiles_of_all(self, parts: Iterable[Part]) -> Indices:
        return np.array([tile for part in parts for tile in self.tiles(part)], np.int64)

    def _pairs(self, units: Units) -> Iterator[tuple[int, int]]:
        """Pairs of units that share no chip."""
        for one, other in self.demands.pairs_apart:
            here, there = (np.unique(units.unit_of[self.tiles(part)]).tolist() for part in (one, other))
            yield from ((a, b) for a in here for b in there)

"""`Units`: tiles that go to one chip together, and what is asked of where they go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.tile.blocks import tiles_of_blocks
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Indices
from mho.targets.steps import layers


@dataclass(frozen=True)
class Units:
    """The tiles of a tiling as units that no search takes apart.

    Who wants tiles of several units on one chip joins them (`joined`) before anything is asked of the units.

    Attributes:
        unit_of: tile → unit; units are numbered in the layers' order.
        pinned: unit → the chip that it has to be on, or −1: [units].
        apart: pairs of different units that may not share a chip, the smaller first, each once: [pairs, 2].
    """

    unit_of: Indices
    pinned: Indices
    apart: Indices = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @staticmethod
    def of(unit_of: Indices) -> Units:
        """Units of which nothing is asked."""
        return Units(unit_of, np.full(int(unit_of.max(initial=-1)) + 1, -1))

    @cached_property
    def sizes(self) -> Indices:
        """Unit → its tiles."""
        return np.bincount(self.unit_of, minlength=len(self.pinned))

    @cached_property
    def members(self) -> list[Indices]:
        """Unit → which tiles it has."""
        return members_of(self.unit_of)

    @property
    def free(self) -> bool:
        """Whether every unit may go anywhere."""
        return not len(self.apart) and bool((self.pinned < 0).all())

    @cached_property
    def strangers(self) -> dict[int, set[int]]:
        """Unit → those that may not share a chip with it."""
        found: dict[int, set[int]] = {}
        for one, other in self.apart.tolist():
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
        return found

    def asking(self, pinned: Indices, apart: Indices) -> Units:
        """The same units, pinned and kept apart."""
        pairs = np.unique(np.sort(apart.reshape(-1, 2), axis=1), axis=0)
        return replace(self, pinned=pinned, apart=pairs)

    def joined(self, groups: list[Indices]) -> Units:
        """Larger units, of which nothing is asked: the units of all tiles of a group are one."""
        root = np.arange(len(self.pinned))
        for tiles in groups:
            old = np.unique(root[self.unit_of[tiles]])
            root[np.isin(root, old)] = old[0] if len(old) else 0
        return Units.of(np.unique(root, return_inverse=True)[1].reshape(-1)[self.unit_of])


def converter_units(tiling: Tiling) -> Indices:
    """Tile → unit; tiles whose blocks share a converter are one unit. Units are numbered in the layers' order."""
    tile_of = tiles_of_blocks(tiling)
    root = np.arange(len(tiling.tiles))
    first: dict[object, int] = {}
    for block in tiling.blocks:
        tile = int(tile_of[block.number])
        other = first.setdefault((block.matrix, block.replica, block.columns, block.converter), tile)
        if root[tile] != root[other]:
            root[root == root[tile]] = root[other]
    used = {layer.matrix: i for i, layer in reversed(list(enumerate(layers(tiling.calibrated.network.steps))))}
    rank = np.full((len(tiling.tiles), 2), np.iinfo(np.int64).max)
    for block in reversed(tiling.blocks):
        unit = root[tile_of[block.number]]
        rank[unit] = min(tuple(rank[unit].tolist()), (used.get(block.matrix, len(used)), block.number))
    names = np.unique(root)
    order = names[np.lexsort((names, rank[names, 1], rank[names, 0]))]
    number = np.zeros(len(tiling.tiles), np.int64)
    number[order] = np.arange(len(order))
    return number[root]


def contract(flows: TileFlows, unit_of: Indices) -> TileFlows:
    """The flows between units."""
    return TileFlows.merge([TileFlows(unit_of[flows.source], unit_of[flows.target], flows.words)])


def members_of(unit_of: Indices) -> list[Indices]:
    """Unit → its tiles."""
    order = np.argsort(unit_of, kind="stable")
    return np.split(order, np.cumsum(np.bincount(unit_of))[:-1]) if len(unit_of) else []


def pack_units(sizes: Indices, capacity: int) -> Indices:
    """Unit → chip by first fit, the largest first: the fewest chips where all sizes are equal."""
    room: list[int] = []
    chip_of = np.zeros(len(sizes), np.int64)
    chip = last = 0
    for unit in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[unit])
        if size != last:  # chips without room for this size have none for the next one of it
            chip, last = 0, size
        while chip < len(room) and room[chip] < size:
            chip += 1
        if chip == len(room):
            room.append(capacity)
        room[chip] -= size
        chip_of[unit] = chip
    return chip_of

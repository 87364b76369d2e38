"""Which tiles each tile exchanges words with, both ways, for graphs too large for a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices


@dataclass(frozen=True)
class Neighbours:
    """One entry for each neighbour of a tile, ordered by tile.

    Attributes:
        first: tile → its first entry; one more where the last one ends.
        other: entry → the tile at the other end.
        words: entry → words both ways.
    """

    first: Indices
    other: Indices
    words: Floats

    @staticmethod
    def of(flows: TileFlows, tiles: int) -> Neighbours:
        low, high = np.minimum(flows.source, flows.target), np.maximum(flows.source, flows.target)
        pairs, where = np.unique(low * tiles + high, return_inverse=True)
        both = np.bincount(where, flows.words, len(pairs))
        one, other = np.divmod(pairs, tiles)
        ends, others = np.concatenate([one, other]), np.concatenate([other, one])
        order, words = np.argsort(ends, kind="stable"), np.concatenate([both, both])
        return Neighbours(np.searchsorted(ends[order], np.arange(tiles + 1)), others[order], words[order])

    def entries(self, members: Indices) -> tuple[Indices, Indices, Floats]:
        """Of some tiles: (place in `members`, other tile, words), one an entry."""
        start, count = self.first[members], self.first[members + 1] - self.first[members]
        place = np.repeat(np.arange(len(members)), count)
        entries = np.arange(len(place)) + np.repeat(start - np.cumsum(count) + count, count)
        return place, self.other[entries], self.words[entries]

    def pull(self, tile: int, chip_of: Indices, chips: int) -> Floats:
        """Words with what is on each chip; −1 in `chip_of` is on none."""
        here = slice(self.first[tile], self.first[tile + 1])
        on = chip_of[self.other[here]]
        pull: Floats = np.bincount(on[on >= 0], self.words[here][on >= 0], chips).astype(np.float64)
        return pull

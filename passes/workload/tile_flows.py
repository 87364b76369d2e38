"""`TileFlows`: words from tile to tile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mho.targets.arrays import Floats, Indices


@dataclass(frozen=True)
class TileFlows:
    """Words from tile to tile, one entry a directed pair, ordered by (source, target); no tile feeds itself."""

    source: Indices
    target: Indices
    words: Floats

    @staticmethod
    def merge(parts: Iterable[TileFlows]) -> TileFlows:
        """One entry a pair, the words summed."""
        listed = list(parts)
        if not listed:
            return TileFlows(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        source = np.concatenate([p.source for p in listed])
        target = np.concatenate([p.target for p in listed])
        words = np.concatenate([p.words for p in listed])
        keep = (source != target) & (words > 0)
        tiles = int(max(source.max(initial=0), target.max(initial=0))) + 1
        pairs, where = np.unique(source[keep] * tiles + target[keep], return_inverse=True)
        summed = np.bincount(where, words[keep], len(pairs)).astype(np.float64)
        return TileFlows(pairs // tiles, pairs % tiles, summed)

    def symmetric(self, tiles: int) -> Floats:
        """Words both ways as a dense symmetric matrix [tiles, tiles]."""
        dense = np.zeros((tiles, tiles))
        np.add.at(dense, (self.source, self.target), self.words)
        return dense + dense.T

    @cached_property
    def _first(self) -> Indices:
        """Source → its first entry; one more where the last one ends."""
        return np.searchsorted(self.source, np.arange(int(self.source.max(initial=-1)) + 2))

    def among(self, members: Indices) -> TileFlows:
        """The flows between the given tiles, numbered by their place in `members`; the others are not looked at."""
        if not len(members):
            return TileFlows.merge(())
        known = len(self._first) - 1
        start = self._first[np.minimum(members, known)]
        count = self._first[np.minimum(members + 1, known)] - start
        source = np.repeat(np.arange(len(members)), count)
        entries = np.arange(len(source)) + np.repeat(start - np.cumsum(count) + count, count)
        order = np.argsort(members, kind="stable")
        place = order[np.minimum(np.searchsorted(members, self.target[entries], sorter=order), len(members) - 1)]
        inside = members[place] == self.target[entries]
        return TileFlows(source[inside], place[inside], self.words[entries[inside]])


def cut_words(flows: TileFlows, chip_of: Indices) -> float:
    """Words that go from chip to chip."""
    return float(flows.words[chip_of[flows.source] != chip_of[flows.target]].sum())

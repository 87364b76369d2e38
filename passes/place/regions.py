"""A large chip divided into regions: rectangles of sites, and the tiles that belong on each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from mho.passes.workload.neighbours import Neighbours
from mho.targets.arrays import Floats, Indices, Mask

REGION = 100
"""The most sites of a region."""

SWAPS = 12
"""The most rounds of exchanges between two halves."""


@dataclass(frozen=True)
class Region:
    """Sites of a rectangle and tiles that stand there, no more than sites.

    Attributes:
        sites: numbers of the sites. tiles: numbers of the tiles, in the layers' order.
    """

    sites: Indices
    tiles: Indices


def divide(neighbours: Neighbours, tiles: int, sites: Indices) -> list[Region]:
    """Regions by recursive bisection of tiles and sites together, with few words over long ways.

    The words of a tile to those outside the half pull it to the side that they are on (terminal propagation: Dunlop
    and Kernighan, IEEE Trans. CAD 4(1), 1985). All regions of one depth are halved before the next.

    Args:
        sites: (x, y) of the sites: [sites, 2].
    """
    at = np.tile(sites.mean(axis=0), (tiles, 1))
    waiting = deque([Region(np.arange(len(sites)), np.arange(tiles))])
    done = []
    while waiting:
        region = waiting.popleft()
        if len(region.sites) <= REGION:
            done.append(region)
            continue
        for half in _halves(neighbours, region, sites, at):
            at[half.tiles] = sites[half.sites].mean(axis=0)
            waiting.append(half)
    return done


def _halves(neighbours: Neighbours, region: Region, sites: Indices, at: Floats) -> tuple[Region, Region]:
    """The region cut across its longer side."""
    places = sites[region.sites]
    axis = int(np.ptp(places[:, 1]) > np.ptp(places[:, 0]))
    along = places[:, axis]
    high = along >= (along.min() + along.max() + 1) // 2
    low_sites, high_sites = region.sites[~high], region.sites[high]
    count = len(region.tiles)
    lower = round(count * len(low_sites) / len(region.sites))
    lower = min(max(lower, count - len(high_sites)), len(low_sites))
    problem = _Halving.of(neighbours, region, at[:, axis], float(along[~high].mean()), float(along[high].mean()))
    side = problem.best(lower)
    return Region(low_sites, region.tiles[~side]), Region(high_sites, region.tiles[side])


@dataclass(frozen=True)
class _Halving:
    """Which tiles of a region go to its upper half.

    Attributes:
        one, other, words: entries between tiles of the region, both ways, words times the way between the halves.
        pull: what a tile costs more in the upper half than in the lower, for words to the outside.
    """

    one: Indices
    other: Indices
    words: Floats
    pull: Floats

    @staticmethod
    def of(neighbours: Neighbours, region: Region, at: Floats, low: float, high: float) -> _Halving:
        place, other, words = neighbours.entries(region.tiles)
        order = np.argsort(region.tiles, kind="stable")
        found = np.minimum(np.searchsorted(region.tiles, other, sorter=order), len(order) - 1)
        inside = region.tiles[order[found]] == other
        more = words * (np.abs(at[other] - high) - np.abs(at[other] - low))
        pull = np.bincount(place[~inside], more[~inside], len(region.tiles)).astype(np.float64)
        return _Halving(place[inside], order[found[inside]], words[inside] * (high - low), pull)

    def cost(self, side: Mask) -> float:
        return float(self.words[side[self.one] != side[self.other]].sum()) / 2 + float(self.pull[side].sum())

    def best(self, lower: int) -> Mask:
        """The best of some starts, after exchanges.

        Args:
            lower: tiles in the lower half.
        """
        count = len(self.pull)
        orders = (np.arange(count), np.arange(count)[::-1], np.argsort(-self.pull, kind="stable"))
        starts = []
        for order in orders:
            side = np.zeros(count, bool)
            side[order[lower:]] = True
            starts.append(side)
        return self._exchanged(min(starts, key=self.cost))

    def _exchanged(self, side: Mask) -> Mask:
        """Exchange the tiles that gain most, half as many each time it does not pay, as long as it does."""
        cost = self.cost(side)
        for _ in range(SWAPS):
            apart = np.where(side[self.one] != side[self.other], self.words, -self.words)
            gain = np.bincount(self.one, apart, len(side)) + np.where(side, self.pull, -self.pull)
            down, up = np.flatnonzero(side), np.flatnonzero(~side)
            down, up = down[np.argsort(-gain[down], kind="stable")], up[np.argsort(-gain[up], kind="stable")]
            pairs = min(len(down), len(up))
            pairs = int((gain[down[:pairs]] + gain[up[:pairs]] > 0).sum())
            while pairs:
                tried = side.copy()
                tried[down[:pairs]], tried[up[:pairs]] = False, True
                least = self.cost(tried)
                if least < cost * (1 - 1e-12):
                    side, cost = tried, least
                    break
                pairs //= 2
            if not pairs:
                break
        return side

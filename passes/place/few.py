"""The best sites for a few tiles, by looking at everything that they could be.

The links between two sites are those across plus those down, so a placement is two independent orders of the tiles,
its columns and its rows, in which several may stand level. An empty column or row between tiles only adds links:
so the tiles use the first columns and the first rows. Of all orders with the same tiles level, the cheapest will
do, and two orders make a placement where no two tiles are level in both.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mho.passes.place.assignment import Assignment, cost_of
from mho.passes.place.traffic import Floats, Indices

FEW = 7
"""The most tiles: 47,293 orders with 877 sets of level tiles; one tile more would have ten times as many."""


def place_few(flow: Floats, sites: Indices) -> Assignment | None:
    """The proven best placement of at most FEW tiles; None where the full rows of the sites cannot hold them.

    Where the last row of sites is not full, no tile stands there, and the bound is that of a full one.

    Args:
        flow: [tiles, tiles], words; the diagonal counts nothing.
        sites: (x, y) row by row, [sites, 2].
    """
    width = int(sites[:, 0].max()) + 1
    full, rows = len(sites) // width, int(sites[:, 1].max()) + 1
    if width * full < len(flow):
        return None
    x, y, words = _cheapest(flow, width, full)
    least = words if full >= min(rows, len(flow)) else _cheapest(flow, width, rows)[2]
    site_of = y * width + x
    distance = np.abs(sites[:, None, :] - sites[None, :, :]).sum(axis=2).astype(np.float64)
    cost = cost_of(flow, distance, site_of)
    return Assignment(site_of, cost, cost if words <= least else min(cost, least))


def _cheapest(flow: Floats, width: int, height: int) -> tuple[Indices, Indices, float]:
    """Column and row of every tile within a rectangle, and the words times links that they cost."""
    both = flow + flow.T
    places, level = _orders(len(flow))
    costs = np.zeros(len(places))
    for i, j in combinations(range(len(flow)), 2):
        costs += both[i, j] * np.abs(places[:, i] - places[:, j])
    by_cost = np.lexsort((costs, level))
    across, down = (_first_of_each(by_cost, level, places.max(axis=1) < limit) for limit in (width, height))
    apart = (level[across][:, None] & level[down][None, :]) == 0
    sums = np.where(apart, costs[across][:, None] + costs[down][None, :], np.inf)
    column, row = np.unravel_index(int(sums.argmin()), sums.shape)
    x, y = places[across[column]], places[down[row]]
    return x.astype(np.int64), y.astype(np.int64), float(sums[column, row])


def _first_of_each(by_cost: Indices, level: Indices, allowed: NDArray[np.bool_]) -> Indices:
    """The cheapest allowed order for each set of level tiles."""
    left = by_cost[allowed[by_cost]]
    chosen: Indices = left[np.unique(level[left], return_index=True)[1]]
    return chosen


@lru_cache(maxsize=FEW)
def _orders(tiles: int) -> tuple[NDArray[np.int8], Indices]:
    """All orders of so many tiles: the place of each, [orders, tiles], and a bit for each pair that stands level."""
    every = np.indices((tiles,) * tiles, dtype=np.int8).reshape(tiles, -1).T
    used = np.bitwise_or.reduce(np.int16(1) << every.astype(np.int16), axis=1)
    places = np.ascontiguousarray(every[used & (used + 1) == 0])
    level = np.zeros(len(places), np.int64)
    for bit, (i, j) in enumerate(combinations(range(tiles), 2)):
        level |= (places[:, i] == places[:, j]).astype(np.int64) << bit
    return places, level

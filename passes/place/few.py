"""The best sites for a few tiles, by looking at everything that they could be.

The links between two sites are those across plus those down, so a placement is two independent orders of the tiles,
its columns and its rows, in which several may stand level. An empty column or row between tiles only adds links:
so the tiles use the first columns and the first rows. Of all orders with the same tiles level, the cheapest will
do, and two orders make a placement where no two tiles are level in both.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from mho.passes.place.assignment import Assignment, cost_of
from mho.targets.arrays import Floats, Indices, Mask

FEW = 7
"""The most tiles: 47,293 orders with 877 sets of level tiles; one tile more would have ten times as many."""


def place_few(flow: Floats, sites: Indices, allowed: Mask | None = None) -> Assignment | None:
    """The proven best placement of at most FEW tiles; None where the full rows of the sites cannot hold them.

    Where the last row of sites is not full, no tile stands there, and the bound is that of a full one. Where not every
    site will do, the placement is shifted, turned and mirrored, which costs nothing, until it suits; None if it never
    does.

    Args:
        flow: [tiles, tiles], words; the diagonal counts nothing.
        sites: (x, y) row by row, [sites, 2].
        allowed: which tiles may stand where, [tiles, sites].
    """
    width = int(sites[:, 0].max()) + 1
    full, rows = len(sites) // width, int(sites[:, 1].max()) + 1
    if width * full < len(flow):
        return None
    x, y, words = _cheapest(flow, width, full)
    least = words if full >= min(rows, len(flow)) else _cheapest(flow, width, rows)[2]
    found = y * width + x if allowed is None else _moved(x, y, (width, full), allowed)
    if found is None:
        return None
    site_of = found
    distance = np.abs(sites[:, None, :] - sites[None, :, :]).sum(axis=2).astype(np.float64)
    cost = cost_of(flow, distance, site_of)
    return Assignment(site_of, cost, cost if words <= least else min(cost, least))


def _moved(x: Indices, y: Indices, grid: tuple[int, int], allowed: Mask) -> Indices | None:
    """Tile → site of the first of the placement's images in the grid that is allowed."""
    width, height = grid
    tiles = np.arange(len(x))
    for across, down in ((x, y), (y, x)):
        for right, up in product((False, True), repeat=2):
            a = across.max() - across if right else across
            b = down.max() - down if up else down
            for top, left in product(range(height - int(b.max())), range(width - int(a.max()))):
                site_of: Indices = (top + b) * width + left + a
                if allowed[tiles, site_of].all():
                    return site_of
    return None


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


def _first_of_each(by_cost: Indices, level: Indices, allowed: Mask) -> Indices:
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

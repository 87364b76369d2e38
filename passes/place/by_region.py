"""Placement on a chip with too many sites for one search: region by region, then across their borders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from time import monotonic

import numpy as np

from mho.passes.place.assignment import Assignment, Qap, solve_qaps
from mho.passes.place.regions import Region, divide
from mho.passes.place.windows import A_SOLVE, SHARE, Window, solve_window
from mho.passes.solver import Budget, in_parallel
from mho.passes.watch import watch
from mho.passes.workload.neighbours import Neighbours
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices

SIDE = 10
"""Of the squares across the regions' borders."""

TOGETHER = 16
"""Regions that are searched side by side; those after them see where their tiles stand."""

ENTRIES_A_SECOND = 1.5e8
FEWEST_ITERATIONS = 30
"""As in `place`; every region has so many iterations at least, so that time grows with the sites."""

WINDOW = 3
"""Side of the windows that CP-SAT looks at in the end."""


def place_in_regions(
    flows: TileFlows, sites: Indices, tiles: int, limit: Budget, seed: int, alone: Floats | None = None
) -> Assignment:
    """A site for every tile, and a lower bound of the words times links.

    Each region is a quadratic assignment problem in which the words to tiles outside are a cost of each site. The
    squares of later rounds lie across the borders of those before, and are taken where they lower the whole cost.

    Args:
        flows: between the tiles, which are numbered in the layers' order.
        sites: (x, y) of the sites: [sites, 2].
        alone: what a tile on a site costs by itself, [tiles, sites]; None is nothing.
    """
    begun, follower = monotonic(), watch()
    floor = _Floor.empty(Neighbours.of(flows, tiles), sites, alone)
    bound = stars_bound(floor.neighbours)
    iterations = max(FEWEST_ITERATIONS, int(limit.seconds * ENTRIES_A_SECOND / (len(sites) * SIDE**2 * 4)))
    search = partial(_search, floor, iterations=iterations, seed=seed)
    search(divide(floor.neighbours, tiles, sites), begin=True)
    shift = SIDE // 2
    while True:
        follower.found(floor.cost(), bound)
        search(floor.squares(shift), begin=False)
        shift = (shift + 3) % SIDE
        if follower.over() or not limit.wall or monotonic() - begun > limit.seconds * (1 - SHARE):
            break
    _windows(floor, limit, seed)
    cost = floor.cost()
    return Assignment(floor.site_of, cost, min(cost, bound))


def stars_bound(neighbours: Neighbours) -> float:
    """No placement costs less: every tile alone with its neighbours around it, the most words nearest.

    2 d (d + 1) sites are at most d links away on a grid without an edge. Words count at both ends, so half of it.
    """
    tile = np.repeat(np.arange(len(neighbours.first) - 1), np.diff(neighbours.first))
    order = np.lexsort((-neighbours.words, tile))
    rank = np.arange(len(order)) - neighbours.first[tile]
    links = np.ceil((np.sqrt(2 * rank + 3) - 1) / 2)
    return float(neighbours.words[order] @ links) / 2


@dataclass
class _Floor:
    """Where the tiles stand.

    Attributes:
        site_of: tile → site; before its region was searched the middle of it counts, in `at`.
        holder: site → tile, −1 where it is free.
        at: tile → (x, y): [tiles, 2].
        alone: what a tile on a site costs by itself: [tiles, sites].
    """

    neighbours: Neighbours
    sites: Indices
    site_of: Indices
    holder: Indices
    at: Floats
    alone: Floats | None

    @staticmethod
    def empty(neighbours: Neighbours, sites: Indices, alone: Floats | None) -> _Floor:
        tiles = len(neighbours.first) - 1
        return _Floor(neighbours, sites, np.full(tiles, -1), np.full(len(sites), -1), np.zeros((tiles, 2)), alone)

    def put(self, tiles: Indices, sites: Indices) -> None:
        """Stand tiles on sites, which no others hold."""
        old = self.site_of[tiles]
        self.holder[old[old >= 0]] = -1
        self.site_of[tiles], self.holder[sites] = sites, tiles
        self.at[tiles] = self.sites[sites]

    def cost(self) -> float:
        """Words times links, and what the tiles cost alone."""
        linear = 0.0 if self.alone is None else float(self.alone[np.arange(len(self.at)), self.site_of].sum())
        tiles = np.repeat(np.arange(len(self.at)), np.diff(self.neighbours.first))
        links = np.abs(self.at[tiles] - self.at[self.neighbours.other]).sum(axis=1)
        return float(self.neighbours.words @ links) / 2 + linear

    def qap(self, tiles: Indices, sites: Indices) -> Qap:
        """Some tiles on some sites; all others stay where they are."""
        place, other, words = self.neighbours.entries(tiles)
        order = np.argsort(tiles, kind="stable")
        partner = order[np.minimum(np.searchsorted(tiles, other, sorter=order), len(order) - 1)]
        inside = tiles[partner] == other
        flow = np.zeros((len(tiles), len(tiles)))
        np.add.at(flow, (place[inside], partner[inside]), words[inside] / 2)
        alone = np.zeros((len(tiles), len(sites))) if self.alone is None else self.alone[np.ix_(tiles, sites)]
        for axis in (0, 1):
            for value in np.unique(self.sites[sites, axis]).tolist():
                links = words[~inside] * np.abs(self.at[other[~inside], axis] - value)
                alone[:, self.sites[sites, axis] == value] += np.bincount(place[~inside], links, len(tiles))[:, None]
        return Qap(flow, alone)

    def squares(self, shift: int) -> list[Region]:
        """The floor in squares that begin `shift` sites before its corner."""
        column, row = ((self.sites + shift) // SIDE).T
        square = row * (int(column.max(initial=0)) + 1) + column
        order = np.argsort(square, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(square[order])) + 1)
        regions = [Region(part, self.holder[part][self.holder[part] >= 0]) for part in parts]
        return [region for region in regions if len(region.tiles)]


def _search(floor: _Floor, regions: list[Region], iterations: int, seed: int, begin: bool) -> None:
    """Place the tiles of every region, those of one shape some at a time.

    Args:
        begin: they have no sites yet.
    """
    if begin:
        for region in regions:
            floor.at[region.tiles] = floor.sites[region.sites].mean(axis=0)
    for together in _alike(floor, [region for region in regions if len(region.tiles)]):
        if watch().over() and not begin:
            return
        places = floor.sites[together[0].sites]
        distance = np.abs(places[:, None, :] - places[None, :, :]).sum(axis=2).astype(np.float64)
        qaps = [floor.qap(region.tiles, region.sites) for region in together]
        if begin:
            starts = [_first(qap, places, distance) for qap in qaps]
        else:
            starts = [_now(floor, region) for region in together]
        steps = 1 if watch().over() else iterations
        answers = solve_qaps(qaps, distance, starts, steps, seed)
        for region, answer, start in zip(together, answers, starts, strict=True):
            current = floor.qap(region.tiles, region.sites)  # with those beside it where they stand by now
            if begin or current.cost(distance, answer.site_of) < current.cost(distance, start):
                floor.put(region.tiles, region.sites[answer.site_of])


def _alike(floor: _Floor, regions: list[Region]) -> Iterator[list[Region]]:
    """Regions of one shape, at most `TOGETHER`, in their order."""
    shapes: dict[bytes, list[Region]] = {}
    for region in regions:
        places = floor.sites[region.sites]
        shapes.setdefault((places - places.min(axis=0)).tobytes(), []).append(region)
    for alike in shapes.values():
        for start in range(0, len(alike), TOGETHER):
            yield alike[start : start + TOGETHER]


def _first(qap: Qap, places: Indices, distance: Floats) -> Indices:
    """The tiles in their order along the rows or the columns, from the corner that costs least."""
    x, y = places.T
    orders = [np.lexsort((a * x, b * y)) for a in (1, -1) for b in (1, -1)]
    orders += [np.lexsort((b * y, a * x)) for a in (1, -1) for b in (1, -1)]
    return min((order[: len(qap)] for order in orders), key=lambda start: qap.cost(distance, start))


def _now(floor: _Floor, region: Region) -> Indices:
    """The sites that the tiles have, numbered in the region."""
    order = np.argsort(region.sites, kind="stable")
    return order[np.searchsorted(region.sites, floor.site_of[region.tiles], sorter=order)]


def _windows(floor: _Floor, limit: Budget, seed: int) -> None:
    """Let CP-SAT place the tiles of small windows around the tiles whose words go furthest."""
    many = int(limit.seconds * SHARE / A_SOLVE)
    opened = list(_openings(floor, many))
    problems = [(floor.qap(region.tiles, region.sites), region) for region in opened]
    windows = [Window(q, floor.sites[r.sites], _now(floor, r), np.arange(len(r.sites))) for q, r in problems]
    solve = partial(solve_window, limit=Budget(A_SOLVE), seed=seed)
    for region, window, (taken, _) in zip(opened, windows, in_parallel(solve, windows, Budget(A_SOLVE)), strict=True):
        places = window.sites
        distance = np.abs(places[:, None, :] - places[None, :, :]).sum(axis=2).astype(np.float64)
        current = floor.qap(region.tiles, region.sites)
        if current.cost(distance, taken) < current.cost(distance, window.site_of):
            floor.put(region.tiles, region.sites[taken])


def _openings(floor: _Floor, many: int) -> Iterator[Region]:
    """Windows without a site in common, around the tiles with the most words times links."""
    tiles = np.repeat(np.arange(len(floor.at)), np.diff(floor.neighbours.first))
    links = np.abs(floor.at[tiles] - floor.at[floor.neighbours.other]).sum(axis=1)
    own = np.bincount(tiles, floor.neighbours.words * links, len(floor.at))
    number = {(x, y): site for site, (x, y) in enumerate(floor.sites.tolist())}
    used: set[int] = set()
    found = 0
    for tile in np.argsort(-own, kind="stable").tolist():
        if found == many:
            return
        left, top = (floor.sites[floor.site_of[tile]] - WINDOW // 2).tolist()
        places = [(x, y) for y in range(top, top + WINDOW) for x in range(left, left + WINDOW)]
        opened = [number[place] for place in places if place in number]
        if used.isdisjoint(opened):
            used.update(opened)
            found += 1
            sites = np.array(opened, np.int64)
            yield Region(sites, floor.holder[sites][floor.holder[sites] >= 0])

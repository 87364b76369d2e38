"""`PlaceCores`: which site of its chip's grid every logical tile has, so that words travel few links."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from mho.passes.levels.plan import Partition, Placement
from mho.passes.levels.tiling import Tiling
from mho.passes.place.assignment import Assignment, Qap, solve_qaps
from mho.passes.place.by_region import place_in_regions
from mho.passes.place.few import FEW, place_few
from mho.passes.place.windows import improve
from mho.passes.reload.pages import sites_in_order
from mho.passes.sites.matching import Matching
from mho.passes.sites.room import Room, chip_sites, no_site, smaller_tiles, survivors
from mho.passes.sites.units import converter_units
from mho.passes.solver import Budget, Effort, budget
from mho.passes.watch import watch
from mho.passes.workload.traffic import TileFlows, tile_flows
from mho.targets.arrays import Floats, Indices, Mask
from mho.targets.errors import FitError
from mho.targets.isa import Site
from mho.targets.mapping import SolverFacts

LARGEST_SEARCH = 1500
"""A chip with more sites is divided into regions; around faults its tiles stay along a snake, and nothing is proved."""

ENTRIES_A_SECOND = 1.5e8
"""Entries of the matrices of exchanges that a core looks at in about a second; one iteration costs 20,000 more."""

BANDS = (1, 2, 3, 4, 5, 6, 8)
"""Heights of the bands that the snakes run through: wide layers want tall ones."""

MOST_ITERATIONS = 20_000
MOST_FOR_A_PAIR = 20
"""Iterations for each pair of sites: few sites need few."""

ENTRIES = 40_000
MOST_SEARCHES = 8
"""Searches of an instance side by side: so many, or as many as have so many entries of matrices."""

FOREVER = 10**9
"""Iterations that only the clock ends."""

SEARCH_SHARE = 0.7
"""The part of a wall-clock budget for the tabu search; the windows have the rest."""


FEWER_TILES = "pack several blocks into a tile (--pack sequential) or use fewer replicas (--replicate 1)."


@dataclass(frozen=True)
class PlaceCores:
    """Give every tile a site: on each chip, the least sum of words times links travelled that is found.

    A few tiles on a chip have the best sites of all. For more a tabu search starts from their order in the layers,
    laid along the best of some snakes, and CP-SAT then betters what it found, the tiles of a few sites at a time.
    Words to and from other chips count the links to the side of the chip where they leave or enter. No tile stands
    where the fault map leaves fewer lines than it reaches.
    """

    effort: Effort = "normal"
    seed: int = 0

    def run(self, partition: Partition) -> Placement:
        """Place all chips, side by side."""
        if partition.ranged.reload is not None:
            return sites_in_order(partition)
        tiling = partition.ranged.tiling
        chip_of = np.array(partition.chip_of, np.int64)
        order = np.argsort(converter_units(tiling), kind="stable")
        members = [order[chip_of[order] == chip] for chip in range(partition.chips)]
        grid = grid_for(tiling, members)
        sites = chip_sites(tiling.target.mesh, grid)
        flows = tile_flows(tiling)
        masks = allowed_sites(tiling, sites, members)
        outer = ways_out(flows, chip_of, members, sites)
        if len(sites) > LARGEST_SEARCH and not any(mask is not None for mask in masks):
            answers = self._in_regions([flows.among(tiles) for tiles in members], members, outer, sites)
        else:
            inner = [flows.among(tiles).symmetric(len(tiles)) / 2 for tiles in members]
            qaps = [Qap(*each) for each in zip(inner, outer, masks, strict=True)]
            answers = place_chips(qaps, sites, budget(self.effort), self.seed)
        site_of: list[Site] = [Site(0, 0, 0)] * len(chip_of)
        for chip, (tiles, answer) in enumerate(zip(members, answers, strict=True)):
            for tile, site in zip(tiles.tolist(), answer.site_of.tolist(), strict=True):
                site_of[tile] = Site(chip, *(int(c) for c in sites[site]))
        return Placement(partition, grid, tuple(site_of), (_facts(answers),))

    def _in_regions(
        self, flows: list[TileFlows], members: list[Indices], outer: list[Floats | None], sites: Indices
    ) -> list[Assignment]:
        """On chips with too many sites for one search."""
        share = budget(self.effort).share(len(members))
        chips = zip(flows, members, outer, strict=True)
        return [place_in_regions(flow, sites, len(tiles), share, self.seed, alone) for flow, tiles, alone in chips]


def grid_for(tiling: Tiling, members: list[Indices]) -> tuple[int, int]:
    """Width and height of a chip's grid; where chips have no number of tiles, the smallest on which all find sites.

    Args:
        members: the tiles of each chip.

    Raises:
        FitError: the grid has a size of its own, and what a fault map leaves of the one chip does not hold the tiles.
    """
    mesh, barred, demands = tiling.target.mesh, tiling.faults.barred, tiling.demands
    count = max((len(tiles) for tiles in members), default=1)
    if mesh.tiles is not None or not (barred or demands.any):
        return mesh.grid(count)

    def holds(sites: int) -> bool:
        width, height = mesh.grid(sites)
        room = Room.of(tiling, chip_sites(mesh, (width, height)))
        inside = all(core.x < width and core.y < height for core in demands.cores)
        return inside and all(room.holds(chip, tiles) for chip, tiles in enumerate(members))

    far = max((max(core.x, core.y) + 1 for core in demands.cores), default=0)
    taken = sum(map(len, barred.values())) + len(demands.forbidden)
    counts = range(count, max(count + taken, far * far) + 1)
    least = bisect_left(counts, True, key=holds)
    if least == len(counts):
        room = Room.of(tiling, chip_sites(mesh, mesh.grid(count)))
        advice = FEWER_TILES if room.live(0) < count else smaller_tiles(room, 1)
        raise FitError(f"{no_site(room, room.left(0, members[0]))}: {survivors(room, tiling, 1)} To fit, {advice}")
    return mesh.grid(counts[least])


def allowed_sites(tiling: Tiling, sites: Indices, members: list[Indices]) -> list[Mask | None]:
    """Which tiles of a chip may stand where, one mask [tiles, sites] a chip; None where every site will do."""
    if not tiling.faults.barred and not tiling.demands.any:
        return [None] * len(members)
    room = Room.of(tiling, sites)
    return [room.allowed(chip, tiles) for chip, tiles in enumerate(members)]


def ways_out(flows: TileFlows, chip_of: Indices, members: list[Indices], sites: Indices) -> list[Floats | None]:
    """Words of tiles to and from other chips, times links to the side where those stand: one [tiles, sites] a chip.

    Chips stand in a row; None where nothing leaves the chip.
    """
    sides: Floats = np.zeros((2, len(chip_of)))
    for one, other in ((flows.source, flows.target), (flows.target, flows.source)):
        away = chip_of[one] != chip_of[other]
        east = chip_of[other[away]] > chip_of[one[away]]
        np.add.at(sides, (east.astype(np.int64), one[away]), flows.words[away])
    x = sites[:, 0].astype(np.float64)
    links = np.stack([x, x.max() - x])
    return [sides[:, tiles].T @ links if sides[:, tiles].any() else None for tiles in members]


def place_chips(qaps: list[Qap], sites: Indices, limit: Budget, seed: int) -> list[Assignment]:
    """Assign the tiles of every chip to sites: a few for good, more by a search.

    Args:
        qaps: one a chip, with symmetric flows.
    """
    done = [_without_search(qap, sites) for qap in qaps]
    found = iter(_search([q for q, answer in zip(qaps, done, strict=True) if answer is None], sites, limit, seed))
    return [next(found) if answer is None else answer for answer in done]


def _without_search(qap: Qap, sites: Indices) -> Assignment | None:
    """The best placement where every tile has one site to go to, or where there are few tiles; None elsewhere."""
    if qap.allowed is not None and (qap.allowed.sum(axis=1) == 1).all():
        site_of = qap.allowed.argmax(axis=1)
        at = sites[site_of].astype(np.float64)
        alone = 0.0 if qap.alone is None else float(qap.alone[np.arange(len(site_of)), site_of].sum())
        cost = float((qap.flow * np.abs(at[:, None] - at[None]).sum(axis=2)).sum()) + alone
        return Assignment(site_of, cost, cost)
    return place_few(qap.flow, sites, qap.allowed) if 0 < len(qap) <= FEW and qap.alone is None else None


def _search(qaps: list[Qap], sites: Indices, limit: Budget, seed: int) -> list[Assignment]:
    """What a tabu search from a snake, and then CP-SAT on windows, find within the limit."""
    if not qaps:
        return []
    begun = monotonic()
    distance = np.abs(sites[:, None, :] - sites[None, :, :]).sum(axis=2).astype(np.float64)
    begin = [_best_snake(qap, distance, sites) for qap in qaps]
    if len(sites) > LARGEST_SEARCH:
        return [Assignment(p, qap.cost(distance, p), 0.0) for qap, p in zip(qaps, begin, strict=True)]
    entries = len(qaps) * len(sites) ** 2
    searches = int(min(max(1, ENTRIES // entries), MOST_SEARCHES))
    found = solve_qaps(
        qaps, distance, begin, _iterations(limit, searches * entries, len(sites)), seed, searches, _clock(limit, begun)
    )
    left = replace(limit, seconds=max(0.0, limit.seconds - (monotonic() - begun))) if limit.wall else limit
    return improve(qaps, sites, found, left, seed)


def _iterations(limit: Budget, entries: int, sites: int) -> int:
    if limit.wall:
        return FOREVER
    most = min(MOST_ITERATIONS, MOST_FOR_A_PAIR * sites**2)
    return int(min(max(limit.seconds * ENTRIES_A_SECOND / (entries + 20_000), 10), most))


def _clock(limit: Budget, begun: float) -> Callable[[], bool]:
    """Whether the tabu search is to end: its part of the wall clock is used up, or whoever watches ends it."""
    follower = watch()
    return lambda: follower.over() or (limit.wall and monotonic() - begun >= SEARCH_SHARE * limit.seconds)


def snake(sites: Indices, band: int = 1) -> Indices:
    """The order of the sites along a line that runs to and fro through bands of rows, and up and down in each."""
    x, y = sites[:, 0], sites[:, 1]
    strip = y // band
    along = np.where(strip % 2 == 0, x, -x)
    across = np.where(x % 2 == 0, y, -y)
    return np.lexsort((across, along, strip))


def _best_snake(qap: Qap, distance: Floats, sites: Indices) -> Indices:
    """The tiles in their order along the snake that costs least."""
    tries = [_along(snake(sites, band), len(qap), qap.allowed) for band in BANDS]
    return min(tries, key=lambda site_of: qap.cost(distance, site_of))


def _along(order: Indices, tiles: int, allowed: Mask | None) -> Indices:
    """Tile → site: each takes the first free one in the order that it may have."""
    if allowed is None:
        return order[:tiles]
    matching = Matching(allowed, order)
    matching.add_all(range(tiles), range(tiles))
    return np.array([matching.site_of[tile] for tile in range(tiles)], np.int64)


def _facts(answers: list[Assignment]) -> SolverFacts:
    cost, bound = sum(a.cost for a in answers), sum(a.bound for a in answers)
    return SolverFacts(search="place", status="OPTIMAL" if cost <= bound else "FEASIBLE", objective=cost, bound=bound)

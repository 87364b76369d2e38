"""`PlaceCores`: which site of its chip's grid every logical tile has, so that words travel few links."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from mho.passes.levels.plan import Partition, Placement
from mho.passes.levels.tiling import Tiling
from mho.passes.place.assignment import Assignment, cost_of, solve_qaps
from mho.passes.place.few import FEW, place_few
from mho.passes.place.matching import Mask, Matching
from mho.passes.place.partition import KNOBS
from mho.passes.place.room import Room, chip_sites, no_site, smaller_tiles, survivors
from mho.passes.place.traffic import Floats, Indices, tile_flows
from mho.passes.place.units import converter_units
from mho.passes.place.windows import improve
from mho.passes.solver import Budget, Effort, budget
from mho.targets.errors import FitError
from mho.targets.isa import Site
from mho.targets.program import SolverFacts

LARGEST_SEARCH = 1500
"""On a chip with more sites the tiles stay in the order of the layers along a snake, and nothing is proved."""

ENTRIES_A_SECOND = 1.5e8
"""Entries of the matrices of exchanges that a core looks at in about a second; one iteration costs 20,000 more."""

BANDS = (1, 2, 3, 4, 5, 6, 8)
"""Heights of the bands that the snakes run through: wide layers want tall ones."""

MOST_ITERATIONS = 20_000
MOST_FOR_A_PAIR = 20
"""Iterations for each pair of sites: few sites need few."""


@dataclass(frozen=True)
class PlaceCores:
    """Give every tile a site: on each chip, the least sum of words times links travelled that is found.

    A few tiles on a chip have the best sites of all. For more a tabu search starts from their order in the layers,
    laid along the best of some snakes, and CP-SAT then betters what it found, the tiles of a few sites at a time.
    Words to and from other chips count nothing. No tile stands where the fault map leaves fewer lines than it reaches.
    """

    effort: Effort = "normal"
    seed: int = 0

    def run(self, partition: Partition) -> Placement:
        """Place all chips, side by side."""
        tiling = partition.ranged.tiling
        chip_of = np.array(partition.chip_of, np.int64)
        order = np.argsort(converter_units(tiling), kind="stable")
        members = [order[chip_of[order] == chip] for chip in range(partition.chips)]
        grid = grid_for(tiling, members)
        sites = chip_sites(tiling.target.mesh, grid)
        flows = tile_flows(tiling)
        inner = [flows.among(tiles).symmetric(len(tiles)) / 2 for tiles in members]
        answers = place_chips(inner, sites, budget(self.effort), self.seed, allowed_sites(tiling, sites, members))
        site_of: list[Site] = [Site(0, 0, 0)] * len(chip_of)
        for chip, (tiles, answer) in enumerate(zip(members, answers, strict=True)):
            for tile, site in zip(tiles.tolist(), answer.site_of.tolist(), strict=True):
                site_of[tile] = Site(chip, *(int(c) for c in sites[site]))
        return Placement(partition, grid, tuple(site_of), (_facts(answers),))


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
        advice = KNOBS if room.live(0) < count else smaller_tiles(room, 1)
        raise FitError(f"{no_site(room, room.left(0, members[0]))}: {survivors(room, tiling, 1)} To fit, {advice}")
    return mesh.grid(counts[least])


def allowed_sites(tiling: Tiling, sites: Indices, members: list[Indices]) -> list[Mask | None]:
    """Which tiles of a chip may stand where, one mask [tiles, sites] a chip; None where every site will do."""
    if not tiling.faults.barred and not tiling.demands.any:
        return [None] * len(members)
    room = Room.of(tiling, sites)
    return [room.allowed(chip, tiles) for chip, tiles in enumerate(members)]


def place_chips(
    flows: list[Floats], sites: Indices, limit: Budget, seed: int, allowed: list[Mask | None] | None = None
) -> list[Assignment]:
    """Assign the tiles of every chip to sites: a few for good, more by a search.

    Args:
        flows: one matrix [tiles, tiles] a chip.
        allowed: which tiles may stand where, one mask [tiles, sites] a chip; None where every site will do.
    """
    masks = allowed or [None] * len(flows)
    done = [_without_search(flow, sites, mask) for flow, mask in zip(flows, masks, strict=True)]
    open_chips = [chip for chip, answer in enumerate(done) if answer is None]
    found = iter(_search([flows[c] for c in open_chips], sites, limit, seed, [masks[c] for c in open_chips]))
    return [next(found) if answer is None else answer for answer in done]


def _without_search(flow: Floats, sites: Indices, allowed: Mask | None) -> Assignment | None:
    """The best placement where every tile has one site to go to, or where there are few tiles; None elsewhere."""
    if allowed is not None and (allowed.sum(axis=1) == 1).all():
        site_of = allowed.argmax(axis=1)
        at = sites[site_of].astype(np.float64)
        cost = float((flow * np.abs(at[:, None] - at[None]).sum(axis=2)).sum())
        return Assignment(site_of, cost, cost)
    return place_few(flow, sites, allowed) if 0 < len(flow) <= FEW else None


def _search(
    flows: list[Floats], sites: Indices, limit: Budget, seed: int, allowed: list[Mask | None]
) -> list[Assignment]:
    """What a tabu search from a snake, and then CP-SAT on windows, find within the limit."""
    if not flows:
        return []
    begun = monotonic()
    distance = np.abs(sites[:, None, :] - sites[None, :, :]).sum(axis=2).astype(np.float64)
    begin = [_best_snake(flow, distance, sites, mask) for flow, mask in zip(flows, allowed, strict=True)]
    if len(sites) > LARGEST_SEARCH:
        return [Assignment(p, cost_of(flow, distance, p), 0.0) for flow, p in zip(flows, begin, strict=True)]
    starts = 4 if len(flows) == 1 and len(sites) <= 100 else 1
    entries = len(flows) * starts * len(sites) ** 2 + 20_000
    most = min(MOST_ITERATIONS, MOST_FOR_A_PAIR * len(sites) ** 2)
    iterations = int(min(max(limit.seconds * ENTRIES_A_SECOND / entries, 10), most))
    found = solve_qaps(flows, distance, begin, iterations, seed, starts, allowed)
    left = replace(limit, seconds=max(0.0, limit.seconds - (monotonic() - begun))) if limit.wall else limit
    return improve(flows, sites, found, left, seed, allowed)


def snake(sites: Indices, band: int = 1) -> Indices:
    """The order of the sites along a line that runs to and fro through bands of rows, and up and down in each."""
    x, y = sites[:, 0], sites[:, 1]
    strip = y // band
    along = np.where(strip % 2 == 0, x, -x)
    across = np.where(x % 2 == 0, y, -y)
    return np.lexsort((across, along, strip))


def _best_snake(flow: Floats, distance: Floats, sites: Indices, allowed: Mask | None = None) -> Indices:
    """The tiles in their order along the snake that costs least."""
    tries = [_along(snake(sites, band), len(flow), allowed) for band in BANDS]
    return min(tries, key=lambda site_of: cost_of(flow, distance, site_of))


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

"""`PlaceCores`: which site of its chip's grid every logical tile has, so that words travel few links."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from mho.passes.levels.plan import Partition, Placement
from mho.passes.levels.tiling import Tiling
from mho.passes.place.assignment import Assignment, Qap
from mho.passes.place.by_region import place_in_regions
from mho.passes.place.search import LARGEST_SEARCH, place_chips
from mho.passes.reload.pages import sites_in_order
from mho.passes.sites.room import Room, chip_sites
from mho.passes.sites.shortage import no_site, smaller_tiles, survivors
from mho.passes.sites.units import converter_units
from mho.passes.solver import Effort, budget
from mho.passes.workload.tile_flows import TileFlows
from mho.passes.workload.traffic import tile_flows
from mho.targets.arrays import Floats, Indices, Mask
from mho.targets.errors import FitError
from mho.targets.isa import Site
from mho.targets.mapping import SolverFacts

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


def _facts(answers: list[Assignment]) -> SolverFacts:
    cost, bound = sum(a.cost for a in answers), sum(a.bound for a in answers)
    return SolverFacts.of("place", cost, bound)

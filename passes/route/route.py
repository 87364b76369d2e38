"""`RouteWords`: the links that every word takes, and what each link carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.passes.levels.plan import Placement, Routing
from mho.passes.route.balance import balanced
from mho.passes.solver import Effort, budget
from mho.passes.workload.deliveries import moved_words, tile_deliveries
from mho.passes.workload.traffic import Traffic
from mho.targets.arrays import Indices
from mho.targets.mapping import RouteMode, SolverFacts
from mho.targets.routes import Deliveries, Floor, Routes


@dataclass(frozen=True)
class RouteWords:
    """Dimension-ordered ways for all vectors: along the row first (xy), along the column first (yx), or balanced.

    Balanced, each delivery takes that of the two with which the link that carries most carries least. Where the
    machine has two virtual channels a link, each may choose; in one channel all go the same way but for those that
    nowhere go against a direction, which cannot deadlock with the others (`mho.targets.deadlock`). What several tiles
    take alike is carried once over a link where the machine's mesh multicasts; where that is unknown it is carried once
    for each of them.
    """

    mode: RouteMode = "xy"
    effort: Effort = "normal"
    seed: int = 0

    def run(self, placement: Placement) -> Routing:
        """Choose the ways and add up what every link carries; links that carry nothing are left out."""
        traffic = Traffic(placement.partition.ranged.tiling)
        mesh = traffic.tiling.target.mesh
        multicast = mesh.multicast is True
        takers = tile_deliveries(traffic, multicast)
        floor = Floor.of(placement.site_of, placement.grid)
        channels = min(mesh.virtual_channels or 1, 2)
        ways, solvers = self._ways(floor, takers.deliveries, channels)
        mixed = bool(ways.column_first.any()) and not bool(ways.column_first.all())
        routes = Routes.of(floor, ways)
        return Routing(
            placement=placement,
            mode=self.mode,
            virtual_channels=channels if mixed else 1,
            multicast=multicast,
            deliveries=ways,
            links=routes.traffic(),
            moved=moved_words(takers, routes, traffic.layers),
            solvers=solvers,
        )

    def _ways(self, floor: Floor, deliveries: Deliveries, channels: int) -> tuple[Deliveries, tuple[SolverFacts, ...]]:
        if self.mode == "balanced":
            return balanced(floor, deliveries, channels, budget(self.effort), self.seed)
        return deliveries.by(np.full(len(deliveries.source), self.mode == "yx")), ()


def distances(place: Indices, grid: tuple[int, int], source: Indices, target: Indices) -> Indices:
    """Links inside chips on the way from tile to tile, for arrays of tiles; a link between chips is not counted.

    Args:
        place: chip, column and row of every tile: [tiles, 3].
    """
    (chip, x, y), (to_chip, to_x, to_y) = place[source].T, place[target].T
    last = grid[0] - 1
    through = np.where(to_chip > chip, last - x + to_x, x + last - to_x)
    hops: Indices = np.where(chip == to_chip, np.abs(x - to_x), through) + np.abs(y - to_y)
    return hops

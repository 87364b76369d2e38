"""`RouteWords`: the links that every word takes, and what each link carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.passes.levels.plan import Placement, Routing
from mho.passes.place.traffic import Floats, Indices, TileFlows, tile_flows
from mho.targets.isa import Site
from mho.targets.program import LinkTraffic


@dataclass(frozen=True)
class RouteWords:
    """Dimension-ordered routes: along the row first, then along the column.

    Words to another chip leave at the end of their row, eastwards to a chip of a higher number and westwards to a
    lower one, and enter at the facing end of the same row; there is one link a row between two chips.
    """

    def run(self, placement: Placement) -> Routing:
        """Add up what every link carries; links that carry nothing are left out."""
        flows = tile_flows(placement.partition.ranged.tiling)
        return Routing(placement, link_traffic(flows, placement.site_of, placement.grid))


@dataclass(frozen=True)
class Legs:
    """Straight runs in the grid: each from (x, y) of a chip to (to_x, y) or (x, to_y)."""

    chip: Indices
    line: Indices
    start: Indices
    stop: Indices
    words: Floats


def link_traffic(flows: TileFlows, site_of: tuple[Site, ...], grid: tuple[int, int]) -> tuple[LinkTraffic, ...]:
    """Words over every directed link, ordered by source and target."""
    width, height = grid
    place = as_array(site_of)
    (chip, x, y), (to_chip, to_x, to_y) = place[flows.source].T, place[flows.target].T
    away, east = chip != to_chip, to_chip > chip
    leave = np.where(east, width - 1, 0)
    enter = width - 1 - leave
    rows = [
        Legs(chip, y, x, np.where(away, leave, to_x), flows.words),
        Legs(to_chip[away], y[away], enter[away], to_x[away], flows.words[away]),
    ]
    column = [Legs(to_chip, to_x, y, to_y, flows.words)]
    chips = int(place[:, 0].max(initial=0)) + 1
    links = [
        LinkTraffic(source=Site(c, a, line), target=Site(c, b, line), words=w)
        for c, line, a, b, w in _carried(rows, chips, height, width)
    ]
    links += [
        LinkTraffic(source=Site(c, line, a), target=Site(c, line, b), words=w)
        for c, line, a, b, w in _carried(column, chips, width, height)
    ]
    crossing: dict[tuple[Site, Site], float] = {}
    for i in np.flatnonzero(away).tolist():
        ends = Site(int(chip[i]), int(leave[i]), int(y[i])), Site(int(to_chip[i]), int(enter[i]), int(y[i]))
        crossing[ends] = crossing.get(ends, 0.0) + float(flows.words[i])
    links += [LinkTraffic(source=a, target=b, words=w) for (a, b), w in crossing.items()]
    return tuple(sorted(links, key=lambda link: (link.source, link.target)))


def as_array(site_of: tuple[Site, ...]) -> Indices:
    """Chip, column and row of every tile: [tiles, 3]."""
    return np.array([(s.chip, s.x, s.y) for s in site_of], np.int64).reshape(-1, 3)


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


def _carried(legs: list[Legs], chips: int, lines: int, length: int) -> list[tuple[int, int, int, int, float]]:
    """(chip, line, from, to, words) of each link that carries words, by sums of differences along the lines."""
    found = []
    for forward in (True, False):
        change = np.zeros((chips, lines, length + 1))
        for leg in legs:
            taken = leg.start < leg.stop if forward else leg.start > leg.stop
            low, high = np.minimum(leg.start, leg.stop), np.maximum(leg.start, leg.stop)
            np.add.at(change, (leg.chip[taken], leg.line[taken], low[taken]), leg.words[taken])
            np.add.at(change, (leg.chip[taken], leg.line[taken], high[taken]), -leg.words[taken])
        words = np.cumsum(change, axis=2)
        used = words > 1e-9 * float(np.abs(change).sum())
        for c, line, at in np.argwhere(used).tolist():
            ends = (at, at + 1) if forward else (at + 1, at)
            found.append((c, line, *ends, float(words[c, line, at])))
    return found

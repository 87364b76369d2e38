"""Routes over the mesh as arrays: the links that vectors take from core to core, and what every link carries.

A way is dimension-ordered. *Row first* it goes along the row of its source to the column of its target, then along that
column; *column first* the other way round. To another chip it leaves at the end of the row that it is on, eastwards to
a chip of a higher number and westwards to a lower one, and enters at the facing end of the same row: there is one
link a row and direction between two chips. The ways of one delivery to several cores are a tree: what they share is
one run of links, which carries every word once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mho.targets.arrays import Floats, Indices, Mask
from mho.targets.isa import Site
from mho.targets.mapping import LinkTraffic
from mho.targets.program import Array

EAST, WEST, SOUTH, NORTH = range(4)
"""Directions of links: to the next column, the one before, the next row, the one before."""

FORMATS = {"source": np.int32, "count": np.int32, "target": np.int32, "words": np.float64, "column_first": np.bool_}
"""The tensors `route/NAME` of a program with their number formats: the fields of `Deliveries`."""


@dataclass(frozen=True)
class Deliveries:
    """Vectors that a core sends to one or several others in one inference of one sample.

    Attributes:
        source: [deliveries] core that sends.
        count: [deliveries] cores that receive; their numbers are the next so many entries of `target`.
        target: [entries] core that receives; all different in one delivery, and none the source.
        words: [deliveries] words that each of its cores receives.
        column_first: [deliveries] which way they take.
    """

    source: Indices
    count: Indices
    target: Indices
    words: Floats
    column_first: Mask

    @staticmethod
    def none() -> Deliveries:
        empty = np.zeros(0, np.int64)
        return Deliveries(empty, empty, empty, np.zeros(0), np.zeros(0, np.bool_))

    @cached_property
    def of(self) -> Indices:
        """Entry → its delivery."""
        return np.repeat(np.arange(len(self.source)), self.count)

    def by(self, column_first: Mask) -> Deliveries:
        """The same on other ways."""
        return Deliveries(self.source, self.count, self.target, self.words, column_first)

    def some(self, chosen: Mask) -> Deliveries:
        """Those that are chosen."""
        target = self.target[chosen[self.of]]
        return Deliveries(
            self.source[chosen], self.count[chosen], target, self.words[chosen], self.column_first[chosen]
        )

    def renumbered(self, number: Indices) -> Deliveries:
        """The same with other numbers for the cores: `number[old]`."""
        return Deliveries(number[self.source], self.count, number[self.target], self.words, self.column_first)

    def tensors(self) -> dict[str, Array]:
        """As a program holds them."""
        return {f"route/{name}": getattr(self, name).astype(kind) for name, kind in FORMATS.items()}

    @staticmethod
    def stored(tensors: Mapping[str, Array]) -> Deliveries:
        """What a sound program holds."""
        arrays = {name: tensors[f"route/{name}"] for name in FORMATS}
        indices = {name: arrays[name].astype(np.int64) for name in ("source", "count", "target")}
        return Deliveries(**indices, words=arrays["words"], column_first=arrays["column_first"])


@dataclass(frozen=True)
class Floor:
    """Where cores stand.

    Attributes:
        place: chip, column and row of every core: [cores, 3].
        grid: width and height of a chip.
    """

    place: Indices
    grid: tuple[int, int]

    @staticmethod
    def of(sites: tuple[Site, ...], grid: tuple[int, int]) -> Floor:
        return Floor(as_array(sites), grid)

    @cached_property
    def chips(self) -> int:
        return int(self.place[:, 0].max(initial=0)) + 1

    @property
    def sites(self) -> int:
        return self.chips * self.grid[0] * self.grid[1]

    @property
    def links(self) -> int:
        """Numbers of links inside chips: direction · sites + site where it begins; those between chips come after."""
        return 4 * self.sites

    @property
    def steps(self) -> Indices:
        """Direction → what it adds to the number of a site."""
        return np.array([1, -1, self.grid[0], -self.grid[0]])

    def number(self, chip: Indices, x: Indices, y: Indices) -> Indices:
        """The number of a site: chip by chip, row by row."""
        return (chip * self.grid[1] + y) * self.grid[0] + x

    def site(self, number: int) -> Site:
        row, x = divmod(number, self.grid[0])
        return Site(row // self.grid[1], x, row % self.grid[1])

    def along(self, values: Array, direction: int) -> Array:
        """Sums of a value of every site, those of the sites before it in a direction and its own."""
        axis = 2 if direction in (EAST, WEST) else 1
        back = direction in (WEST, NORTH)
        shaped = values.reshape(self.chips, self.grid[1], self.grid[0])
        summed = np.cumsum(np.flip(shaped, axis) if back else shaped, axis)
        return (np.flip(summed, axis) if back else summed).reshape(-1)


class Runs(NamedTuple):
    """Links that follow each other in one direction, each once a delivery; and the links between chips, by delivery.

    Attributes:
        start, stop: numbers of sites; there is a link at least between them.
        cross_key: site where a link between chips begins · chips + chip where it ends.
    """

    delivery: Indices
    direction: Indices
    start: Indices
    stop: Indices
    cross_delivery: Indices
    cross_key: Indices


@dataclass(frozen=True)
class Routes:
    """Deliveries on their ways.

    Attributes:
        crossings: the links between chips by `Runs.cross_key`, in order; their own where not given.
    """

    floor: Floor
    deliveries: Deliveries
    crossings: Indices = field(default_factory=lambda: np.zeros(0, np.int64))

    @staticmethod
    def of(floor: Floor, deliveries: Deliveries) -> Routes:
        bare = Routes(floor, deliveries)
        return Routes(floor, deliveries, np.unique(bare.runs.cross_key))

    @cached_property
    def corners(self) -> Indices:
        """The sites where the ways may turn: [6, entries].

        Source, behind a run along its column, behind one along a row, on the other chip, behind a run along the row
        there, target. Where there is no such run, two that follow each other are one.
        """
        floor, deliveries = self.floor, self.deliveries
        chip, x, y = floor.place[deliveries.source[deliveries.of]].T
        to_chip, to_x, to_y = floor.place[deliveries.target].T
        away, last = chip != to_chip, floor.grid[0] - 1
        row = np.where(deliveries.column_first[deliveries.of], to_y, y)
        leave = np.where(away, np.where(to_chip > chip, last, 0), to_x)
        enter = np.where(away, last - leave, to_x)
        turns = ((chip, x, y), (chip, x, row), (chip, leave, row))
        entered = ((to_chip, enter, row), (to_chip, to_x, row), (to_chip, to_x, to_y))
        return np.stack([floor.number(*turn) for turn in (*turns, *entered)])

    @cached_property
    def runs(self) -> Runs:
        """The trees: of the runs of one delivery that begin alike, the longest holds the others."""
        found = [self.leg(stage) for stage in (0, 1, 3, 4)]
        entry, direction, start, stop = (np.concatenate(parts) for parts in zip(*found, strict=True))
        delivery = self.deliveries.of[entry]
        if (self.deliveries.count > 1).any():
            key = (delivery * 4 + direction) * self.floor.sites + start
            order = np.lexsort((np.abs(stop - start), key))
            last = order[np.append(key[order][1:] != key[order][:-1], np.ones(min(len(order), 1), np.bool_))]
        else:
            last = np.argsort(delivery, kind="stable")
        delivery, direction, start, stop = delivery[last], direction[last], start[last], stop[last]
        entries, _, keys = self.crossed
        span = self.floor.sites * self.floor.chips
        pairs = np.unique(self.deliveries.of[entries] * span + keys)
        return Runs(delivery, direction, start, stop, pairs // span, pairs % span)

    def leg(self, stage: int) -> tuple[Indices, Indices, Indices, Indices]:
        """Entry, direction, start and stop of the runs behind a corner, where there are any."""
        start, stop = self.corners[stage], self.corners[stage + 1]
        entries = np.flatnonzero(start != stop)
        start, stop = start[entries], stop[entries]
        forward, back = (EAST, WEST) if stage in (1, 3) else (SOUTH, NORTH)
        return entries, np.where(stop > start, forward, back), start, stop

    @cached_property
    def crossed(self) -> tuple[Indices, Indices, Indices]:
        """The entries that change the chip, the sites where they leave, and the keys of their links."""
        start, stop = self.corners[2], self.corners[3]
        area = self.floor.grid[0] * self.floor.grid[1]
        entries = np.flatnonzero(start // area != stop // area)
        return entries, start[entries], start[entries] * self.floor.chips + stop[entries] // area

    def crossing(self, keys: Indices) -> Indices:
        """The numbers of links between chips."""
        return self.floor.links + np.searchsorted(self.crossings, keys)

    def loads(self, weight: Floats) -> Floats:
        """What every link carries where each delivery carries its `weight`: [links]."""
        runs, floor = self.runs, self.floor
        found = []
        for direction in range(4):
            mine = runs.direction == direction
            share = weight[runs.delivery[mine]]
            begun = np.bincount(runs.start[mine], share, floor.sites)
            found.append(floor.along(begun - np.bincount(runs.stop[mine], share, floor.sites), direction))
        between = self.crossing(runs.cross_key) - floor.links
        found.append(np.bincount(between, weight[runs.cross_delivery], len(self.crossings)))
        return np.concatenate(found).astype(np.float64)

    def sums(self, value: Floats) -> Floats:
        """The sum of a value of every link over the links of each delivery: [deliveries]."""
        runs, floor = self.runs, self.floor
        before = np.zeros((4, floor.sites))
        for direction in range(4):
            own = value[direction * floor.sites : (direction + 1) * floor.sites]
            before[direction] = floor.along(own, direction) - own
        passed = before[runs.direction, runs.stop] - before[runs.direction, runs.start]
        total = np.bincount(runs.delivery, passed, len(self.deliveries.source))
        crossed = value[self.crossing(runs.cross_key)]
        return (total + np.bincount(runs.cross_delivery, crossed, len(total))).astype(np.float64)

    @cached_property
    def used(self) -> Mask:
        """Which links carry anything: [links]."""
        used: Mask = self.loads((self.deliveries.words > 0).astype(np.float64)) > 0.5
        return used

    @cached_property
    def words(self) -> Floats:
        """Words over every link: [links]; exactly 0 where nothing goes."""
        return np.where(self.used, self.loads(self.deliveries.words), 0.0)

    def way(self, entry: int) -> tuple[Site, ...]:
        """The sites on the way of one entry, both ends included."""
        begin, *corners = self.corners[:, entry].tolist()
        width, numbers = self.floor.grid[0], [begin]
        for stop, step in zip(corners, (width, 1, 0, 1, width), strict=True):
            if step == 0 and stop != numbers[-1]:
                numbers.append(stop)
            elif step:
                ahead = step if stop >= numbers[-1] else -step
                numbers += range(numbers[-1] + ahead, stop + ahead, ahead)
        return tuple(self.floor.site(number) for number in numbers)

    def traffic(self) -> tuple[LinkTraffic, ...]:
        """Words over every link that carries some, by source and target."""
        links = np.flatnonzero(self.used)
        ends = self._ends(links)
        order = np.lexsort(np.concatenate([self._columns(end) for end in reversed(ends)]))
        sites = {number: self.floor.site(number) for number in np.unique(np.concatenate(ends)).tolist()}
        lines = zip(*(part[order].tolist() for part in (*ends, self.words[links])), strict=True)
        return tuple(LinkTraffic(source=sites[a], target=sites[b], words=words) for a, b, words in lines)

    def ends(self, link: int) -> tuple[Site, Site]:
        """The sites that a link joins."""
        start, stop = self._ends(np.array([link]))
        return self.floor.site(int(start[0])), self.floor.site(int(stop[0]))

    def _ends(self, links: Indices) -> tuple[Indices, Indices]:
        """The numbers of the sites that links join."""
        floor = self.floor
        direction, start = np.divmod(links, floor.sites)
        inside = links < floor.links
        stop = start + floor.steps[np.where(inside, direction, 0)]
        begin, chip = np.divmod(self.crossings[links[~inside] - floor.links], floor.chips)
        row, x = np.divmod(begin, floor.grid[0])
        start[~inside] = begin
        stop[~inside] = floor.number(chip, floor.grid[0] - 1 - x, row % floor.grid[1])
        return start, stop

    def _columns(self, numbers: Indices) -> Indices:
        """Row, column and chip of sites, the last to sort by first: [3, sites]."""
        row, x = np.divmod(numbers, self.floor.grid[0])
        chip, y = np.divmod(row, self.floor.grid[1])
        return np.stack([y, x, chip])


def as_array(sites: tuple[Site, ...]) -> Indices:
    """Chip, column and row of every core: [cores, 3]."""
    return np.array([(s.chip, s.x, s.y) for s in sites], np.int64).reshape(-1, 3)

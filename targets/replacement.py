"""Replacement: which tile a page is written to where more pages than tiles take turns.

A page is what one tile holds at a time. The pages fire in a static order that repeats, so the next use of every page is
known, and the page that is written over is the one whose next use is the furthest: no other choice needs fewer writes
(Belady, IBM Systems Journal 5(2), 1966). Because the order goes on, that holds for every number of inferences at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import NamedTuple

MOST_VISITS = 500_000
"""Visits of pages that a replay follows one by one, in a second; what comes later is counted by arithmetic."""

NEVER = 2**62
"""Later than any visit."""


@dataclass(frozen=True)
class FiringOrder:
    """The order in which layers, and in each layer its pages, fire.

    Attributes:
        pages: layer → its pages, in the order in which they fire.
        order: the layers of one inference; one that fires several times stands there as often.
        alternate: every other firing of a layer takes its pages backwards, as partial sums and columns commute.
        batch: the order is gone through for a batch at a time, and what comes after the batch counts nothing.
    """

    pages: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    alternate: bool = False
    batch: bool = False

    @cached_property
    def turns(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(layer, its pages in order) of every firing of one period."""
        times: Counter[int] = Counter()
        found = []
        for layer in self.order * self.period:
            backwards = self.alternate and times[layer] % 2 == 1
            found.append((layer, self.pages[layer][::-1] if backwards else self.pages[layer]))
            times[layer] += 1
        return tuple(found)

    @cached_property
    def period(self) -> int:
        """Inferences after which the order repeats: 1 or 2."""
        return 2 if self.alternate and any(n % 2 for n in Counter(self.order).values()) else 1

    @cached_property
    def visits(self) -> tuple[int, ...]:
        """The pages of one period, one behind the other."""
        return tuple(page for _, pages in self.turns for page in pages)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Turn → the place of its first page in `visits`."""
        found, place = [], 0
        for _, pages in self.turns:
            found.append(place)
            place += len(pages)
        return tuple(found)

    @cached_property
    def ahead(self) -> tuple[int, ...]:
        """Place in `visits` → places until the same page comes again."""
        visits, count = self.visits, len(self.visits)
        found, last = [0] * count, dict[int, int]()
        for place in range(2 * count - 1, -1, -1):
            page = visits[place % count]
            if place < count:
                found[place] = last[page] - place
            last[page] = place
        return tuple(found)

    @cached_property
    def firsts(self) -> dict[int, int]:
        """Page → the place of its first visit."""
        return {page: place for place, page in reversed(list(enumerate(self.visits)))}

    @cached_property
    def turns_of(self) -> dict[int, list[int]]:
        """Layer → its turns in a period."""
        found: dict[int, list[int]] = {}
        for turn, (layer, _) in enumerate(self.turns):
            found.setdefault(layer, []).append(turn)
        return found


class Visit(NamedTuple):
    """A page in its tile, about to fire; `written` says whether it was programmed for that, and over which page."""

    page: int
    tile: int
    written: bool
    over: int | None = None


class Controller:
    """Brings the pages of a layer into tiles, one after another, as they are to fire.

    Attributes:
        tile_of: page → its tile, of those that are in one.
        writes: pages programmed so far.
    """

    def __init__(self, order: FiringOrder, tiles: int) -> None:
        self.tile_of: dict[int, int] = {}
        self.writes = 0
        self._order = order
        self._free = list(range(tiles - 1, -1, -1))
        self._next_use: dict[int, int] = {}
        self._furthest: list[tuple[int, int]] = []
        self._turn = 0
        self._round = 0

    def fire(self, layer: int) -> Iterator[Visit]:
        """The layer's pages, each in its tile when it is given.

        A layer that fires out of turn, as in a branch or a loop, takes its place in the order when that comes next.
        """
        turns = self._order.turns_of[layer]
        place = bisect_left(turns, self._turn)
        if place == len(turns):
            place = 0
            self._begin_round()
        turn = turns[place]
        self._turn = turn + 1
        start = self._order.starts[turn]
        for visit, page in enumerate(self._order.turns[turn][1], start):
            written, over = page not in self.tile_of, None
            if written:
                over = None if self._free else self._needed_last()
                self.tile_of[page] = self._free.pop() if over is None else self.tile_of.pop(over)
                self.writes += 1
            self._next_use[page] = self._next_after(visit)
            self._note(page)
            yield Visit(page, self.tile_of[page], written, over)

    def _begin_round(self) -> None:
        """From the beginning of the order again; in a new batch the pages that are there are needed once more."""
        self._round += 1
        if self._order.batch:
            begun = self._round * len(self._order.visits)
            self._next_use = {page: begun + self._order.firsts[page] for page in self.tile_of}
            self._furthest = sorted((-use, page) for page, use in self._next_use.items())

    def _next_after(self, visit: int) -> int:
        """When the page of a visit is needed again; of pages that a batch is done with, the oldest is written over."""
        ahead, visits = self._order.ahead[visit], len(self._order.visits)
        now = self._round * visits + visit
        return NEVER - now if self._order.batch and visit + ahead >= visits else now + ahead

    def _note(self, page: int) -> None:
        """Ranks a page by its next use; of what it was ranked by before, only so much is kept."""
        if len(self._furthest) > 4 * len(self.tile_of) + 64:
            self._furthest = [(-self._next_use[page], page) for page in self.tile_of]
            heapify(self._furthest)
        heappush(self._furthest, (-self._next_use[page], page))

    def _needed_last(self) -> int:
        """The page in a tile that is needed last."""
        while True:
            use, page = heappop(self._furthest)
            if page in self.tile_of and self._next_use[page] == -use:
                return page


@dataclass
class Replay:
    """What a number of inferences takes.

    Attributes:
        writes: pages programmed, the first filling counted.
        page_writes: page → how often it was programmed; tile_writes: tile → how often it was programmed over.
        layer_writes, layer_parts: layer → writes, and runs of its pages that are in tiles together.
        segments: the same runs, whatever layers the pages belong to.
        inferences: of which the counts by page, tile and layer are; `writes` is of all.
    """

    writes: int = 0
    page_writes: Counter[int] = field(default_factory=Counter)
    tile_writes: Counter[int] = field(default_factory=Counter)
    layer_writes: Counter[int] = field(default_factory=Counter)
    layer_parts: Counter[int] = field(default_factory=Counter)
    segments: int = 0
    inferences: int = 0

    def most_writes(self, inferences: int) -> int:
        """Writes of the tile that is written most, in so many inferences, at the rate of those that were followed."""
        return round(max(self.tile_writes.values(), default=0) * inferences / max(self.inferences, 1))

    def cells(self, sizes: Sequence[int]) -> int:
        """Cells that all writes program, at the rate of those that were followed.

        Args:
            sizes: page → its cells.
        """
        followed = sum(self.page_writes.values())
        held = sum(count * sizes[page] for page, count in self.page_writes.items())
        return held * self.writes // max(followed, 1)


def replay(order: FiringOrder, tiles: int, inferences: int) -> Replay:
    """Counts the writes of so many inferences one after another, on empty tiles at first.

    Up to `MOST_VISITS` visits are followed one by one. The later writes are exact where each page is visited once an
    inference in one direction, or where the pages in tiles were the same at the begin of two periods; else they go on
    at the mean rate of what was followed.
    """
    followed = _Followed(Controller(order, tiles))
    periods = min(-(-inferences // order.period), max(2, MOST_VISITS // max(len(order.visits), 1)))
    counts: list[int] = []
    states: dict[frozenset[int], int] = {}
    repeat: tuple[int, int] | None = None
    for number in range(min(inferences, periods * order.period)):
        if number % order.period == 0 and repeat is None and periods * order.period < inferences:
            first = states.setdefault(frozenset(followed.controller.tile_of), number)
            repeat = (first, number) if first < number else None
        for layer in order.order:
            followed.fire(layer)
        counts.append(followed.controller.writes)
    found = followed.found
    found.inferences = len(counts)
    found.writes = _all_writes(order, tiles, inferences, counts, repeat)
    return found


@dataclass
class _Followed:
    """Follows pages visit by visit.

    Attributes:
        part, segment: the pages that fired since one of them was written over, in this layer and at all.
    """

    controller: Controller
    found: Replay = field(default_factory=Replay)
    part: set[int] = field(default_factory=set)
    segment: set[int] = field(default_factory=set)

    def fire(self, layer: int) -> None:
        found = self.found
        self.part.clear()
        for visit in self.controller.fire(layer):
            if visit.written:
                found.page_writes[visit.page] += 1
                found.tile_writes[visit.tile] += 1
                found.layer_writes[layer] += 1
            found.layer_parts[layer] += self._begins(self.part, visit)
            found.segments += self._begins(self.segment, visit)

    def _begins(self, run: set[int], visit: Visit) -> bool:
        """Whether a run begins with this page; the page is added to it."""
        begins = not run or visit.over in run
        if begins:
            run.clear()
        run.add(visit.page)
        return begins


def belady_writes(visits: Sequence[int], tiles: int, inferences: int) -> int:
    """The fewest pages that must be programmed to visit these in order in each of so many inferences."""
    pages = {page: number for number, page in enumerate(dict.fromkeys(visits))}
    single = FiringOrder(tuple((n,) for n in pages.values()), tuple(pages[page] for page in visits))
    return replay(single, tiles, inferences).writes


def fewest_writes(order: FiringOrder, tiles: int, inferences: int) -> int:
    """No order of the pages inside layers, another one at each firing even, needs fewer writes.

    A run of firings visits all its pages, and no more than `tiles` of them are there when it begins. An inference is
    cut into the runs that this makes most of; before the first one the tiles are empty.
    """
    firings = [frozenset(order.pages[layer]) for layer in order.order]
    visits = max(sum(map(len, firings)), 1)
    longest = max(1, MOST_VISITS // visits)
    needed: list[tuple[int, int]] = [(0, 0)]  # writes of the firings so far, and pages of their first run
    for end in range(1, len(firings) + 1):
        seen: set[int] = set()
        best = needed[end - 1]
        for start in range(end - 1, max(-1, end - 1 - longest), -1):
            seen |= firings[start]
            writes = needed[start][0] + max(0, len(seen) - tiles)
            best = max(best, (writes, len(seen) if start == 0 else needed[start][1]))
        needed.append(best)
    every = len(frozenset().union(*firings))
    an_inference, first = max(needed[-1], (max(0, every - tiles), every))
    return inferences * an_inference + min(tiles, first)


def _all_writes(
    order: FiringOrder, tiles: int, inferences: int, counts: Sequence[int], repeat: tuple[int, int] | None
) -> int:
    """The writes of all inferences, from those of the first ones."""
    if inferences <= len(counts):
        return counts[-1] if counts else 0
    pages = len(order.visits)
    if order.period == 1 and len(set(order.visits)) == pages:
        return cyclic_writes(pages, tiles, inferences)
    if repeat is not None:
        first, again = repeat
        before = [0, *counts]
        rounds, rest = divmod(inferences - first, again - first)
        return before[first + rest] + rounds * (before[again] - before[first])
    half = len(counts) // 2
    return counts[-1] + round((counts[-1] - counts[half]) / (len(counts) - 1 - half) * (inferences - len(counts)))


def cyclic_writes(pages: int, tiles: int, inferences: int) -> int:
    """Belady's writes where each page is visited once an inference, always in one order.

    The page needed last is always the one that fired last, so that of any pages − 1 visits in a row, once the tiles are
    full, pages − tiles write.
    """
    if pages <= tiles:
        return pages
    rounds, rest = divmod(inferences * pages - tiles, pages - 1)
    return tiles + rounds * (pages - tiles) + min(rest, pages - tiles)

"""Replacement: which tile a page is written to where more pages than tiles take turns.

A page is what one tile holds at a time. The pages fire in a static order that repeats, so the next use of every page is
known, and the page that is written over is the one whose next use is the furthest: no other choice needs fewer writes
(Belady, IBM Systems Journal 5(2), 1966). Because the order goes on, that holds for every number of inferences at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import NamedTuple

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

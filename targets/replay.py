"""Replays: what a number of inferences writes where pages take turns, and the least that it can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mho.targets.replacement import Controller, FiringOrder, Visit

MOST_VISITS = 500_000
"""Visits of pages that a replay follows one by one, in a second; what comes later is counted by arithmetic."""


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

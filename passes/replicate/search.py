"""The search for copies: the shortest interval within a budget of packed tiles, and what each interval costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import ceil

from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Pack
from mho.passes.pack.turns import least_tiles, pack_within
from mho.passes.replicate.tile_budget import TileBudget, chips_needed
from mho.passes.tile.blocks import blocks_by_matrix, with_blocks
from mho.passes.workload.interval import Load, fastest, interval_of, loads_of, ports_floor
from mho.targets.target import Crossbar, Target

MOST_BLOCKS = 500_000
"""Blocks of a tiling; four times those of a network of eight thousand million weights."""

LENGTHENED = 1.1
"""Where blocks take turns, intervals longer than that of single copies are tried by these ratios."""

RETRIES = 2
"""Intervals that are tried with the full effort of the packing, where a quick one found and disproved nothing."""

ROUNDS = 8
"""How often leftover tiles are handed out; packing copies together leaves some over again."""


@dataclass(frozen=True)
class Trial:
    """A packed tiling with copies, the interval that it was made for, and the one that `interval_of` tells of it."""

    tiling: Tiling
    target: float
    interval: float

    @property
    def rank(self) -> tuple[float, int]:
        """What makes it better than another: first a shorter interval, then fewer tiles."""
        return self.interval, len(self.tiling.tiles)


@dataclass(frozen=True)
class Found:
    """The best trial; no other within the budget has an interval below `bound`."""

    trial: Trial
    bound: float


@dataclass(frozen=True)
class Verdict:
    """Whether an interval can be had: a trial that fits, or whether it is proven that none does."""

    trial: Trial | None = None
    impossible: bool = False


@dataclass(frozen=True)
class CopiesSearch:
    """Copies for every interval, packed.

    An interval T needs of each matrix the fewest copies that are done within T: fewer blocks cannot reach it, more take
    more room. So T is out of reach where these blocks need more tiles than there are, and then every shorter one is.
    Intervals are tried by bisection; each is had, disproved by the packing's lower bound, or left open.

    Attributes:
        single: one copy of each matrix.
        pack: how blocks share tiles in the end; intervals are tried with its fast effort first.
        tiles, chips: the most of both, as in `TileBudget.of`.
        machine: on which tiles stand, where that has more rows and columns than blocks are cut for.
    """

    single: Tiling
    pack: Pack
    tiles: int | None = None
    chips: int | None = None
    machine: Target | None = None
    _verdicts: dict[int, Verdict] = field(default_factory=dict, compare=False)

    @cached_property
    def budget(self) -> TileBudget:
        """What copies may use.

        Raises:
            OptionError: no number of tiles follows from what was given.
        """
        unbounded = self.tiles is not None and self.chips is None
        single = self.single if unbounded else self.quick.run(self.single)
        return TileBudget.of(self._standing(single), self.tiles, self.chips)

    def _standing(self, tiling: Tiling) -> Tiling:
        """The tiling on the machine, whose spare rows and columns go around faults."""
        return replace(tiling, target=self.machine or tiling.target, cut_for=tiling.target.crossbar)

    @property
    def quick(self) -> Pack:
        """The packing with little effort."""
        return replace(self.pack, effort="fast")

    @cached_property
    def loads(self) -> Mapping[str, Load]:
        return loads_of(self.single)

    @cached_property
    def intervals(self) -> tuple[float, ...]:
        """Every interval that some number of copies gives, the shortest first.

        The last is that of single copies; where blocks of a tile may take turns, longer ones follow by even ratios up
        to that of single copies in the fewest tiles.
        """
        floor = max(fastest(self.loads), ports_floor(self.single, self.budget.most_chips(self.single)))
        longest = max((floor, *(load.choices[0].busy for load in self.loads.values())))
        busy = (choice.busy for load in self.loads.values() for choice in load.choices)
        found = sorted({floor, longest, *(t for t in busy if floor < t < longest)})
        if self.takes_turns:
            dense = interval_of(self._dense)
            while found[-1] < dense:
                found.append(min(found[-1] * LENGTHENED, dense))
        return tuple(found)

    @property
    def takes_turns(self) -> bool:
        """Whether blocks of a tile may fire one after the other."""
        return self.pack.rule(self.single.target) == "sequential"

    @cached_property
    def _dense(self) -> Tiling:
        """Single copies in as few tiles as a quick packing finds, however long the interval."""
        return self.quick.run(self.single)

    @cached_property
    def best(self) -> Found | None:
        """The shortest interval within the budget, in as few tiles as were found; None where one copy does not fit."""
        last = len(self.intervals) - 1
        if self.verdict(last).trial is None:
            return None
        short, had = -1, last
        while had - short > 1:
            middle = (short + had) // 2
            short, had = (short, middle) if self.verdict(middle).trial else (middle, had)
        self._retry(short)
        trial = self._settled()
        if trial is None:
            return None
        return Found(trial, min(trial.interval, self.intervals[self._disproved(short) + 1]))

    def verdict(self, at: int) -> Verdict:
        """Whether an interval can be had with a quick packing, by its place in `intervals`."""
        if at not in self._verdicts:
            found = self._judged(self.intervals[at], self.quick)
            impossible = found.impossible or (found.trial is None and self.takes_turns and self._too_busy(at))
            self._verdicts[at] = replace(found, impossible=impossible)
        return self._verdicts[at]

    def _too_busy(self, at: int) -> bool:
        """Whether tiles whose blocks take turns cannot be done before the next longer interval."""
        copies = self.copies(self.intervals[at])
        total = {name: load.least_total(copies[name]) for name, load in self.loads.items()}
        until = self.intervals[min(at + 1, len(self.intervals) - 1)]
        return least_tiles(self.single, until, total) > self.budget.tiles

    @property
    def reached(self) -> range:
        """The places of the intervals from the shortest that fitted when it was tried."""
        return range(min(at for at, v in self._verdicts.items() if v.trial), len(self.intervals))

    def copies(self, interval: float) -> dict[str, int]:
        """The fewest copies of each matrix that are done within an interval."""
        return {name: load.within(interval).copies for name, load in self.loads.items()}

    def balanced(self, trial: Trial) -> Trial:
        """The trial with what the budget leaves given to the slowest matrices, as far as that makes them faster.

        A copy counts a tile a block while tiles are handed out; what packing saves is handed out again.
        """
        for _ in range(ROUNDS):
            left = self.budget.tiles - len(trial.tiling.tiles)
            copies = self._handed_out(dict(trial.tiling.replicas), left)
            after = self._judged(trial.interval, self.pack, copies).trial if copies != trial.tiling.replicas else None
            if after is None or after.interval > trial.interval:
                return trial
            trial = after
        return trial

    def _handed_out(self, copies: dict[str, int], left: int) -> dict[str, int]:
        slowest = [(-load.busy(copies[name]), place, name) for place, (name, load) in enumerate(self.loads.items())]
        heapify(slowest)
        while slowest:
            busy, place, name = heappop(slowest)
            load = self.loads[name]
            faster = next((choice for choice in load.choices if choice.busy < -busy), None)
            if faster is not None and (faster.copies - copies[name]) * load.blocks <= left:
                left -= (faster.copies - copies[name]) * load.blocks
                copies[name] = faster.copies
                heappush(slowest, (-faster.busy, place, name))
        return copies

    def _retry(self, short: int) -> None:
        """Judges the longest intervals that a quick packing did not reach with the packing's full effort."""
        if self.pack.effort != "fast":
            for at in range(short, max(short - RETRIES, self._disproved(short)), -1):
                self._verdicts[at] = self._judged(self.intervals[at], self.pack)
                if self._verdicts[at].trial is None:
                    return

    def _settled(self) -> Trial | None:
        """The best trial as the packing makes it in the end, without copies that its interval has no use for.

        Ports make an interval longer than the one that the copies were counted for.
        """
        for trial in sorted((v.trial for v in self._verdicts.values() if v.trial), key=lambda t: t.rank):
            tries = dict.fromkeys((trial.target, trial.interval))
            found = [t for interval in tries if (t := self._judged(interval, self.pack).trial) is not None]
            if found:
                return min(found, key=lambda t: t.rank)
        return None

    def _disproved(self, short: int) -> int:
        """The place of the longest interval, up to one that was not had, that is proven out of reach; −1 for none."""
        low, high = -1, short + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.verdict(middle).impossible else (low, middle)
        return low

    def _judged(self, interval: float, pack: Pack, copies: Mapping[str, int] | None = None) -> Verdict:
        """Whether an interval can be had, with the fewest copies that it needs or with others."""
        copies = copies or self.copies(interval)
        if self._volume(copies) > self.budget.tiles:
            return Verdict(impossible=True)
        if sum(copies[name] * load.blocks for name, load in self.loads.items()) > MOST_BLOCKS:
            return Verdict()
        packed = self._packed(copied(self.single, copies), interval, pack)
        if packed.tiles_lower_bound > self.budget.tiles:
            return Verdict(impossible=True)
        if not self.budget.holds(self._standing(packed)):
            return Verdict()
        return Verdict(Trial(packed, interval, interval_of(packed, chips_needed(self._standing(packed)) or 1)))

    def _packed(self, tiling: Tiling, interval: float, pack: Pack) -> Tiling:
        """The tiling packed so that its blocks are done within the interval, if they are alone."""
        if not self.takes_turns or interval >= self.intervals[-1]:
            return pack.run(tiling)
        free = {name: load for name, load in self.loads.items() if load.step is None}
        return pack_within(tiling, interval, {n: load.busy(tiling.replicas[n]) for n, load in free.items()}, pack)

    def _volume(self, copies: Mapping[str, int]) -> int:
        """Tiles that so many copies fill with weights alone."""
        held: Counter[Crossbar] = Counter()
        for (crossbar, name), weights in self._weights.items():
            held[crossbar] += copies[name] * weights
        return sum(ceil(weights / (crossbar.rows * crossbar.columns)) for crossbar, weights in held.items())

    @cached_property
    def _weights(self) -> Mapping[tuple[Crossbar, str], int]:
        blocks = blocks_by_matrix(self.single.blocks)
        return {(self.single.crossbar_of(name), name): sum(b.weights for b in mine) for name, mine in blocks.items()}


def copied(tiling: Tiling, replicas: Mapping[str, int]) -> Tiling:
    """The tiling with that many copies of each matrix, every block in its own tile."""
    first = blocks_by_matrix(b for b in tiling.blocks if b.replica == 0)
    blocks = (
        replace(b, replica=replica)
        for name, copies in replicas.items()
        for replica in range(copies)
        for b in first[name]
    )
    return with_blocks(replace(tiling, replicas=dict(replicas)), blocks)


def thinned(places: range, most: int) -> list[int]:
    """At most so many of the places, evenly spread, both ends among them."""
    if len(places) <= most:
        return list(places)
    return [places[round(i * (len(places) - 1) / (most - 1))] for i in range(most)]

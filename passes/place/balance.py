"""Which deliveries go column first, so that the link that carries most words carries least.

With weights on the links that sum to 1, every choice loads some link with at least the sum over the deliveries of
words times the lighter of their two ways: the dual of the linear program that lets deliveries split. Rounds of
multiplicative weights (Plotkin, Shmoys and Tardos, Math. of OR 20, 1995) find good weights, whose best sum is the
bound, and a split, which is rounded. Then single deliveries change their way as long as that relieves a link that
carries most; CP-SAT betters what is left where the deliveries are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mho.passes.place.lightest import lightest
from mho.passes.place.traffic import Floats, Indices
from mho.passes.solver import Budget
from mho.targets.program import SolverFacts
from mho.targets.routes import Deliveries, Flags, Floor, Routes

ROUNDS = 400
LEAST_ROUNDS = 60
RUNS_A_SECOND = 4e6
"""Runs of links that a core looks at in about a second, in all rounds together."""

MOST_CHANGES = 2000
MOST_TRIED = 64
"""Deliveries over a link that carries most which are tried, those with most words first."""

SLACK = 1e-9
SHARPNESS = 60.0
"""The weight of a link is e to the power of this times its load over the largest."""


@dataclass(frozen=True)
class Choice:
    """Deliveries whose two ways differ and are both allowed, and what the others load the links with.

    Attributes:
        free: their numbers among all deliveries.
        row, column: the same deliveries on both ways, with common numbers for all links.
        fixed: [links] words of the others.
    """

    free: Indices
    row: Routes
    column: Routes
    fixed: Floats

    @cached_property
    def words(self) -> Floats:
        return self.row.deliveries.words

    def loads(self, part: Floats) -> Floats:
        """Words over every link where each delivery sends a part of them column first."""
        return self.fixed + self.row.loads(self.words * (1 - part)) + self.column.loads(self.words * part)


def balanced(
    floor: Floor, deliveries: Deliveries, channels: int, limit: Budget, seed: int
) -> tuple[Deliveries, tuple[SolverFacts, ...]]:
    """The deliveries on ways that load the links evenly, and how good that is.

    Args:
        channels: virtual channels of a link; in one, only what goes east may go column first.
    """
    choice = _choice(floor, deliveries, channels)
    split, bound = _split(choice, limit)
    starts = (np.zeros(len(choice.free)), np.ones(len(choice.free)), np.round(split))
    part = _relieved(choice, min(starts, key=lambda start: float(choice.loads(start).max(initial=0.0))))
    hottest = float(choice.loads(part).max(initial=0.0))
    if hottest > bound * (1 + SLACK):
        part, bound = lightest(choice.fixed, choice.row, choice.column, part, bound, limit, seed)
        hottest = float(choice.loads(part).max(initial=0.0))
    column_first = np.zeros(len(deliveries.source), np.bool_)
    column_first[choice.free] = part > 0.5
    done = hottest <= bound * (1 + SLACK)
    facts = SolverFacts(
        search="route",
        status="OPTIMAL" if done else "FEASIBLE",
        objective=hottest,
        bound=hottest if done else bound,
    )
    return deliveries.by(column_first), (facts,)


def _choice(floor: Floor, deliveries: Deliveries, channels: int) -> Choice:
    row_first = np.zeros(len(deliveries.source), np.bool_)
    deliveries = deliveries.by(row_first)
    free = _may_choose(floor, deliveries, channels)
    keys = [Routes(floor, deliveries.by(first)).crossed[2] for first in (row_first, ~row_first)]
    crossings, chosen = np.unique(np.concatenate(keys)), deliveries.some(free)
    row, column = (Routes(floor, chosen.by(np.full(int(free.sum()), first)), crossings) for first in (False, True))
    others = deliveries.some(~free)
    fixed = Routes(floor, others, crossings).loads(others.words)
    return Choice(np.flatnonzero(free), row, column, fixed)


def _may_choose(floor: Floor, deliveries: Deliveries, channels: int) -> Flags:
    """Deliveries whose two ways are not the same links, and which may take either.

    They are not the same where some target has another row, and another column or chip. In one channel no part may go
    west, to a chip of a lower number or to a column before.
    """
    source, target = floor.place[deliveries.source[deliveries.of]].T, floor.place[deliveries.target].T
    chip, x, y = target - source
    bent = (y != 0) & ((x != 0) | (chip != 0))
    west = (chip < 0) | ((chip == 0) & (x < 0))
    free = np.bincount(deliveries.of[bent], minlength=len(deliveries.source)) > 0
    return free if channels > 1 else free & (np.bincount(deliveries.of[west], minlength=len(free)) == 0)


def _split(choice: Choice, limit: Budget) -> tuple[Floats, float]:
    """The part of each delivery that goes column first, and a bound on what the hottest link carries."""
    part = np.full(len(choice.free), 0.5)
    bound = float(choice.fixed.max(initial=0.0))
    runs = len(choice.row.runs.start) + len(choice.column.runs.start) + 1000
    for turn in range(int(np.clip(limit.seconds * RUNS_A_SECOND / runs, LEAST_ROUNDS, ROUNDS))):
        loads = choice.loads(part)
        most = float(loads.max(initial=0.0))
        if not len(part) or most <= bound * (1 + SLACK):
            break
        weight = np.exp(SHARPNESS * (loads / most - 1))
        weight /= weight.sum()
        row, column = choice.row.sums(weight), choice.column.sums(weight)
        bound = max(bound, float(weight @ choice.fixed + choice.words @ np.minimum(row, column)))
        part += ((column < row) - part) * (2 / (turn + 4))
    return part, bound * (1 - SLACK)


def _relieved(choice: Choice, part: Floats) -> Floats:
    """A choice in which no single change relieves a link that carries most without loading another as much."""
    part, loads = part.copy(), choice.loads(part)
    for _ in range(MOST_CHANGES):
        hottest = int(loads.argmax()) if len(loads) else 0
        found = [_changed(choice, part, loads, delivery) for delivery in _over(choice, part, hottest)]
        best = min(found, key=lambda change: change[0], default=None)
        if best is None or best[0] >= loads[hottest] * (1 - SLACK):
            return part
        _, delivery, links, words = best
        part[delivery] = 1 - part[delivery]
        np.add.at(loads, links, words)
    return part


def _over(choice: Choice, part: Floats, link: int) -> list[int]:
    """The deliveries over a link that have most words."""
    found = []
    for routes, taken in ((choice.row, part < 0.5), (choice.column, part > 0.5)):
        runs, floor = routes.runs, routes.floor
        if link >= floor.links:
            over = runs.cross_delivery[routes.crossing(runs.cross_key) == link]
        else:
            direction, site = divmod(link, floor.sites)
            step = int(floor.steps[direction])
            ahead, left = (site - runs.start) / step, (runs.stop - site) / step
            whole = (site - runs.start) % abs(step) == 0
            over = runs.delivery[(runs.direction == direction) & whole & (ahead >= 0) & (left > 0)]
        found.append(over[taken[over]])
    over = np.concatenate(found)
    first: list[int] = over[np.lexsort((over, -choice.words[over]))][:MOST_TRIED].tolist()
    return first


def _changed(choice: Choice, part: Floats, loads: Floats, delivery: int) -> tuple[float, int, Indices, Floats]:
    """The most that a link of the other way would carry, and what the change adds to links."""
    old, new = (links_of(routes, delivery) for routes in (choice.row, choice.column))
    if part[delivery] > 0.5:
        old, new = new, old
    links = np.concatenate([old, new])
    words = np.repeat(choice.words[delivery] * np.array([-1.0, 1.0]), [len(old), len(new)])
    met = np.isin(new, old)
    most = float((loads[new] + np.where(met, 0.0, choice.words[delivery])).max(initial=0.0))
    return most, delivery, links, words


def links_of(routes: Routes, delivery: int) -> Indices:
    """The links of one delivery."""
    runs, floor = routes.runs, routes.floor
    first, last = np.searchsorted(runs.delivery, [delivery, delivery + 1])
    found = []
    for run in range(first, last):
        direction = int(runs.direction[run])
        found.append(direction * floor.sites + np.arange(runs.start[run], runs.stop[run], floor.steps[direction]))
    begin, end = np.searchsorted(runs.cross_delivery, [delivery, delivery + 1])
    found.append(routes.crossing(runs.cross_key[begin:end]))
    return np.concatenate(found)

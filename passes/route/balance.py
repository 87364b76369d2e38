"""Which deliveries go row first and which column first, so that the link that carries most words carries least.

With weights on the links that sum to 1, every choice loads some link with at least the sum over the deliveries of
words times the lighter of their two ways: the dual of the linear program that lets deliveries split. Rounds of
multiplicative weights (Plotkin, Shmoys and Tardos, Math. of OR 20, 1995) find good weights, whose best sum is the
bound, and a split, which is rounded. Then single deliveries change their way as long as that relieves a link that
carries most; CP-SAT betters what is left where the deliveries are few.
"""

from __future__ import annotations

import numpy as np

from mho.passes.route.choice import Choice, choices
from mho.passes.route.lightest import lightest
from mho.passes.solver import Budget
from mho.targets.arrays import Floats, Indices
from mho.targets.mapping import SolverFacts
from mho.targets.routes import Deliveries, Floor, Routes

ROUNDS = 400
LEAST_ROUNDS = 60
RUNS_A_SECOND = 4e6
"""Runs of links that a core looks at in about a second, in all rounds together."""

TURNS = 8
"""Of the deliveries each time one in so many may change its way, so that they do not all flee to one link."""

SETTLING_ROUNDS = 40
MOST_CHANGES = 2000
MOST_TRIED = 64
"""Deliveries over a link that carries most which are tried, those with most words first."""

SLACK = 1e-9
"""Loads that differ by a smaller part are taken to be equal: their sums round."""

Tried = tuple[Floats, float, float]
"""The part of each delivery that goes the other way, what the hottest link then carries, and a bound on that."""

SHARPNESS = 60.0
"""The weight of a link is e to the power of this times its load over the largest."""


def balanced(
    floor: Floor, deliveries: Deliveries, channels: int, limit: Budget, seed: int
) -> tuple[Deliveries, tuple[SolverFacts, ...]]:
    """The deliveries on ways that load the links evenly, and how good that is among the choices there are.

    Args:
        channels: virtual channels of a link.
    """
    open_choices = choices(floor, deliveries, channels)
    limit = limit.share(len(open_choices))
    tried = [_tried(choice, limit) for choice in open_choices]
    for number in sorted(range(len(tried)), key=lambda number: tried[number][1]):
        if tried[number][2] * (1 + SLACK) < min(hottest for _, hottest, _ in tried):
            choice, (part, _, bound) = open_choices[number], tried[number]
            part, bound = lightest(choice.fixed, choice.usual, choice.other, part, bound, limit, seed)
            tried[number] = part, choice.hottest(part), bound
    best = min(range(len(tried)), key=lambda number: tried[number][1])
    part, hottest, _ = tried[best]
    bound = min(bound for _, _, bound in tried)
    done = hottest <= bound * (1 + SLACK)
    facts = SolverFacts.of("route", hottest, hottest if done else bound)
    return open_choices[best].chosen(deliveries, part), (facts,)


def _tried(choice: Choice, limit: Budget) -> Tried:
    split, bound = _split(choice, limit)
    starts = (np.zeros(len(choice.free)), np.ones(len(choice.free)), _settled(choice, np.round(split), bound))
    part = _relieved(choice, min(starts, key=choice.hottest))
    return part, choice.hottest(part), bound


def _split(choice: Choice, limit: Budget) -> tuple[Floats, float]:
    """The part of each delivery that goes the other way, and a bound on what the hottest link carries."""
    part = np.full(len(choice.free), 0.5)
    bound = float(choice.fixed.max(initial=0.0))
    runs = len(choice.usual.runs.start) + len(choice.other.runs.start) + 1000
    for turn in range(int(np.clip(limit.seconds * RUNS_A_SECOND / runs, LEAST_ROUNDS, ROUNDS))):
        loads = choice.loads(part)
        most = float(loads.max(initial=0.0))
        if not len(part) or most <= bound * (1 + SLACK):
            break
        weight = _weights(loads)
        usual, other = choice.usual.sums(weight), choice.other.sums(weight)
        lightest_ways = choice.words * np.minimum(usual, other)
        bound = max(bound, float(np.sum(weight * choice.fixed) + np.sum(lightest_ways)))
        part += ((other < usual) - part) * (2 / (turn + 4))
    return part, bound * (1 - SLACK)


def _settled(choice: Choice, part: Floats, bound: float) -> Floats:
    """The best of some rounds in which a part of the deliveries takes the way that is lighter by the links' weights."""
    turns = np.arange(len(part)) % TURNS
    best, least = part, choice.hottest(part)
    for turn in range(SETTLING_ROUNDS):
        if least <= bound * (1 + SLACK):
            break
        weight = _weights(choice.loads(part))
        lighter = (choice.other.sums(weight) < choice.usual.sums(weight)).astype(np.float64)
        part = np.where(turns == turn % TURNS, lighter, part)
        hottest = choice.hottest(part)
        if hottest < least:
            best, least = part, hottest
    return best


def _weights(loads: Floats) -> Floats:
    """Weights of the links that sum to 1, almost all of it on those that carry most."""
    weight: Floats = np.exp(SHARPNESS * (loads / loads.max() - 1))
    weight /= weight.sum()
    return weight


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
    for routes, taken in ((choice.usual, part < 0.5), (choice.other, part > 0.5)):
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
    old, new = (links_of(routes, delivery) for routes in (choice.usual, choice.other))
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

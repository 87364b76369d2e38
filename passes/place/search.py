"""The search for a placement: a few tiles for good, more by tabu search from a snake, then CP-SAT on windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import numpy as np

from mho.passes.place.assignment import Assignment, Qap, solve_qaps
from mho.passes.place.few import FEW, place_few
from mho.passes.place.snake import along_best_snake
from mho.passes.place.windows import improve
from mho.passes.solver import Budget
from mho.passes.watch import watch
from mho.targets.arrays import Indices

LARGEST_SEARCH = 1500
"""A chip with more sites is divided into regions; around faults its tiles stay along a snake, and nothing is proved."""

ENTRIES_A_SECOND = 1.5e8
"""Entries of the matrices of exchanges that a core looks at in about a second; one iteration costs 20,000 more."""

MOST_ITERATIONS = 20_000
MOST_FOR_A_PAIR = 20
"""Iterations for each pair of sites: few sites need few."""

ENTRIES = 40_000
MOST_SEARCHES = 8
"""Searches of an instance side by side: so many, or as many as have so many entries of matrices."""

FOREVER = 10**9
"""Iterations that only the clock ends."""

SEARCH_SHARE = 0.7
"""The part of a wall-clock budget for the tabu search; the windows have the rest."""


def place_chips(qaps: list[Qap], sites: Indices, limit: Budget, seed: int) -> list[Assignment]:
    """Assign the tiles of every chip to sites: a few for good, more by a search.

    Args:
        qaps: one a chip, with symmetric flows.
    """
    done = [_without_search(qap, sites) for qap in qaps]
    found = iter(_search([q for q, answer in zip(qaps, done, strict=True) if answer is None], sites, limit, seed))
    return [next(found) if answer is None else answer for answer in done]


def _without_search(qap: Qap, sites: Indices) -> Assignment | None:
    """The best placement where every tile has one site to go to, or where there are few tiles; None elsewhere."""
    if qap.allowed is not None and (qap.allowed.sum(axis=1) == 1).all():
        site_of = qap.allowed.argmax(axis=1)
        at = sites[site_of].astype(np.float64)
        alone = 0.0 if qap.alone is None else float(qap.alone[np.arange(len(site_of)), site_of].sum())
        cost = float((qap.flow * np.abs(at[:, None] - at[None]).sum(axis=2)).sum()) + alone
        return Assignment(site_of, cost, cost)
    return place_few(qap.flow, sites, qap.allowed) if 0 < len(qap) <= FEW and qap.alone is None else None


def _search(qaps: list[Qap], sites: Indices, limit: Budget, seed: int) -> list[Assignment]:
    """What a tabu search from a snake, and then CP-SAT on windows, find within the limit."""
    if not qaps:
        return []
    begun = monotonic()
    distance = np.abs(sites[:, None, :] - sites[None, :, :]).sum(axis=2).astype(np.float64)
    begin = [along_best_snake(qap, distance, sites) for qap in qaps]
    if len(sites) > LARGEST_SEARCH:
        return [Assignment(p, qap.cost(distance, p), 0.0) for qap, p in zip(qaps, begin, strict=True)]
    entries = len(qaps) * len(sites) ** 2
    searches = int(min(max(1, ENTRIES // entries), MOST_SEARCHES))
    found = solve_qaps(
        qaps, distance, begin, _iterations(limit, searches * entries, len(sites)), seed, searches, _clock(limit, begun)
    )
    left = replace(limit, seconds=max(0.0, limit.seconds - (monotonic() - begun))) if limit.wall else limit
    return improve(qaps, sites, found, left, seed)


def _iterations(limit: Budget, entries: int, sites: int) -> int:
    if limit.wall:
        return FOREVER
    most = min(MOST_ITERATIONS, MOST_FOR_A_PAIR * sites**2)
    return int(min(max(limit.seconds * ENTRIES_A_SECOND / (entries + 20_000), 10), most))


def _clock(limit: Budget, begun: float) -> Callable[[], bool]:
    """Whether the tabu search is to end: its part of the wall clock is used up, or whoever watches ends it."""
    follower = watch()
    return lambda: follower.over() or (limit.wall and monotonic() - begun >= SEARCH_SHARE * limit.seconds)

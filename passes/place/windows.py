"""A placement made better a window at a time: the tiles of a few sites change places in the best way, by CP-SAT.

Within a window, column and row of a tile are sums over the sites that it may have, and the links between two tiles
are at least the differences of these; words to tiles outside are a cost of each site. So a window is a small linear
model of the quadratic problem, and a list of windows a search of large neighbourhoods (Shaw, CP 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations, count, islice, zip_longest
from time import monotonic

import numpy as np

from mho.passes.place.assignment import Assignment, Qap
from mho.passes.solver import Budget, Problem, in_parallel, new_model, solve
from mho.passes.watch import watch
from mho.targets.arrays import Floats, Indices

OPEN = 9
"""Sites of a window: so many can often be proved."""

SHARE = 0.25
"""The part of the budget for windows: a second of CP-SAT's deterministic clock takes longer on small models."""

A_SOLVE = 0.05
"""Deterministic seconds for a window of the first round; those of the nth have n times as many."""

A_ROUND = 8
"""The most windows that are solved side by side."""

LARGEST_COST = 2.0**30
"""The costs within a window are rounded down to whole numbers that sum up to about this."""

PROVED = 1 - 1e-6
"""Costs are rounded, so a bound so near is the best there is."""


@dataclass(frozen=True)
class Window:
    """Sites of a chip whose tiles may change places.

    Attributes:
        qap: the chip's tiles, with symmetric flows.
        sites: (x, y) of all sites of the chip: [sites, 2].
        site_of: tile → site.
        open: the numbers of the window's sites.
    """

    qap: Qap
    sites: Indices
    site_of: Indices
    open: Indices

    @property
    def tiles(self) -> Indices:
        """The tiles that stand in the window."""
        return np.flatnonzero(np.isin(self.site_of, self.open))

    @property
    def words(self) -> Floats:
        """Between two tiles, both ways: symmetric [tiles, tiles]."""
        both: Floats = 2 * self.qap.flow
        return both


def improve(qaps: list[Qap], sites: Indices, begin: list[Assignment], limit: Budget, seed: int) -> list[Assignment]:
    """Better the assignments of all chips as far as the budget goes; none gets worse.

    The windows of a round share no site; each answer is taken where it still lowers the cost after those before it.
    A budget of the wall clock is used up unless every chip is proved.

    Args:
        qaps: one a chip, with symmetric flows.
        sites: (x, y) of the sites of a chip: [sites, 2].
    """
    distance = np.abs(sites[:, None, :] - sites[None, :, :]).sum(axis=2).astype(np.float64)
    best, asked = list(begin), Counter[tuple[int, int]]()
    left, until = limit.seconds * SHARE, monotonic() + limit.seconds
    for turn in count(1):
        each = A_SOLVE * turn
        most = A_ROUND if limit.wall else min(A_ROUND, int(left / each + 1e-9))
        poor = [chip for chip, found in enumerate(best) if found.cost * PROVED > found.bound]
        if watch().over() or not poor or most < 1 or (limit.wall and monotonic() >= until):
            break
        poor.sort(key=lambda chip: -best[chip].cost)
        lists = [_openings(chip, qaps[chip], distance, best[chip].site_of, asked) for chip in poor]
        jobs = list(islice((job for job in chain.from_iterable(zip_longest(*lists)) if job is not None), most))
        windows = [Window(qaps[chip], sites, best[chip].site_of, opened) for chip, opened in jobs]
        answers = in_parallel(partial(solve_window, limit=Budget(each), seed=seed), windows, Budget(each))
        for (chip, _), window, answer in zip(jobs, windows, answers, strict=True):
            best[chip] = _take(best[chip], window, answer, distance)
        left -= each * len(jobs)
        watch().found(sum(a.cost for a in best), sum(a.bound for a in best))
    return best


def _openings(
    chip: int, qap: Qap, distance: Floats, site_of: Indices, asked: Counter[tuple[int, int]]
) -> Iterator[tuple[int, Indices]]:
    """(chip, sites) of disjoint windows, the tiles asked least and then the costliest first.

    A window is the site of a tile and those that it would take at the least cost for itself and the tile there.
    """
    words, near = 2 * qap.flow, distance[np.ix_(site_of, site_of)]
    alone = np.zeros((len(words), len(distance))) if qap.alone is None else qap.alone
    own = (words * near).sum(axis=1)
    used = np.zeros(len(distance), bool)
    for tile in sorted(range(len(words)), key=lambda tile: (asked[chip, tile], -own[tile])):
        change = distance[:, site_of] @ words[tile]
        change[site_of] += words @ near[tile] - own + 2 * words[tile] * near[tile]
        change += alone[tile]
        change[site_of] += alone[:, site_of[tile]] - alone[np.arange(len(words)), site_of]
        if qap.allowed is not None:
            change[~qap.allowed[tile]] = np.inf
        change[site_of[tile]] = -np.inf
        opened = np.sort(np.argsort(change, kind="stable")[:OPEN])
        if not used[opened].any():
            used[opened] = True
            asked[chip, tile] += 1
            yield chip, opened


def _take(best: Assignment, window: Window, answer: tuple[Indices, float], distance: Floats) -> Assignment:
    """The assignment with the answer of the window, where that costs less; a window of all sites bounds the chip."""
    site_of, bound = best.site_of.copy(), best.bound
    site_of[window.tiles], least = answer
    if len(window.open) == len(window.sites):
        bound = max(bound, least)
    cost = window.qap.cost(distance, site_of)
    if cost >= best.cost:
        site_of, cost = best.site_of, best.cost
    return Assignment(site_of, cost, min(bound, cost))


def solve_window(window: Window, limit: Budget, seed: int = 0) -> tuple[Indices, float]:
    """Site of every tile of the window, as it was where nothing is found, and what no choice within it undercuts."""
    problem, scale = window_problem(window)
    solution = solve(problem, limit, seed)
    if not solution.values:
        return window.site_of[window.tiles], 0.0
    taken = np.array(solution.values).reshape(-1, len(window.open)).argmax(axis=1)
    return window.open[taken], (solution.bound or 0.0) / scale


def window_problem(window: Window) -> tuple[Problem, float]:
    """The model of a window and the factor of its costs; its variables: does the tile [tiles] stand there [sites]?

    What a tile and its partners in the window exchange costs at least its words, the most first, times the links to
    the other sites, the fewest first (Gilmore 1962, Lawler 1963): without this the relaxed model is far too cheap.
    """
    outer, inner, scale = _costs(window)
    places, tiles, model = window.sites[window.open], range(len(outer)), new_model()
    at = [[model.new_bool_var("") for _ in places] for _ in tiles]
    for row, home in zip(at, window.site_of[window.tiles], strict=True):
        model.add_exactly_one(row)
        for here, site in zip(row, window.open, strict=True):
            model.add_hint(here, bool(site == home))
    for column in zip(*at, strict=True):
        model.add_at_most_one(column)
    if window.qap.allowed is not None:
        for i, site in zip(*np.nonzero(~window.qap.allowed[np.ix_(window.tiles, window.open)]), strict=True):
            model.add(at[i][site] == 0)
    links = {}
    for i, j in combinations(tiles, 2):
        if inner[i, j]:
            pair = [model.new_int_var(0, int(np.ptp(axis)), "") for axis in places.T]
            links[i, j] = links[j, i] = int(inner[i, j]) * sum(pair)
            for axis, apart in zip(places.T, pair, strict=True):
                ahead = sum(int(c) * (a - b) for c, a, b in zip(axis, at[i], at[j], strict=True))
                model.add(apart >= ahead)
                model.add(apart >= -ahead)
    for i, nearest in enumerate(_nearest(inner, places)):
        partners = [links[i, j] for j in tiles if (i, j) in links]
        if partners:
            model.add(sum(partners) >= sum(int(c) * here for c, here in zip(nearest, at[i], strict=True)))
    fixed = sum(int(c) * here for costs, row in zip(outer, at, strict=True) for c, here in zip(costs, row, strict=True))
    model.minimize(fixed + sum(links[i, j] for i, j in links if i < j))
    return Problem(model, tuple(chain.from_iterable(at))), scale


def _costs(window: Window) -> tuple[Indices, Indices, float]:
    """Costs of tile and site [tiles, open], words between tiles [tiles, tiles], in whole numbers, and their scale."""
    tiles, outside, words = window.tiles, np.flatnonzero(~np.isin(window.site_of, window.open)), window.words
    apart = np.abs(window.sites[window.site_of[outside]][:, None] - window.sites[window.open][None]).sum(axis=2)
    outer = words[np.ix_(tiles, outside)] @ apart
    if window.qap.alone is not None:
        outer += window.qap.alone[np.ix_(tiles, window.open)]
    outer -= outer.min(axis=1, keepdims=True)
    inner = words[np.ix_(tiles, tiles)]
    most = float(outer.max(axis=1).sum() + inner.sum() * np.ptp(window.sites[window.open], axis=0).sum())
    scale = 2.0 ** np.floor(np.log2(LARGEST_COST / most)) if most else 1.0
    if scale > 1 and all(np.array_equal(costs, np.rint(costs)) for costs in (outer, inner)):
        scale = 1.0
    return np.floor(outer * scale).astype(np.int64), np.floor(inner * scale).astype(np.int64), float(scale)


def _nearest(inner: Indices, places: Indices) -> Indices:
    """The least that the words of a tile on a site can cost within the window: [tiles, open]."""
    n = len(inner)
    words = np.sort(inner[~np.eye(n, dtype=bool)].reshape(n, n - 1), axis=1)[:, ::-1]
    links = np.sort(np.abs(places[:, None] - places[None]).sum(axis=2), axis=1)[:, 1:n]
    least: Indices = words @ links.T
    return least

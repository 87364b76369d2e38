"""CP-SAT for the least load of the hottest link, where the deliveries that have a choice are few."""

from __future__ import annotations

import numpy as np

from mho.passes.solver import Budget, Problem, new_model, solve
from mho.targets.arrays import Floats, Indices
from mho.targets.routes import Routes

MOST_DELIVERIES = 1500
MOST_PLACES = 60_000
"""Links of all deliveries together, on both ways."""

SCALE = 1e8
"""Units that the load of the hottest link is cut into for CP-SAT where words are no whole numbers: rounded down."""


def lightest(
    fixed: Floats, usual: Routes, other: Routes, part: Floats, bound: float, limit: Budget, seed: int
) -> tuple[Floats, float]:
    """A choice at least as good as `part`, and a bound at least as good as `bound`.

    Args:
        fixed: [links] words that do not depend on the choice.
        usual, other: the deliveries on their two ways.
        part: [deliveries] 1 where a delivery goes the other way, else 0.
    """
    ways = incidence(usual), incidence(other)
    if len(part) > MOST_DELIVERIES or sum(len(links) for _, links in ways) > MOST_PLACES:
        return part, bound
    words = usual.deliveries.words
    most = _hottest(fixed, ways, words, part)
    unit = 1.0 if (words == np.floor(words)).all() and most < SCALE else SCALE / most
    problem = _problem(fixed, ways, words, part, bound, unit)
    solution = solve(problem, limit, seed)
    found = np.array(solution.values, np.float64) if solution.values else part
    better = found if _hottest(fixed, ways, words, found) < most else part
    return better, max(bound, (solution.bound or 0.0) / unit)


Ways = tuple[tuple[Indices, Indices], tuple[Indices, Indices]]


def _problem(fixed: Floats, ways: Ways, words: Floats, part: Floats, bound: float, unit: float) -> Problem:
    """Load the hottest link least: only links that could carry more than the bound are looked at."""
    model = new_model()
    others = tuple(model.new_bool_var("") for _ in words)
    hottest = model.new_int_var(int(bound * unit), int(SCALE) + 1, "")
    whole = np.floor(words * unit).astype(np.int64).tolist()
    (usual_of, usual_links), (other_of, other_links) = ways
    both = np.concatenate([usual_of, other_of]), np.concatenate([usual_links, other_links])
    above = fixed + np.bincount(both[1], words[both[0]], len(fixed)) > bound
    users: dict[int, list[tuple[int, bool]]] = {link: [] for link in np.flatnonzero(above).tolist()}
    for of, links, on_other in ((usual_of, usual_links, False), (other_of, other_links, True)):
        near = above[links]
        for delivery, link in zip(of[near].tolist(), links[near].tolist(), strict=True):
            users[link].append((delivery, on_other))
    for link, taken in users.items():
        terms = [whole[d] * (others[d] if on_other else 1 - others[d]) for d, on_other in taken]
        model.add(sum(terms) + int(fixed[link] * unit) <= hottest)
    for variable, value in zip(others, part, strict=True):
        model.add_hint(variable, int(value))
    model.minimize(hottest)
    return Problem(model, others)


def incidence(routes: Routes) -> tuple[Indices, Indices]:
    """Deliveries and their links, one entry for each."""
    runs, floor = routes.runs, routes.floor
    steps = floor.steps[runs.direction]
    count = (runs.stop - runs.start) // steps
    inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    first = runs.direction * floor.sites + runs.start
    links = np.repeat(first, count) + inside * np.repeat(steps, count)
    of = np.concatenate([np.repeat(runs.delivery, count), runs.cross_delivery])
    return of, np.concatenate([links, routes.crossing(runs.cross_key)])


def _hottest(fixed: Floats, ways: Ways, words: Floats, part: Floats) -> float:
    loads = fixed.copy()
    for (of, links), share in zip(ways, (1 - part, part), strict=True):
        loads += np.bincount(links, (words * share)[of], len(fixed))
    return float(loads.max(initial=0.0))

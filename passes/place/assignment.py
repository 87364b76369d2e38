"""The quadratic assignment problem: tiles on sites, the words between two tiles times the distance of their sites.

Nothing here knows about machines: flows and distances are matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.passes.place.matching import Mask, Matching
from mho.passes.place.traffic import Floats, Indices

LARGEST_SUM = 2.0**50
"""Flows are rounded to whole numbers whose costs stay below this, so that every sum is exact on every machine."""

LARGEST_HUNGARIAN = 256
PATIENCE = 40
"""The tabu search ends after so many iterations for each site in which nothing got better."""


@dataclass(frozen=True)
class Assignment:
    """A solution of a quadratic assignment problem.

    Attributes:
        site_of: tile → site.
        cost: sum over ordered pairs of tiles of flow times distance.
        bound: no assignment costs less.
    """

    site_of: Indices
    cost: float
    bound: float


def solve_qap(
    flow: Floats, distance: Floats, start: Indices, iterations: int, seed: int = 0, starts: int = 4
) -> Assignment:
    """Find a cheap assignment of one instance: tabu search from several starts.

    Args:
        flow: [tiles, tiles]; the diagonal counts nothing.
        distance: [sites, sites], symmetric with a diagonal of zeros; at least as many sites as tiles.
        start: tile → site, all different; the first of the starts, the others are random.
        iterations: exchanges that the tabu search makes.
    """
    return solve_qaps([flow], distance, [start], iterations, seed, starts)[0]


def solve_qaps(
    flows: list[Floats],
    distance: Floats,
    begin: list[Indices],
    iterations: int,
    seed: int = 0,
    starts: int = 1,
    allowed: list[Mask | None] | None = None,
) -> list[Assignment]:
    """Several instances over the same sites, searched side by side; see `solve_qap`.

    Args:
        allowed: which tiles may stand where, one mask [tiles, sites] an instance, None where every site will do; the
            given starts obey it.
    """
    sites = len(distance)
    scales = [_scale(flow, distance) for flow in flows]
    whole = np.stack([_whole(flow, scale, sites) for flow, scale in zip(flows, scales, strict=True)])
    bounds = [lower_bound(flow, distance) for flow in whole]
    best = np.stack([_complete(given, sites) for given in begin])
    costs = [cost_of(flow, distance, p) / 2 for flow, p in zip(whole, best, strict=True)]
    pending = [i for i, (cost, bound) in enumerate(zip(costs, bounds, strict=True)) if cost > bound]
    if pending:
        barred = _barred(allowed or [], pending, sites)
        best[pending] = _search(whole[pending], distance, best[pending], iterations, starts, seed, barred)
    return [_finish(flow, scales[i], distance, best[i][: len(flow)], bounds[i]) for i, flow in enumerate(flows)]


def _barred(allowed: list[Mask | None], pending: list[int], sites: int) -> Mask | None:
    """Where tiles may not stand, those that send nothing anywhere: [pending, sites, sites]; None where all may."""
    if all(mask is None for mask in allowed):
        return None
    barred = np.zeros((len(pending), sites, sites), bool)
    for one, instance in zip(barred, pending, strict=True):
        mask = allowed[instance]
        if mask is not None:
            one[: len(mask)] = ~mask
    return barred


def _search(
    flows: Floats,
    distance: Floats,
    begin: Indices,
    iterations: int,
    starts: int,
    seed: int,
    barred: Mask | None,
) -> Indices:
    """The best of several tabu searches for every instance."""
    rng = np.random.default_rng(seed)
    masks = [None] * len(flows) if barred is None else list(barred)
    others = [np.stack([_random(begin.shape[1], mask, rng) for mask in masks]) for _ in range(starts - 1)]
    first = np.concatenate([begin, *others])
    never = None if barred is None else np.concatenate([barred] * starts)
    found = tabu_search(np.concatenate([flows] * starts), distance, first, iterations, rng, never)
    tries = found.reshape(starts, *begin.shape)
    costs = np.array([[cost_of(flow, distance, p) for flow, p in zip(flows, one, strict=True)] for one in tries])
    chosen: Indices = tries[costs.argmin(axis=0), np.arange(len(flows))]
    return chosen


def _random(sites: int, barred: Mask | None, rng: np.random.Generator) -> Indices:
    """A random assignment that obeys the mask [sites, sites], where one does."""
    order = rng.permutation(sites)
    if barred is None:
        return order
    matching = Matching(~barred, order)
    matching.add_all(range(sites), range(sites))
    return np.array([matching.site_of[tile] for tile in range(sites)], np.int64)


def _finish(flow: Floats, scale: float, distance: Floats, site_of: Indices, bound: float) -> Assignment:
    """The answer in the units of the flows."""
    cost = cost_of(flow, distance, site_of)
    rounding = 0.0 if scale == 1 else flow.size * float(distance.max(initial=0)) / scale / 2
    return Assignment(site_of, cost, float(min(cost, max(0.0, bound / scale - rounding))))


def cost_of(flow: Floats, distance: Floats, site_of: Indices) -> float:
    """Sum over ordered pairs of tiles of flow times the distance of their sites."""
    return float((flow * distance[np.ix_(site_of, site_of)]).sum())


def tabu_search(
    flows: Floats,
    distance: Floats,
    start: Indices,
    iterations: int,
    rng: np.random.Generator,
    barred: Mask | None = None,
) -> Indices:
    """The best assignments met by exchanging two tiles at a time, for a batch of instances at once.

    In each iteration every instance makes its best exchange that does not bring both tiles back to sites that they
    left a short while ago, unless it gives the best cost so far (Taillard, Parallel Computing 17, 1991); the search
    ends early where no instance has got better for long. With F the
    flows, D the distances between the tiles' sites and C = F D, exchanging i and j changes the cost by
    C_ij + C_ji − C_ii − C_jj + 2 F_ij D_ij; after an exchange C changes by an outer product but in two columns.

    Args:
        flows: [instances, n, n], symmetric, whole numbers.
        start: [instances, n] tile → site.
        barred: [instances, n, n], the sites where a tile may never stand; the start obeys it.
    """
    count, n = start.shape
    if n < 2:
        return start
    each = np.arange(count)
    near = np.stack([distance[np.ix_(p, p)] for p in start])
    never = None if barred is None else np.stack([one[:, p] for one, p in zip(barred, start, strict=True)])
    product = flows @ near
    double = 2.0 * flows
    until = np.zeros((count, n, n), np.int32)
    cost = np.einsum("bij,bij->b", flows, near) / 2
    best, site_of, best_cost = start.copy(), start.copy(), cost.copy()
    change = np.empty_like(product)
    latest = 0
    for now in range(1, iterations + 1):
        _weigh(change, double, near, product)
        _bar(change, until > now, best_cost - cost, never)
        pick = change.reshape(count, -1).argmin(axis=1)
        r, s = pick // n, pick % n
        gained = change[each, r, s]
        live = np.isfinite(gained)
        if not live.all():
            r, s, gained = np.where(live, r, 0), np.where(live, s, 0), np.where(live, gained, 0.0)
        _exchange(flows, near, product, until, each, r, s)
        if never is not None:
            never[each, :, r], never[each, :, s] = never[each, :, s], never[each, :, r]
        cost += gained
        site_of[each, r], site_of[each, s] = site_of[each, s], site_of[each, r]
        stay = now + rng.integers(9 * n // 10 + 1, 11 * n // 10 + 2, (2, count))
        until[each, r, s], until[each, s, r] = stay
        better = cost < best_cost
        best[better], best_cost[better] = site_of[better], cost[better]
        latest = now if better.any() else latest
        if now - latest > PATIENCE * n:
            break
    return best


def _weigh(change: Floats, double: Floats, near: Floats, product: Floats) -> None:
    """What the exchange of each two tiles changes; of a tile with itself, infinity."""
    own, itself = np.einsum("bii->bi", product), np.einsum("bii->bi", change)
    np.multiply(double, near, out=change)
    change += product
    change += product.transpose(0, 2, 1)
    change -= own[:, :, None]
    change -= own[:, None, :]
    itself[...] = np.inf


def _bar(change: Floats, tabu: Mask, gain: Floats, never: Mask | None) -> None:
    """Make the exchanges infinite that are tabu and give no new best, and those that may never be."""
    tabu &= tabu.transpose(0, 2, 1)
    tabu &= change >= gain[:, None, None]
    change[tabu] = np.inf
    if never is not None:
        change[never | never.transpose(0, 2, 1)] = np.inf


def _exchange(
    flows: Floats, near: Floats, product: Floats, until: NDArray[np.int32], each: Indices, r: Indices, s: Indices
) -> None:
    """Exchange tiles r and s of every instance in the distances, in flows @ distances, and in the tabu times."""
    to_r, to_s = flows[each, r], flows[each, s]
    apart = near[each, r, s][:, None]
    column_r, column_s = product[each, :, r], product[each, :, s]
    product += (to_r - to_s)[:, :, None] * (near[each, s] - near[each, r])[:, None, :]
    product[each, :, r] = column_s + (to_s - to_r) * apart
    product[each, :, s] = column_r + (to_r - to_s) * apart
    near[each, r], near[each, s] = near[each, s], near[each, r]
    near[each, :, r], near[each, :, s] = near[each, :, s], near[each, :, r]
    until[each, :, r], until[each, :, s] = until[each, :, s], until[each, :, r]


def lower_bound(flow: Floats, distance: Floats) -> float:
    """The bound of Gilmore (1962) and Lawler (1963), or a weaker one of the same costs above some hundred tiles.

    Tile i on site k costs at least its flows, the largest first, times the distances from k, the least first; the
    best assignment of these costs bounds all. `flow` is symmetric and counts every pair twice.
    """
    n = len(flow)
    if n < 2:
        return 0.0
    off = ~np.eye(n, dtype=bool)
    flows = np.sort(flow[off].reshape(n, n - 1), axis=1)[:, ::-1]
    distances = np.sort(distance[off].reshape(n, n - 1), axis=1)
    costs = flows @ distances.T
    if n <= LARGEST_HUNGARIAN:
        return assignment_cost(costs) / 2
    rows = costs.min(axis=1, keepdims=True)
    return float(rows.sum() + (costs - rows).min(axis=0).sum()) / 2


def assignment_cost(costs: Floats) -> float:
    """The least sum of one entry a row, no two in one column, by shortest augmenting paths (Kuhn 1955)."""
    n = len(costs)
    row_of = np.full(n + 1, -1)
    row_price, column_price = np.zeros(n), np.zeros(n + 1)
    for row in range(n):
        row_of[n], column = row, n
        least, before, free = np.full(n, np.inf), np.full(n, n), np.ones(n + 1, bool)
        while row_of[column] >= 0:
            free[column] = False
            here = row_of[column]
            reduced = costs[here] - row_price[here] - column_price[:n]
            closer = free[:n] & (reduced < least)
            least[closer], before[closer] = reduced[closer], column
            following = int(np.where(free[:n], least, np.inf).argmin())
            step = least[following]
            row_price[row_of[~free]] += step
            column_price[~free] -= step
            least[free[:n]] -= step
            column = following
        while column != n:
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    return float(costs[row_of[:n], np.arange(n)].sum())


def _scale(flow: Floats, distance: Floats) -> float:
    """What flows are multiplied by before they are rounded; 1 where they are whole already."""
    largest = 2.0 * float(flow.sum()) * max(1.0, float(distance.max(initial=0)))
    if largest <= LARGEST_SUM and np.array_equal(flow, np.rint(flow)):
        return 1.0
    return 2.0 ** np.floor(np.log2(2.0**40 / largest)) if largest else 1.0


def _whole(flow: Floats, scale: float, sites: int) -> Floats:
    """Symmetric whole flows, padded with tiles that send nothing."""
    both = np.rint((flow + flow.T) * scale)
    np.fill_diagonal(both, 0.0)
    return np.pad(both, (0, sites - len(both)))


def _complete(site_of: Indices, sites: int) -> Indices:
    """The assignment with the free sites given to the tiles that send nothing."""
    return np.concatenate([site_of, np.setdiff1d(np.arange(sites), site_of)])

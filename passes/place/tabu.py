"""Tabu search for quadratic assignment problems, many instances side by side.

Each iteration costs a few passes over matrices of n × n, all instances in one array: the small ones are bound by the
number of NumPy calls, so several starts of one instance cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.passes.sites.matching import Matching
from mho.targets.arrays import Floats, Indices, Mask

ROUND = 5
"""Exchanges of a round, for each site: then every search goes on from its best, shaken."""

SHAKEN = (0.1, 0.4)
"""The least and the largest part of the tiles that change places between two rounds."""

LAGGING = 20
"""After so many rounds without a better assignment a search begins anew anywhere."""


@dataclass(frozen=True)
class Instances:
    """Quadratic assignment problems over the same sites; numbers are whole, so that all sums are exact.

    Attributes:
        flows: symmetric with a diagonal of zeros, [instances, n, n].
        distance: symmetric with a diagonal of zeros, [n, n].
        alone: what a tile on a site costs by itself, [instances, n, n]; None is nothing.
        barred: where a tile may never stand, [instances, n, n]; None where every site will do.
    """

    flows: Floats
    distance: Floats
    alone: Floats | None = None
    barred: Mask | None = None

    def costs(self, site_of: Indices) -> Floats:
        """Of one assignment [n] an instance: every pair once, and each tile by itself."""
        near = self.distance[site_of[:, :, None], site_of[:, None, :]]
        total: Floats = np.einsum("bij,bij->b", self.flows, near) / 2
        if self.alone is not None:
            total += np.take_along_axis(self.alone, site_of[:, :, None], axis=2).sum(axis=(1, 2))
        return total

    def of(self, chosen: Indices) -> Instances:
        """Some of the instances, in this order."""
        alone = None if self.alone is None else self.alone[chosen]
        return Instances(self.flows[chosen], self.distance, alone, None if self.barred is None else self.barred[chosen])


def iterated_search(
    instances: Instances,
    starts: Indices,
    iterations: int,
    rng: np.random.Generator,
    ended: Callable[[Floats], bool] = lambda costs: False,
) -> Indices:
    """The best assignment [instances, n] of each instance, met in rounds of tabu searches from several starts.

    A round starts from the best that the search has met, with a random part of its tiles moved on in a ring (Lourenço,
    Martin and Stützle, Handbook of Metaheuristics, 2003).

    Args:
        starts: [searches of an instance, instances, n].
        iterations: exchanges of every search, all rounds together.
        ended: asked after every round with the costs so far [instances].
    """
    searches, count, n = starts.shape
    everyone = instances.of(np.tile(np.arange(count), searches))
    held = begin = starts.reshape(-1, n)
    costs, since = everyone.costs(held), np.zeros(len(held), np.int64)
    best, least = _leaders(held, costs, count)
    for done in range(0, iterations, ROUND * n):
        found = tabu_search(everyone, begin, min(ROUND * n, iterations - done), rng)
        met = everyone.costs(found)
        since = np.where(met < costs, 0, since + 1)
        held, costs = np.where((met > costs)[:, None], held, found), np.minimum(met, costs)
        ahead, now = _leaders(held, costs, count)
        best, least = np.where((now < least)[:, None], ahead, best), np.minimum(now, least)
        if ended(least):
            break
        begin = _shaken(held, everyone.barred, rng)
        for lagging in np.flatnonzero(since >= LAGGING):
            since[lagging], costs[lagging] = 0, np.inf
            begin[lagging] = anywhere(n, None if everyone.barred is None else everyone.barred[lagging], rng)
    return best


def _leaders(held: Indices, costs: Floats, count: int) -> tuple[Indices, Floats]:
    """The best assignment of each of so many instances, and its cost."""
    ahead = costs.reshape(-1, count).argmin(axis=0) * count + np.arange(count)
    return held[ahead], costs[ahead]


def anywhere(sites: int, barred: Mask | None, rng: np.random.Generator) -> Indices:
    """A random assignment that obeys the mask [sites, sites], where one does."""
    order = rng.permutation(sites)
    if barred is None:
        return order
    matching = Matching(~barred, order)
    matching.add_all(range(sites), range(sites))
    return np.array([matching.site_of[tile] for tile in range(sites)], np.int64)


def _shaken(site_of: Indices, barred: Mask | None, rng: np.random.Generator) -> Indices:
    """Assignments with some tiles moved on to each other's sites, as far as they may stand there."""
    n = site_of.shape[1]
    least, most = (max(2, int(n * part)) for part in SHAKEN)
    moved = site_of.copy()
    for instance, row in enumerate(moved):
        tiles = rng.permutation(n)[: rng.integers(least, most + 1)]
        if barred is None:
            row[tiles] = row[np.roll(tiles, 1)]
            continue
        for one, other in zip(tiles[:-1].tolist(), tiles[1:].tolist(), strict=True):
            if not (barred[instance, one, row[other]] or barred[instance, other, row[one]]):
                row[one], row[other] = row[other], row[one]
    return moved


def tabu_search(instances: Instances, start: Indices, iterations: int, rng: np.random.Generator) -> Indices:
    """The best assignments [instances, n] met by exchanging two tiles at a time.

    In each iteration every instance makes its best exchange that does not bring both tiles back to sites that they
    left a short while ago, unless it gives the best cost so far (Taillard, Parallel Computing 17, 1991). With F the
    flows, D the distances between the tiles' sites and C = F D, exchanging i and j changes the cost by
    C_ij + C_ji − C_ii − C_jj + 2 F_ij D_ij; after an exchange C changes by an outer product but in two columns. What
    tiles cost alone is added to C by tile and the tile at the site: it moves with the columns.

    Args:
        start: [instances, n] tile → site; obeys what is barred.
    """
    flows, distance = instances.flows, instances.distance
    count, n = start.shape
    if n < 2:
        return start
    each = np.arange(count)
    near = distance[start[:, :, None], start[:, None, :]]
    never = None if instances.barred is None else np.take_along_axis(instances.barred, start[:, None, :], axis=2)
    alone = None if instances.alone is None else np.take_along_axis(instances.alone, start[:, None, :], axis=2)
    product = flows @ near
    double = 2.0 * flows
    until = np.zeros((count, n, n), np.int32)
    best, site_of = start.copy(), start.copy()
    cost = instances.costs(start)
    best_cost = cost.copy()
    change = np.empty_like(product)
    stays = rng.integers(9 * n // 10 + 1, 11 * n // 10 + 2, (iterations, 2, count))
    for now, stay in enumerate(stays, 1):
        _weigh(change, double, near, product, alone)
        _bar(change, until > now, best_cost - cost, never)
        pick = change.reshape(count, -1).argmin(axis=1)
        r, s = np.divmod(pick, n)
        gained = change[each, r, s]
        live = np.isfinite(gained)
        if not live.all():
            r, s, gained = np.where(live, r, 0), np.where(live, s, 0), np.where(live, gained, 0.0)
        _exchange(flows, near, product, each, r, s)
        _swap_columns([one for one in (until, never, alone) if one is not None], each, r, s)
        cost += gained
        site_of[each, r], site_of[each, s] = site_of[each, s], site_of[each, r]
        until[each, r, s], until[each, s, r] = now + stay
        better = cost < best_cost
        if better.any():
            best[better], best_cost[better] = site_of[better], cost[better]
    return best


def _weigh(change: Floats, double: Floats, near: Floats, product: Floats, alone: Floats | None) -> None:
    """What the exchange of each two tiles changes; of a tile with itself, infinity."""
    sums = product if alone is None else product + alone
    own, itself = np.einsum("bii->bi", sums), np.einsum("bii->bi", change)
    np.multiply(double, near, out=change)
    change += sums
    change += sums.transpose(0, 2, 1)
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


def _exchange(flows: Floats, near: Floats, product: Floats, each: Indices, r: Indices, s: Indices) -> None:
    """Exchange tiles r and s of every instance in the distances and in flows @ distances."""
    to_r, to_s = flows[each, r], flows[each, s]
    apart = near[each, r, s][:, None]
    column_r, column_s = product[each, :, r], product[each, :, s]
    product += (to_r - to_s)[:, :, None] * (near[each, s] - near[each, r])[:, None, :]
    product[each, :, r] = column_s + (to_s - to_r) * apart
    product[each, :, s] = column_r + (to_r - to_s) * apart
    near[each, r], near[each, s] = near[each, s], near[each, r]
    _swap_columns([near], each, r, s)


def _swap_columns(arrays: list[NDArray[np.generic]], each: Indices, r: Indices, s: Indices) -> None:
    for array in arrays:
        array[each, :, r], array[each, :, s] = array[each, :, s], array[each, :, r]

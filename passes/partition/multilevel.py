"""Partition over chips on contracted graphs: clusters of units first, with CP-SAT, then smaller and smaller ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.passes.partition.assign import by_attraction
from mho.passes.partition.exact import solve_chips
from mho.passes.partition.limits import ChipLimits
from mho.passes.partition.tabu import tabu
from mho.passes.sites.units import Units
from mho.passes.solver import Budget
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices

CLUSTERS_A_CHIP = 6
"""Clusters a chip below which no graph is contracted further."""

LARGEST_PART = 5
"""No cluster fills more than this part of a chip."""

SHRINKS = 0.9
"""A contraction that leaves more than this part of the clusters is the last."""


@dataclass(frozen=True)
class Level:
    """A contracted graph.

    Attributes:
        weights: words both ways between its units: [units, units].
        finer: unit of the finer level → unit of this one.
    """

    weights: Floats
    limits: ChipLimits
    finer: Indices


def multilevel(
    weights: Floats, limits: ChipLimits, chip_of: Indices | None, iterations: int, limit: Budget, seed: int
) -> Indices | None:
    """A partition found from the coarsest graph to the finest; None where the coarsest has none that fits.

    Units are joined along heavy edges (Karypis and Kumar, SIAM J. Sci. Comput. 20(1), 1998). Each graph is searched by
    tabu, the coarsest also by CP-SAT, and hands its partition to the next.

    Args:
        weights: words both ways between units: [units, units].
        chip_of: a partition that is kept to: only units of one chip are joined, and the search begins with it.
            None joins any, and begins anew.
        iterations: of tabu on each graph.
        limit: of CP-SAT.
    """
    levels = _levels(weights, limits, chip_of, seed)
    coarsest = levels[-1]
    if chip_of is None:
        found = _begin(coarsest)
    else:
        found = chip_of
        for level in levels[1:]:
            found = _first_of(level.finer, found)
    if found is None:
        return None
    for level in reversed(levels):
        found = tabu(level.weights, level.limits, found, iterations, seed)
        if level is coarsest:
            found = solve_chips(level.weights, level.limits, found, limit, seed)[0]
        found = found[level.finer] if level is not levels[0] else found
    return found if limits.allow(found) else None


def _levels(weights: Floats, limits: ChipLimits, chip_of: Indices | None, seed: int) -> list[Level]:
    """The graphs, the finest first."""
    units = len(limits.units.sizes)
    levels = [Level(weights, limits, np.arange(units))]
    on = np.zeros(units, np.int64) if chip_of is None else chip_of
    random = np.random.default_rng(seed)
    while len(levels[-1].weights) > CLUSTERS_A_CHIP * limits.chips:
        cluster_of = _matched(levels[-1], on, random)
        if cluster_of.max(initial=-1) + 1 > SHRINKS * len(cluster_of):
            break
        on = _first_of(cluster_of, on)
        levels.append(_contracted(levels[-1], cluster_of))
    return levels


def _matched(level: Level, on: Indices, random: np.random.Generator) -> Indices:
    """Unit → cluster of at most two units, joined along the edges with the most words for their size."""
    units = level.limits.units
    sizes, count = units.sizes, len(units.sizes)
    most = max(int(level.limits.capacities.max()) // LARGEST_PART, 1)
    one, other = np.nonzero(np.triu(level.weights, 1))
    fits = (sizes[one] + sizes[other] <= most) & (on[one] == on[other]) & (units.pinned[one] == units.pinned[other])
    strangers = {tuple(pair) for pair in units.apart.tolist()}
    one, other = one[fits], other[fits]
    rate = level.weights[one, other] / (sizes[one] * sizes[other]) * random.uniform(0.9, 1.0, len(one))
    mate = np.arange(count)
    for edge in np.argsort(-rate, kind="stable").tolist():
        a, b = int(one[edge]), int(other[edge])
        if mate[a] == a and mate[b] == b and (a, b) not in strangers:
            mate[a], mate[b] = b, a
    return np.unique(np.minimum(mate, np.arange(count)), return_inverse=True)[1].reshape(-1)


def _contracted(level: Level, cluster_of: Indices) -> Level:
    """The graph between clusters; a pair of clusters is kept apart where units of theirs are."""
    count, units = int(cluster_of.max()) + 1, level.limits.units
    order = np.argsort(cluster_of, kind="stable")
    start = np.searchsorted(cluster_of[order], np.arange(count))
    rows = np.add.reduceat(level.weights[order], start, axis=0)
    weights = np.add.reduceat(rows[:, order], start, axis=1)
    np.fill_diagonal(weights, 0.0)
    pinned = np.full(count, -1)
    np.maximum.at(pinned, cluster_of, units.pinned)
    larger = Units(cluster_of[units.unit_of], pinned).asking(pinned, cluster_of[units.apart])
    return Level(weights, ChipLimits(larger, level.limits.capacities), cluster_of)


def _begin(level: Level) -> Indices | None:
    """A first partition, by attraction, the largest clusters first or in the layers' order."""
    source, target = np.nonzero(level.weights)
    flows = TileFlows(source, target, level.weights[source, target])
    sizes = level.limits.units.sizes
    for order in (np.arange(len(sizes)), np.argsort(-sizes, kind="stable")):
        found = by_attraction(flows, level.limits, order)
        if found is not None:
            return found
    return None


def _first_of(cluster_of: Indices, values: Indices) -> Indices:
    """Cluster → the value of its units, which is the same for all."""
    return values[np.unique(cluster_of, return_index=True)[1]]

"""The quadratic assignment problem: tiles on sites, the words between two tiles times the distance of their sites.

Nothing here knows about machines: flows and distances are matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mho.passes.place.bounds import lower_bound
from mho.passes.place.tabu import Instances, anywhere, iterated_search
from mho.targets.arrays import Floats, Indices, Mask

LARGEST_SUM = 2.0**50
"""Flows are rounded to whole numbers whose costs stay below this, so that every sum is exact on every machine."""


@dataclass(frozen=True)
class Assignment:
    """A solution of a quadratic assignment problem.

    Attributes:
        site_of: tile → site.
        cost: sum over ordered pairs of tiles of flow times distance, and of what each tile costs alone.
        bound: no assignment costs less.
    """

    site_of: Indices
    cost: float
    bound: float


@dataclass(frozen=True)
class Qap:
    """A quadratic assignment problem; its sites and their distances are told apart, as several may share them.

    Attributes:
        flow: words from tile to tile, [tiles, tiles]; the diagonal counts nothing.
        alone: what a tile on a site costs by itself, [tiles, sites]; None is nothing.
        allowed: which tiles may stand where, [tiles, sites]; None where every site will do.
    """

    flow: Floats
    alone: Floats | None = None
    allowed: Mask | None = None

    def __len__(self) -> int:
        return len(self.flow)

    def cost(self, distance: Floats, site_of: Indices) -> float:
        """Sum over ordered pairs of tiles of flow times the distance of their sites, and of each tile alone."""
        linear = 0.0 if self.alone is None else float(self.alone[np.arange(len(site_of)), site_of].sum())
        return cost_of(self.flow, distance, site_of) + linear


def cost_of(flow: Floats, distance: Floats, site_of: Indices) -> float:
    """Sum over ordered pairs of tiles of flow times the distance of their sites."""
    return float((flow * distance[np.ix_(site_of, site_of)]).sum())


def solve_qaps(
    qaps: list[Qap],
    distance: Floats,
    begin: list[Indices],
    iterations: int,
    seed: int = 0,
    searches: int = 1,
    out_of_time: Callable[[], bool] = lambda: False,
) -> list[Assignment]:
    """Find cheap assignments of several instances over the same sites, side by side.

    Args:
        distance: [sites, sites], symmetric with a diagonal of zeros; at least as many sites as tiles.
        begin: tile → site, all different, where the first search of each instance starts; others start anywhere.
        iterations: exchanges that every search makes.
        searches: of each instance.
        out_of_time: ends the searches early; asked now and then.
    """
    sites = len(distance)
    scales = [_scale(qap, distance) for qap in qaps]
    whole = _whole(qaps, scales, distance)
    bounds = np.array([_bound(whole, i) for i in range(len(qaps))])
    best = np.stack([_complete(given, sites) for given in begin])
    pending = np.flatnonzero(whole.costs(best) > bounds)
    if len(pending):
        some, least = whole.of(pending), bounds[pending]
        starts = _starts(best[pending], some, searches, rng := np.random.default_rng(seed))
        best[pending] = iterated_search(
            some, starts, iterations, rng, lambda costs: bool((costs <= least).all()) or out_of_time()
        )
    return [_finish(*each, distance) for each in zip(qaps, scales, best, bounds.tolist(), strict=True)]


def _starts(best: Indices, instances: Instances, searches: int, rng: np.random.Generator) -> Indices:
    """The given assignments and random ones: [searches, instances, n]."""
    sites = best.shape[1]
    masks = [None] * len(best) if instances.barred is None else list(instances.barred)
    others = [np.stack([anywhere(sites, mask, rng) for mask in masks]) for _ in range(searches - 1)]
    return np.stack([best, *others])


def _bound(whole: Instances, number: int) -> float:
    alone = None if whole.alone is None else whole.alone[number]
    return lower_bound(whole.flows[number], whole.distance, alone)


def _finish(qap: Qap, scale: float, site_of: Indices, bound: float, distance: Floats) -> Assignment:
    """The answer in the units of the flows."""
    placed = site_of[: len(qap)]
    cost = qap.cost(distance, placed)
    rounding = 0.0 if scale == 1 else (qap.flow.size * float(distance.max(initial=0)) + len(qap)) / scale / 2
    return Assignment(placed, cost, float(min(cost, max(0.0, bound / scale - rounding))))


def _scale(qap: Qap, distance: Floats) -> float:
    """What costs are multiplied by before they are rounded; 1 where they are whole already."""
    given = [qap.flow] if qap.alone is None else [qap.flow, qap.alone]
    linear = 0.0 if qap.alone is None else float(qap.alone.max(axis=1, initial=0).sum())
    largest = 2.0 * (float(qap.flow.sum()) * max(1.0, float(distance.max(initial=0))) + linear)
    if largest <= LARGEST_SUM and all(np.array_equal(part, np.rint(part)) for part in given):
        return 1.0
    return 2.0 ** np.floor(np.log2(2.0**40 / largest)) if largest else 1.0


def _whole(qaps: list[Qap], scales: list[float], distance: Floats) -> Instances:
    """The instances in whole numbers, padded with tiles that send nothing and may stand anywhere."""
    sites, count = len(distance), len(qaps)
    flows = np.zeros((count, sites, sites))
    alone = np.zeros((count, sites, sites))
    barred = np.zeros((count, sites, sites), bool)
    for i, (qap, scale) in enumerate(zip(qaps, scales, strict=True)):
        tiles = len(qap)
        flows[i, :tiles, :tiles] = np.rint((qap.flow + qap.flow.T) * scale)
        np.fill_diagonal(flows[i], 0.0)
        if qap.alone is not None:
            alone[i, :tiles] = np.rint(qap.alone * scale)
        if qap.allowed is not None:
            barred[i, :tiles] = ~qap.allowed
    return Instances(flows, distance, alone if alone.any() else None, barred if barred.any() else None)


def _complete(site_of: Indices, sites: int) -> Indices:
    """The assignment with the free sites given to the tiles that send nothing."""
    return np.concatenate([site_of, np.setdiff1d(np.arange(sites), site_of)])

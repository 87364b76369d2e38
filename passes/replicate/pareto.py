"""Tiles against interval against energy: the best that copies make of every number of tiles within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mho.passes.replicate.search import CopiesSearch, Trial, thinned
from mho.passes.workload.interval import clocked
from mho.passes.workload.work import core_work
from mho.targets.cost import energy_nj
from mho.targets.mapping import ParetoPoint

MOST_POINTS = 64
"""Points that are kept; of more, these are evenly spread."""

MOST_PACKED = 400_000
"""Blocks that are packed in all; with more blocks a point, fewer intervals are tried."""

LEAST_TRIED = 16
"""Intervals that are tried whatever the number of blocks."""


def pareto_points(search: CopiesSearch) -> tuple[ParetoPoint, ...]:
    """Single copies, and the points that no other beats in tiles and interval; none where single copies do not fit.

    A point is found for every interval that copies can give, from that of single copies to the shortest within the
    budget: the fewest copies that reach it, packed quickly. Between two intervals that need equally many tiles
    all need as many. Copies change no energy but that of words on links, which is no part of it.
    """
    best = search.best
    if best is None or not search.single.blocks:
        return ()
    blocks = len(best.trial.tiling.blocks)
    places = thinned(search.reached, max(LEAST_TRIED, MOST_PACKED // blocks))
    alone, *kept = _undominated([best.trial, *_trials(search, places)])
    single = search.verdict(search.reached[-1]).trial or alone
    kept = [single, *([alone] if alone.rank != single.rank else []), *kept]
    return tuple(_point(kept[at]) for at in thinned(range(len(kept)), MOST_POINTS))


def _trials(search: CopiesSearch, places: Sequence[int]) -> Iterator[Trial]:
    """Trials at the places, but for those between two of equally many tiles where the shorter interval is as cheap."""
    ends = [search.verdict(place).trial for place in (places[0], places[-1])]
    yield from (trial for trial in ends if trial is not None)
    sizes = {len(trial.tiling.tiles) if trial is not None else None for trial in ends}
    if len(places) > 2 and len(sizes) > 1:
        middle = len(places) // 2
        yield from _trials(search, places[: middle + 1])
        yield from _trials(search, places[middle:])


def _undominated(trials: Iterable[Trial]) -> list[Trial]:
    """Those that no other has both fewer tiles and a shorter interval than, in order of their tiles."""
    kept: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (len(t.tiling.tiles), t.interval)):
        if not kept or trial.interval < kept[-1].interval:
            kept.append(trial)
    return kept


def _point(trial: Trial) -> ParetoPoint:
    target = trial.tiling.target
    mvm = clocked(target).costs.mvm_latency_ns or 1.0
    return ParetoPoint(
        tiles=len(trial.tiling.tiles),
        mvms=trial.interval / mvm,
        interval_ns=None if target.costs.mvm_latency_ns is None else trial.interval,
        energy_nj=energy_nj(target, core_work(trial.tiling)),
        copies={name: copies for name, copies in trial.tiling.replicas.items() if copies > 1},
    )

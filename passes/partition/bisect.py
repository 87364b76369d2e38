"""Improve a partition two chips at a time: exchanges first, then CP-SAT over the tiles of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mho.passes.partition.limits import ChipLimits
from mho.passes.solver import Budget, Problem, in_parallel, new_model, solve
from mho.passes.watch import watch
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.targets.arrays import Floats, Indices, Mask

SWEEPS = 6
"""The most sweeps of exchanges over all pairs of chips that have traffic between them."""

WORTHWHILE = 1e-3
"""A sweep that cuts fewer words by less than this part is the last."""

PAIRS = 1000
PAIRS_A_CHIP = 4
"""Pairs of chips of a sweep, those with the most traffic: at most PAIRS, or where there are many chips so many a chip.
On 1,790 chips twice as many pairs cut no fewer words."""

BISECTIONS = 4
"""Pairs of chips that CP-SAT looks at, those with the most traffic; it seldom gains much over exchanges."""

COARSE_WORDS = 2**30
"""CP-SAT counts whole numbers: words are scaled so that all of a pair's words are about this."""


@dataclass(frozen=True)
class Pair:
    """Two chips and what is on them.

    Attributes:
        members: the units on either chip.
        weights: words both ways among the members, symmetric.
        capacities: tiles that each of the chips takes.
        second: which members are on the second chip.
        tied: which members stay where they are unless others move with them.
        pinned: which members stay where they are.
        apart: pairs of members that may not be on one side: [pairs, 2].
    """

    members: Indices
    sizes: Indices
    weights: Floats
    capacities: tuple[int, int]
    second: Mask
    tied: Mask
    pinned: Mask
    apart: Indices

    @property
    def cut(self) -> float:
        return float(self.weights[np.ix_(~self.second, self.second)].sum())


def refine_pairs(
    flows: TileFlows, chip_of: Indices, limits: ChipLimits, limit: Budget, seed: int
) -> tuple[Indices, float]:
    """The partition improved between pairs of chips, and a lower bound of its words where there are two chips.

    The words cut never grow; the bound is 0 where nothing is proved.
    """
    chips = limits.chips
    for _ in range(SWEEPS):
        before = cut_words(flows, chip_of)
        pairs = _busy_pairs(flows, chip_of)[: max(PAIRS, PAIRS_A_CHIP * chips)]
        chip_of, _ = _sweep(flows, chip_of, limits, pairs, exchange, limit)
        if watch().over() or cut_words(flows, chip_of) >= (1 - WORTHWHILE) * before:
            break
    pairs = _busy_pairs(flows, chip_of)[:BISECTIONS]
    share = limit.share(2 if chips == 2 else 4 * len(pairs))
    chip_of, bounds = _sweep(flows, chip_of, limits, pairs, lambda pair: bisect(pair, share, seed), limit)
    return chip_of, bounds[0] if chips == 2 and bounds else 0.0


def exchange(pair: Pair) -> tuple[Pair, float]:
    """Exchange and move units while that cuts fewer words (Kernighan and Lin, Bell Syst. Tech. J. 49(2), 1970).

    A pass moves every unit once at most, the best next exchange first even where it cuts more, and keeps the best
    of the partitions it came through. Units of size 0 stand for the free room, so that a move is an exchange too.
    Nothing is proved: the bound is 0.
    """
    units = len(pair.sizes)
    spare = min(sum(pair.capacities) - int(pair.sizes.sum()), units)
    sizes = np.append(pair.sizes, np.zeros(2 * spare, np.int64))
    weights = np.pad(pair.weights, (0, 2 * spare))
    second = np.concatenate([pair.second, np.zeros(spare, bool), np.ones(spare, bool)])
    tied = np.append(pair.tied, np.zeros(2 * spare, bool))
    least = 1e-6 * float(weights.sum())
    while True:
        better, gain = _exchange_once(weights, sizes, second, tied, pair.capacities)
        if gain <= least:
            return replace(pair, second=better[:units]), 0.0
        second = better


def _exchange_once(
    weights: Floats, sizes: Indices, second: Mask, tied: Mask, capacities: tuple[int, int]
) -> tuple[Mask, float]:
    """One pass; a unit that was moved, or is tied, gains −∞ by another move."""
    here, there = np.flatnonzero(~second), np.flatnonzero(second)
    across = np.where(second[:, None] != second[None, :], weights, -weights).sum(axis=1)
    across[tied] = -np.inf
    gain_here, gain_there = across[here], across[there]
    between = 2 * weights[np.ix_(here, there)]
    twice_here, twice_there = 2 * weights[:, here], 2 * weights[:, there]
    shift = sizes[here][:, None] - sizes[there][None, :]
    even = not shift.any()
    room_here, room_there = capacities[0] - int(sizes[here].sum()), capacities[1] - int(sizes[there].sum())
    taken: list[tuple[int, int]] = []
    gain = most = 0.0
    best = 0
    for _ in range(len(sizes) // 2):
        gains = gain_here[:, None] + gain_there[None, :] - between
        if not even:
            gains[(shift > room_there) | (-shift > room_here)] = -np.inf
        a, b = divmod(int(gains.argmax()), len(there))
        if gains[a, b] == -np.inf:
            break
        gain += float(gains[a, b])
        gain_here += twice_here[here[a]]
        gain_here -= twice_here[there[b]]
        gain_there -= twice_there[here[a]]
        gain_there += twice_there[there[b]]
        gain_here[a] = gain_there[b] = -np.inf
        room_here, room_there = room_here + int(shift[a, b]), room_there - int(shift[a, b])
        taken.append((int(here[a]), int(there[b])))
        if gain > most * (1 + 1e-12):
            most, best = gain, len(taken)
    moved = [unit for pair in taken[:best] for unit in pair]
    sides = second.copy()
    sides[moved] = ~sides[moved]
    return sides, most


def bisect(pair: Pair, limit: Budget, seed: int) -> tuple[Pair, float]:
    """The pair with the best sides that CP-SAT finds, starting from those it has, and a bound of its cut."""
    scale = COARSE_WORDS / max(float(pair.weights.sum()), 1.0)
    coarse = np.rint(pair.weights * scale).astype(np.int64)
    model = new_model()
    sides = [model.new_bool_var(f"second_{i}") for i in range(len(pair.sizes))]
    apart = []
    for a, b in zip(*np.nonzero(np.triu(coarse)), strict=True):
        crosses = model.new_bool_var(f"apart_{a}_{b}")
        model.add_implication(sides[a], sides[b]).only_enforce_if(~crosses)
        model.add_implication(sides[b], sides[a]).only_enforce_if(~crosses)
        model.add_hint(crosses, bool(pair.second[a] != pair.second[b]))
        apart.append(int(coarse[a, b]) * crosses)
    load = sum(int(size) * side for size, side in zip(pair.sizes, sides, strict=True))
    model.add_linear_constraint(load, int(pair.sizes.sum()) - pair.capacities[0], pair.capacities[1])
    for a, b in pair.apart.tolist():
        model.add_bool_xor(sides[a], sides[b])
    for a in np.flatnonzero(pair.pinned).tolist():
        model.add(sides[a] == int(pair.second[a]))
    if pair.capacities[0] == pair.capacities[1] and not pair.pinned.any():  # the mirror image is as good
        model.add(sides[0] == int(pair.second[0]))
    for side, now in zip(sides, pair.second, strict=True):
        model.add_hint(side, bool(now))
    model.minimize(sum(apart))
    found = solve(Problem(model, tuple(sides)), limit, seed)
    better = replace(pair, second=np.array(found.values, bool)) if found.values else pair
    better = better if better.cut < pair.cut else pair
    if found.status == "OPTIMAL":
        return better, better.cut
    return better, max(0.0, ((found.bound or 0.0) - len(apart) / 2) / scale)


def _sweep(
    flows: TileFlows,
    chip_of: Indices,
    limits: ChipLimits,
    waiting: list[tuple[int, int]],
    improve: Callable[[Pair], tuple[Pair, float]],
    limit: Budget,
) -> tuple[Indices, list[float]]:
    """Improve pairs of chips once each, those without a chip in common side by side; with the bounds found."""
    chip_of, bounds = chip_of.copy(), []
    order = np.argsort(chip_of, kind="stable")
    held = np.split(order, np.cumsum(np.bincount(chip_of, minlength=limits.chips))[:-1])
    while waiting:
        if watch().over():
            break
        together, waiting = _disjoint(waiting)
        pairs = [_pair(flows, chips, held, limits) for chips in together]
        for (first, second), (improved, bound) in zip(together, in_parallel(improve, pairs, limit), strict=True):
            bounds.append(bound)
            here, there = improved.members[~improved.second], improved.members[improved.second]
            if _allowed(flows, limits, chip_of, (first, here), (second, there)):
                chip_of[here], chip_of[there] = first, second
                held[first], held[second] = here, there
    return chip_of, bounds


def _allowed(
    flows: TileFlows, limits: ChipLimits, chip_of: Indices, one: tuple[int, Indices], other: tuple[int, Indices]
) -> bool:
    """Whether two chips take these units, and links do not become fuller beyond what they take."""
    if not (limits.holds(*one) and limits.holds(*other)):
        return False
    if limits.link_words is None:
        return True
    tried = chip_of.copy()
    for chip, units in (one, other):
        tried[units] = chip
    return limits.overload(flows, tried) <= limits.overload(flows, chip_of)


def _disjoint(waiting: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The pairs that have no chip in common with one before them, and the others."""
    together: list[tuple[int, int]] = []
    later: list[tuple[int, int]] = []
    taken: set[int] = set()
    for pair in waiting:
        if taken.isdisjoint(pair):
            together.append(pair)
            taken.update(pair)
        else:
            later.append(pair)
    return together, later


def _busy_pairs(flows: TileFlows, chip_of: Indices) -> list[tuple[int, int]]:
    """Pairs of chips with words between them, the most words first."""
    source, target = chip_of[flows.source], chip_of[flows.target]
    apart = source != target
    low, high = np.minimum(source, target)[apart], np.maximum(source, target)[apart]
    chips = int(chip_of.max(initial=0)) + 1
    pairs, where = np.unique(low * chips + high, return_inverse=True)
    words = np.bincount(where, flows.words[apart], len(pairs))
    return [(int(p) // chips, int(p) % chips) for p in pairs[np.argsort(-words, kind="stable")]]


def _pair(flows: TileFlows, chips: tuple[int, int], held: list[Indices], limits: ChipLimits) -> Pair:
    first, second = chips
    members = np.sort(np.concatenate([held[first], held[second]]))
    weights = flows.among(members).symmetric(len(members))
    capacities = int(limits.capacities[first]), int(limits.capacities[second])
    units = limits.units
    both = np.isin(units.apart, members).all(axis=1)
    return Pair(
        members=members,
        sizes=units.sizes[members],
        weights=weights,
        capacities=capacities,
        second=np.isin(members, held[second]),
        tied=limits.tied(members),
        pinned=units.pinned[members] >= 0,
        apart=np.searchsorted(members, units.apart[both]),
    )

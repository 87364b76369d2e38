"""Improve a partition over all chips at once: a tabu search over moves and exchanges of units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mho.passes.partition.limits import ChipLimits
from mho.passes.watch import watch
from mho.targets.arrays import Floats, Indices, Mask

CANDIDATES = 120
"""Units that exchanges are looked for among: those that gain most by a move to any other chip."""

SHORTEST_TENURE = 5
PART_IN_TENURE = 8
"""A unit may not come back for up to so many iterations, or up to this part of the units where that is more."""


def tabu(weights: Floats, limits: ChipLimits, chip_of: Indices, iterations: int, seed: int) -> Indices:
    """The best partition that a tabu search comes through (Glover, ORSA J. Comput. 1(3), 1989).

    Every iteration takes the best move or exchange that keeps to the capacities and that is not forbidden, even
    where it cuts more words. What a pin or a pair that is kept apart concerns stays where it is.

    Args:
        weights: words both ways between units, symmetric: [units, units].
        chip_of: the start.
    """
    search = _Search(weights, limits, chip_of.copy(), np.random.default_rng(seed))
    best, least, follower = chip_of, 0.0, watch()
    for iteration in range(iterations):
        if follower.over() or not search.step(iteration, least):
            break
        if search.cut < least - search.smallest:
            best, least = search.chip_of.copy(), search.cut
    return best if limits.allow(best) else chip_of


@dataclass
class _Search:
    """The partition that the search is at.

    Attributes:
        cut: words cut, less those of the start.
        pull: words of each unit with each chip: [units, chips].
        until: the iteration from which a unit may go to a chip: [units, chips].
    """

    weights: Floats
    limits: ChipLimits
    chip_of: Indices
    random: np.random.Generator
    cut: float = 0.0
    pull: Floats = field(init=False)
    until: Indices = field(init=False)

    def __post_init__(self) -> None:
        units, chips = len(self.chip_of), self.limits.chips
        self.sizes = self.limits.units.sizes
        self.pull = self.weights @ (self.chip_of[:, None] == np.arange(chips)).astype(np.float64)
        self.until = np.zeros((units, chips), np.int64)
        self.until[self.limits.tied(np.arange(units))] = np.iinfo(np.int64).max
        self.free = self.limits.capacities - np.bincount(self.chip_of, self.sizes, chips).astype(np.int64)
        self.smallest = 1e-9 * float(self.weights.sum())
        self._units = np.arange(units)

    def step(self, iteration: int, least: float) -> bool:
        """The best of all moves and exchanges; False where there is none."""
        gains = self.pull - self.pull[self._units, self.chip_of][:, None]
        gains[self._units, self.chip_of] = -np.inf
        forbidden = self.until > iteration
        needed = self.cut - least + self.smallest
        unit, chip, gain = self._best_move(gains, forbidden, needed)
        one, other, more = self._best_exchange(gains, forbidden)
        if max(gain, more) == -np.inf:
            return False
        if gain >= more:
            self._move(unit, chip, iteration)
        else:
            first, second = int(self.chip_of[one]), int(self.chip_of[other])
            self._move(one, second, iteration)
            self._move(other, first, iteration)
        self.cut -= max(gain, more)
        return True

    def _best_move(self, gains: Floats, forbidden: Mask, needed: float) -> tuple[int, int, float]:
        """The unit, its chip and the gain; what is forbidden is allowed where it makes the best partition so far."""
        frozen = self.until == np.iinfo(np.int64).max
        fits = (self.sizes[:, None] <= self.free) & (~forbidden | ((gains > needed) & ~frozen))
        moves = np.where(fits, gains, -np.inf)
        unit, chip = divmod(int(moves.argmax()), self.limits.chips)
        return unit, chip, float(moves[unit, chip])

    def _best_exchange(self, gains: Floats, forbidden: Mask) -> tuple[int, int, float]:
        """Two units on two chips, and the gain."""
        open_gains = np.where(forbidden, -np.inf, gains)
        hopeful = open_gains.max(axis=1)
        units = self._units
        if len(units) > CANDIDATES:
            units = np.sort(np.argsort(-hopeful, kind="stable")[:CANDIDATES])
        chips, sizes = self.chip_of[units], self.sizes[units]
        across = open_gains[units][:, chips]
        both = across + across.T - 2 * self.weights[np.ix_(units, units)]
        grows = sizes[None, :] - sizes[:, None]  # of the first unit's chip
        room = self.free[chips]
        both[(grows > room[:, None]) | (-grows > room[None, :])] = -np.inf
        one, other = divmod(int(both.argmax()), len(units))
        return int(units[one]), int(units[other]), float(both[one, other])

    def _move(self, unit: int, chip: int, iteration: int) -> None:
        old = int(self.chip_of[unit])
        self.pull[:, old] -= self.weights[unit]
        self.pull[:, chip] += self.weights[unit]
        self.free[old] += self.sizes[unit]
        self.free[chip] -= self.sizes[unit]
        self.chip_of[unit] = chip
        longest = SHORTEST_TENURE + max(10, len(self.chip_of) // PART_IN_TENURE)
        self.until[unit, old] = iteration + 1 + int(self.random.integers(SHORTEST_TENURE, longest))

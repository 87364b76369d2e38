"""A lower bound of a partition's cut from a semidefinite relaxation, solved roughly and made safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mho.passes.watch import watch
from mho.targets.arrays import Floats, Indices

STEP = 1.6
"""Of the multipliers; the method converges below the golden ratio in practice (Wen, Goldfarb and Yin, section 2)."""

EVERY = 10
"""Iterations between two looks at the residuals, which set the penalty."""


@dataclass(frozen=True)
class Relaxation:
    """Units in at most `parts` parts of at most `capacity` tiles, relaxed.

    X has a 1 where two units share a part: its diagonal is 1, no entry is negative, no row holds more tiles than a
    part does, and X − J / parts has no negative eigenvalue. The least words between parts over all such X is a
    lower bound (Karisch and Rendl, "Semidefinite programming and graph equipartition", 1998).

    The dual is max bᵀy + ⟨S, J⟩ / parts over Aᵀy + S + N = C with S positive semidefinite and N ≥ 0, by the method of
    Wen, Goldfarb and Yin (Math. Program. Comput. 2, 2010, eq. 7–9) with a block for N (their section 4).

    Attributes:
        weights: words both ways, symmetric with an empty diagonal: [units, units].
        sizes: unit → its tiles.
    """

    weights: Floats
    sizes: Floats
    capacity: float
    parts: int

    @property
    def total(self) -> float:
        return float(self.weights.sum()) / 2

    @cached_property
    def scale(self) -> float:
        return 2 / max(float(np.linalg.norm(self.weights)), 1e-300)

    @cached_property
    def cost(self) -> Floats:
        """C: ⟨C, X⟩ is the words inside parts, negative and scaled."""
        cost: Floats = -self.weights / 2 * self.scale
        return cost

    @cached_property
    def _length(self) -> float:
        return float(np.linalg.norm(self.sizes))

    @cached_property
    def right(self) -> Floats:
        """b: of the diagonals, then of the rows, with a slack each."""
        units = len(self.sizes)
        return np.append(np.ones(units), np.full(units, self.capacity / self._length))

    @cached_property
    def inverse(self) -> Floats:
        """(A Aᵀ)⁻¹: of the diagonals and the rows."""
        units, sizes = len(self.sizes), self.sizes / self._length
        gram = np.eye(2 * units)
        gram[:units, units:] = gram[units:, :units] = np.diag(sizes)
        gram[units:, units:] = np.eye(units) * 1.5 + np.outer(sizes, sizes) / 2
        return np.linalg.inv(gram).astype(np.float64)

    def rows(self, x: Floats, slack: Floats) -> Floats:
        """A x: diagonals, and tiles beside each unit with the slack."""
        return np.append(np.diag(x), x @ self.sizes / self._length + slack)

    def lifted(self, y: Floats) -> Floats:
        """Aᵀ y."""
        units = len(self.sizes)
        outer = np.outer(y[units:], self.sizes / (2 * self._length))
        lifted: Floats = np.diag(y[:units]) + outer + outer.T
        return lifted

    def safe(self, y: Floats, nonnegative: Floats) -> float:
        """The bound that follows from any y and N ≥ 0, however far from feasible: words between parts.

        X − J / parts has the trace units · (1 − 1 / parts), and its eigenvalues are at most the units that one part
        holds (Donath and Hoffman, IBM J. Res. Dev. 17(5), 1973, use the same), so what is left of C has at least the
        sum of its smallest eigenvalues times so much.
        """
        units = len(self.sizes)
        y = np.append(y[:units], np.minimum(y[units:], 0.0))
        rest = self.cost - self.lifted(y) - nonnegative
        most = np.searchsorted(np.cumsum(np.sort(self.sizes)), self.capacity, side="right")
        share = units * (1 - 1 / self.parts) - most * np.arange(units)
        eigenvalues = np.minimum(np.linalg.eigvalsh((rest + rest.T) / 2), 0.0)
        loss = float(np.clip(share, 0.0, most) @ eigenvalues)
        return (float(self.right @ y) + float(rest.sum()) / self.parts + loss) / self.scale + self.total


def semidefinite_bound(
    problem: Relaxation, start: Indices, iterations: int, tell: Callable[[float], None] = lambda bound: None
) -> float:
    """The best safe bound after some iterations, at least 0.

    Args:
        start: unit → part, a good partition, where the iterations begin.
        tell: is told the bound as it grows.
    """
    units = len(problem.sizes)
    mean = np.full((units, units), 1 / problem.parts)
    x = (start[:, None] == start[None, :]).astype(np.float64)
    slack = problem.right[units:] - x @ problem.sizes / problem._length
    penalty = 1 / float(np.linalg.norm(x))
    positive, nonnegative, spare = np.zeros_like(x), np.zeros_like(x), np.zeros(units)
    best, follower = 0.0, watch()
    for iteration in range(1, iterations + 1):
        gap = problem.right - problem.rows(x, slack)
        y = problem.inverse @ (problem.rows(problem.cost - positive - nonnegative, -spare) + penalty * gap)
        rest = problem.cost - problem.lifted(y)
        nonnegative = np.maximum(rest - positive - penalty * x, 0.0)
        np.fill_diagonal(nonnegative, 0.0)
        spare = np.maximum(-y[units:] - penalty * slack, 0.0)
        positive, negative = _parts(rest - nonnegative - penalty * (x - mean))
        x += STEP * (mean + negative / penalty - x)
        slack += STEP * (spare + y[units:]) / penalty
        if iteration % EVERY == 0:
            primal = np.linalg.norm(problem.rows(x, slack) - problem.right) / (1 + np.linalg.norm(problem.right))
            dual = np.linalg.norm(rest - positive - nonnegative) / 2
            penalty *= 1.15 if primal > 1.5 * dual else 1 / 1.15 if primal < dual / 1.5 else 1.0
        last = iteration == iterations or follower.over()
        if last or iteration % (5 * EVERY) == 0:
            best = max(best, problem.safe(y, nonnegative))
            tell(best)
        if last:
            break
    return best


def _parts(matrix: Floats) -> tuple[Floats, Floats]:
    """P and Q without negative eigenvalues whose difference P − Q is the symmetric matrix."""
    matrix = (matrix + matrix.T) / 2
    eigenvalues, vectors = np.linalg.eigh(matrix)
    first = int(np.searchsorted(eigenvalues, 0.0))
    low, high = vectors[:, :first], vectors[:, first:]
    if first < len(eigenvalues) - first:
        negative: Floats = (low * -eigenvalues[:first]) @ low.T
        return matrix + negative, negative
    positive: Floats = (high * eigenvalues[first:]) @ high.T
    return positive, positive - matrix

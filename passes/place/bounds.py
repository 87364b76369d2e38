"""What no assignment of a quadratic assignment problem undercuts."""

from __future__ import annotations

import numpy as np

from mho.targets.arrays import Floats

LARGEST_HUNGARIAN = 256
LARGEST_SPECTRUM = 256
"""Tiles up to which an assignment is solved, more being bounded by rows and columns; and eigenvalues are found."""

DENSE = 0.25
"""The least part of the pairs of tiles that send words to each other for which eigenvalues are worth their time."""

DIGITS = 1e-9
"""The part of a bound from eigenvalues that is given away, as they differ between machines in the last digits."""


def lower_bound(flow: Floats, distance: Floats, alone: Floats | None = None) -> float:
    """The better of two bounds: sparse flows favour Gilmore's and Lawler's, dense ones the projection.

    Args:
        flow: symmetric with a diagonal of zeros, [n, n]; every pair counts once.
        distance: symmetric with a diagonal of zeros, [n, n].
        alone: what a tile on a site costs by itself, [n, n].
    """
    linear = np.zeros_like(flow) if alone is None else alone
    least = gilmore_lawler(flow, distance, linear)
    dense = np.count_nonzero(flow) >= DENSE * flow.size
    return max(least, projection(flow, distance, linear)) if dense else least


def gilmore_lawler(flow: Floats, distance: Floats, alone: Floats) -> float:
    """The bound of Gilmore (1962) and Lawler (1963), or a weaker one of the same costs above some hundred tiles.

    Tile i on site k costs at least half its flows, the largest first, times the distances from k, the least first, as
    every pair counts for both of its tiles; the best assignment of these costs bounds all.
    """
    n = len(flow)
    if n < 2:
        return float(alone.min(initial=np.inf)) if n else 0.0
    off = ~np.eye(n, dtype=bool)
    flows = np.sort(flow[off].reshape(n, n - 1), axis=1)[:, ::-1]
    distances = np.sort(distance[off].reshape(n, n - 1), axis=1)
    costs = flows @ distances.T + 2 * alone
    if n <= LARGEST_HUNGARIAN:
        return assignment_cost(costs) / 2
    rows = costs.min(axis=1, keepdims=True)
    return float(rows.sum() + (costs - rows).min(axis=0).sum()) / 2


def projection(flow: Floats, distance: Floats, alone: Floats) -> float:
    """The projected eigenvalue bound of Hadley, Rendl and Wolkowicz (Math. Oper. Res. 17(3), 1992).

    Assignments keep the vector of ones, so flows F and distances D are looked at on the space orthogonal to it, where
    the trace is at least the product of the eigenvalues of both in opposite order; what that leaves out is linear:
    2 (F 1)(D 1)ᵀ / n, of which the best assignment is taken, less 1ᵀF1 · 1ᵀD1 / n².
    """
    n = len(flow)
    if not 2 < n <= LARGEST_SPECTRUM:
        return 0.0
    spread = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, 1:]]))[0][:, 1:]
    flows, distances = (np.linalg.eigvalsh(spread.T @ part @ spread) for part in (flow, distance))
    sums, reach = flow.sum(axis=1), distance.sum(axis=1)
    outer = assignment_cost(2 * np.outer(sums, reach) / n + 2 * alone)
    quadratic = float(flows @ distances[::-1])
    size = abs(quadratic) + abs(outer) + float(sums.sum() * reach.sum()) / n**2
    return (quadratic + outer - float(sums.sum() * reach.sum()) / n**2 - DIGITS * size) / 2


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

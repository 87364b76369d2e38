from __future__ import annotations

import numpy as np
import pytest

from mho.passes.place.tabu import Instances, anywhere, iterated_search, tabu_search


def instances(n: int, barred: bool) -> tuple[Instances, np.ndarray]:
    """Three random instances, and starts that obey what is barred."""
    rng = np.random.default_rng(n)
    flows = np.triu(rng.integers(0, 9, (3, n, n)), 1).astype(np.float64)
    distance = np.triu(rng.integers(1, 9, (n, n)), 1).astype(np.float64)
    mask = rng.random((3, n, n)) < 0.2 if barred else None
    if mask is not None:
        mask[:, range(n), range(n)] = False
    alone = rng.integers(0, 40, (3, n, n)).astype(np.float64)
    return Instances(flows + flows.transpose(0, 2, 1), distance + distance.T, alone, mask), np.tile(
        np.arange(n), (3, 1)
    )


@pytest.mark.parametrize("barred", [False, True])
def test_one_exchange_is_the_best_of_all(barred: bool) -> None:
    given, start = instances(7, barred)
    found = tabu_search(given, start, 1, np.random.default_rng(0))
    tried = []
    for i in range(7):
        for j in range(i):
            other = start.copy()
            other[:, [i, j]] = other[:, [j, i]]
            bad = (
                np.zeros(3, bool)
                if given.barred is None
                else np.take_along_axis(given.barred, other[:, :, None], axis=2).any(axis=(1, 2))
            )
            tried.append(np.where(bad, np.inf, given.costs(other)))
    assert given.costs(found).tolist() == np.minimum(np.min(tried, axis=0), given.costs(start)).tolist()


@pytest.mark.parametrize("barred", [False, True])
def test_a_long_search_keeps_to_its_rules(barred: bool) -> None:
    given, start = instances(9, barred)
    found = iterated_search(given, np.stack([start, start]), 2000, np.random.default_rng(1))
    assert (np.sort(found, axis=1) == np.arange(9)).all()
    assert (given.costs(found) < given.costs(start)).all()
    if given.barred is not None:
        assert not np.take_along_axis(given.barred, found[:, :, None], axis=2).any()


def test_a_search_ends_where_it_is_told_to() -> None:
    given, start = instances(8, False)
    heard: list[float] = []

    def ended(costs: np.ndarray) -> bool:
        heard.append(float(costs.sum()))
        return len(heard) == 3

    iterated_search(given, start[None], 10**9, np.random.default_rng(2), ended)
    assert len(heard) == 3
    assert heard == sorted(heard, reverse=True)


def test_random_starts_obey_the_mask() -> None:
    mask = np.eye(5, dtype=bool)[::-1]
    for seed in range(5):
        assert not mask[range(5), anywhere(5, mask, np.random.default_rng(seed))].any()

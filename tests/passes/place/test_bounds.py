from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.place.assignment import cost_of
from mho.passes.place.bounds import assignment_cost, gilmore_lawler, lower_bound, projection
from mho.passes.place.snake import snake
from mho.passes.sites.room import chip_sites
from mho.targets.target import Mesh

SITES = chip_sites(Mesh(), (3, 2))
DISTANCE = np.abs(SITES[:, None] - SITES[None]).sum(axis=2).astype(np.float64)


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_linear_assignment_is_exact(seed: int, size: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 30, (size, size)).astype(np.float64)
    best = min(costs[np.arange(size), list(p)].sum() for p in permutations(range(size)))
    assert assignment_cost(costs) == best


@given(st.integers(0, 10_000), st.floats(0.1, 1.0), st.sampled_from([0, 1, 50]))
@settings(max_examples=30, deadline=None)
def test_no_assignment_undercuts_a_bound(seed: int, density: float, alone: int) -> None:
    rng = np.random.default_rng(seed)
    flow = np.triu(rng.integers(0, 9, (6, 6)) * (rng.random((6, 6)) < density), 1).astype(np.float64)
    flow += flow.T
    linear = alone * rng.random((6, 6))
    best = min(
        cost_of(flow, DISTANCE, np.array(p)) / 2 + linear[np.arange(6), list(p)].sum() for p in permutations(range(6))
    )
    for bound in (gilmore_lawler, projection):
        assert bound(flow, DISTANCE, linear) <= best + 1e-9
    assert lower_bound(flow, DISTANCE, linear) >= gilmore_lawler(flow, DISTANCE, linear)


def test_bound_of_a_line_of_tiles_is_its_cost() -> None:
    flow = np.zeros((9, 9))
    flow[np.arange(8), np.arange(1, 9)] = 5.0
    sites = chip_sites(Mesh(), (3, 3))
    distance = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    assert cost_of(flow, distance, snake(sites)) == 40.0
    assert lower_bound(flow + flow.T, distance) == 40.0


def test_dense_flows_have_the_bound_of_their_eigenvalues() -> None:
    sites = chip_sites(Mesh(), (6, 6))
    distance = np.abs(sites[:, None] - sites[None]).sum(axis=2).astype(np.float64)
    flow = np.random.default_rng(0).integers(0, 9, (36, 36)).astype(np.float64)
    flow = np.triu(flow, 1) + np.triu(flow, 1).T
    linear = np.zeros((36, 36))
    assert projection(flow, distance, linear) > 1.1 * gilmore_lawler(flow, distance, linear)
    assert lower_bound(flow, distance) == projection(flow, distance, linear)

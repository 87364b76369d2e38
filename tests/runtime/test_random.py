"""Draws are normal, addressed by key and fire alone, and unrelated between keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator, Philox

from mho.runtime.random import MANY_DRAWS, PIECE_DRAWS, firing_normals, key, normals, quantiles


def test_key_tells_parts_apart() -> None:
    keys = [
        key(0),
        key(1),
        key(0, "a", "b"),
        key(0, "ab"),
        key(0, "a,b"),
        key(0, "a", 1),
        key(0, "a", "1"),
        key(0, 1, 2),
        key(0, 12),
        key(0, ""),
        key(-1),
        key(0, '","'),
    ]
    assert len(set(keys)) == len(keys)
    assert all(0 <= k < 1 << 128 for k in keys)


def test_draws_stay_what_they_are() -> None:
    """A seed in someone's report means the same numbers with every later version."""
    assert key(3, "drift", "conv1", 0) == 0x50E28A26CC9F3D88DC191987665AEDEC
    assert firing_normals(7, np.array([3]), 2)[0] == pytest.approx([-0.9777532, 0.6106157], rel=1e-6)


def test_quantiles_have_exact_moments() -> None:
    table = quantiles().astype(np.float64)
    assert table.shape == (65536,)
    assert np.all(np.diff(table) > 0)
    assert abs(table.mean()) < 1e-9
    assert np.mean(table**2) == pytest.approx(1, abs=1e-6)
    assert np.mean(table**4) == pytest.approx(3, abs=0.003)
    assert 4.2 < table[-1] < 4.4


def test_firing_normals_are_normal() -> None:
    drawn = firing_normals(key(0, "noise"), np.arange(8000), 256).astype(np.float64).ravel()
    n = drawn.size
    assert abs(drawn.mean()) < 4 / np.sqrt(n)
    assert abs(drawn.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(np.mean(drawn**3)) < 4 * np.sqrt(15 / n)
    assert abs(np.mean(drawn**4) - 3) < 4 * np.sqrt(96 / n) + 0.003
    for sigma, tail in ((1, 0.317311), (2, 0.0455003), (3, 0.0026998), (4, 6.3342e-5)):
        found = np.count_nonzero(np.abs(drawn) > sigma)
        assert abs(found - n * tail) < 4 * np.sqrt(n * tail) + n * tail * 0.15 * (sigma == 4)


def test_neighbours_and_keys_are_unrelated() -> None:
    drawn = firing_normals(key(0, "noise", 1), np.arange(4000), 64).astype(np.float64)
    other = firing_normals(key(0, "noise", 2), np.arange(4000), 64).astype(np.float64)
    limit = 4.5 / np.sqrt(drawn.size)
    for a, b in (
        (drawn, other),
        (drawn[1:], other[:-1]),
        (drawn[:, 4:], other[:, :-4]),
        (drawn[:, 4:], drawn[:, :-4]),
        (drawn[64:], drawn[:-64]),
        (drawn[1:], drawn[:-1]),
        (drawn[:, 1:], drawn[:, :-1]),
        (drawn[:, 16:], drawn[:, :-16]),
        (drawn[1:] ** 2 - 1, drawn[:-1] ** 2 - 1),
    ):
        assert abs(np.mean(a * b)) < 2 * limit


@settings(max_examples=60, deadline=None)
@given(
    fires=st.lists(st.one_of(st.integers(0, 40), st.integers(0, 2**60)), max_size=12),
    columns=st.integers(1, 70),
    cut=st.integers(0, 12),
)
def test_any_split_gives_the_same_numbers(fires: list[int], columns: int, cut: int) -> None:
    wanted = np.array(fires, np.int64)
    whole = firing_normals(7, wanted, columns)
    assert whole.shape == (len(fires), columns) and whole.dtype == np.float32
    parts = [firing_normals(7, wanted[:cut], columns), firing_normals(7, wanted[cut:], columns)]
    assert np.array_equal(whole, np.concatenate(parts))
    for row, fire in zip(whole, fires, strict=True):
        assert np.array_equal(row, firing_normals(7, np.array([fire]), columns)[0])


@pytest.mark.parametrize("stride", [1, 2, 7, 8, 9, 100])
def test_long_runs_and_strides_agree_with_single_fires(stride: int) -> None:
    fires = np.arange(5, 5 + stride * (PIECE_DRAWS // 128 + 3), stride)
    drawn = firing_normals(9, fires, 128)
    for i in (0, 1, len(fires) // 2, len(fires) - 4, len(fires) - 3, len(fires) - 1):
        assert np.array_equal(drawn[i], firing_normals(9, fires[i : i + 1], 128)[0])


def test_normals_are_normal_and_repeatable() -> None:
    drawn = normals(key(0, "state"), (500, 400))
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn, normals(key(0, "state"), (500, 400)))
    assert not np.array_equal(drawn, normals(key(1, "state"), (500, 400)))
    assert abs(float(drawn.mean())) < 4 / np.sqrt(drawn.size)
    assert float(drawn.astype(np.float64).var()) == pytest.approx(1, abs=4 * np.sqrt(2 / drawn.size))


@pytest.mark.parametrize("count", [MANY_DRAWS - 1, MANY_DRAWS, 3_000_000])
@pytest.mark.parametrize("seed", range(3))
def test_many_normals_are_those_of_numpy(count: int, seed: int) -> None:
    """Bit for bit, tails and refills of words included."""
    chosen = key(seed, "state")
    assert np.array_equal(normals(chosen, (count,)), Generator(Philox(key=chosen)).standard_normal(count, np.float32))


def test_the_first_normals_of_a_key_do_not_depend_on_how_many_are_drawn() -> None:
    long = normals(key(4), (MANY_DRAWS + 7,))
    assert np.array_equal(long[:1000], normals(key(4), (1000,)))
    assert np.array_equal(long[:MANY_DRAWS].reshape(-1, 8), normals(key(4), (MANY_DRAWS // 8, 8)))

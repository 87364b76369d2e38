"""What cells of several devices hold: slices, copies, asymmetry, stuck devices, and what a switch changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.runtime.cells import StuckDevice, program_cells, slice_targets
from mho.runtime.effects import Conditions, Effects
from mho.targets.target import Device

Floats = NDArray[np.float32]
NAMES = ("m", 0)
DAY = 86400.0
IDEAL = Conditions(effects=Effects.ideal())


def only(**effects: bool) -> Conditions:
    return Conditions(effects=replace(Effects.ideal(), **effects))


def matrix(rows: int = 60, columns: int = 40) -> Floats:
    return np.random.default_rng(rows).uniform(-1, 1, (rows, columns)).astype(np.float32)


significances = st.lists(st.floats(0.05, 20), min_size=1, max_size=5).map(lambda f: tuple(sorted(f)))


@given(significances, st.integers(0, 1000))
def test_slices_recombine_and_the_least_significant_fill_first(significance: tuple[float, ...], seed: int) -> None:
    w = np.abs(np.random.default_rng(seed).uniform(-1, 1, 50)).astype(np.float32)
    w[:2] = 0, 1
    held = np.stack([slice_targets(w, significance, pair) for pair in range(len(significance))])
    assert held.min() >= 0 and held.max() <= 1
    shares = np.array(significance) / sum(significance)
    assert np.tensordot(shares, held, 1) == pytest.approx(w, abs=1e-6)
    for less, more in pairwise(held):
        assert np.all(less[more > 1e-4] > 1 - 1e-4)


@pytest.mark.parametrize("significance", [(1.0,), (1.0, 1.0), (3.0, 1.0), (1.0, 0.25, 4.0)])
@pytest.mark.parametrize("copies", [1, 2])
def test_without_noise_a_weight_is_itself(significance: tuple[float, ...], copies: int) -> None:
    for model in ("pcm", "reram"):
        device = Device(model=model, significance=significance, asymmetry=0.1, stuck_high=0.2)
        assert program_cells(matrix(), device, IDEAL, NAMES, copies).weights == pytest.approx(matrix(), abs=1e-6)
    assert np.array_equal(
        program_cells(matrix(), Device(model="pcm", significance=(1.0, 1.0)), IDEAL, NAMES).weights, matrix()
    )


def test_one_pair_is_drawn_as_the_first_of_several() -> None:
    """A pair's devices are its own; the order in which a machine lists them says nothing."""
    on = only(programming_noise=True)
    low, high = (
        program_cells(matrix(), Device(model="pcm", significance=f), on, NAMES).weights
        for f in ((1.0, 3.0), (3.0, 1.0))
    )
    assert np.array_equal(low, high)
    zero = np.zeros((300, 300), np.float32)
    one, two = (
        program_cells(zero, Device(model="pcm", significance=f), on, NAMES).weights for f in ((1.0,), (1.0, 1.0))
    )
    assert float(two.std(dtype=np.float64)) == pytest.approx(float(one.std(dtype=np.float64)) / np.sqrt(2), rel=0.02)
    other = 2 * two - one
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / 300


@pytest.mark.parametrize(("significance", "copies"), [((1.0, 1.0), 1), ((1.0, 3.0), 1), ((1.0,), 2), ((3.0, 1.0), 2)])
def test_programming_noise_of_pairs_and_copies(significance: tuple[float, ...], copies: int) -> None:
    """At w = 0.75 all targets are known: the variance is the sum over devices of (share · sigma)²."""
    x, cells = 0.75, 400 * 500
    held, left = [], x * sum(significance)
    for f in sorted(significance):
        held.append((f / sum(significance), min(left, f) / f))
        left = max(left - f, 0)
    draw = np.random.default_rng(3)
    sigma = {t: (0.26348 + 1.9650 * t - 1.1731 * t**2) / 25 for _, target in held for t in (target, 0.0)}
    moments = {t: np.maximum(0, t + s * draw.standard_normal(1_000_000)) for t, s in sigma.items()}
    mean = sum(share * (moments[t].mean() - moments[0.0].mean()) for share, t in held)
    variance = sum(share**2 * (moments[t].var() + moments[0.0].var()) for share, t in held) / copies
    device = Device(model="pcm", significance=significance)
    found = program_cells(
        np.full((400, 500), x, np.float32), device, only(programming_noise=True), NAMES, copies
    ).weights.astype(np.float64)
    assert abs(found.mean() - mean) < 5 * np.sqrt(variance * (1 / cells + 1 / 1_000_000))
    assert found.var() == pytest.approx(variance, rel=0.02)


def test_variance_of_reading_adds_over_pairs_and_copies() -> None:
    w = matrix()
    on = only(read_noise=True)
    one = program_cells(w, Device(model="pcm", read_noise="per_mvm"), on, NAMES).variance
    copies = program_cells(w, Device(model="pcm", read_noise="per_mvm"), on, NAMES, 2).variance
    pairs = program_cells(w, Device(model="pcm", significance=(1.0, 3.0), read_noise="per_mvm"), on, NAMES).variance
    assert one is not None and copies is not None and pairs is not None
    assert copies == pytest.approx(one / 2)

    def sigma(x: NDArray[np.float64]) -> NDArray[np.float64]:
        q = np.minimum(0.0088 / np.maximum(x**0.65, 1e-3), 0.2)
        return np.asarray(x * q * np.sqrt(np.log((20 + 250e-9) / 500e-9)))

    size = np.abs(w.astype(np.float64))
    assert one == pytest.approx(sigma(size) ** 2, rel=1e-4, abs=1e-9)
    low, high = np.clip(4 * size, 0, 1), np.clip((4 * size - 1) / 3, 0, 1)
    assert pairs == pytest.approx((sigma(low) ** 2 + 9 * sigma(high) ** 2) / 16, rel=1e-3, abs=1e-8)


def test_asymmetry_is_of_columns() -> None:
    w = matrix(30, 4000)
    found = program_cells(w, Device(asymmetry=0.1), only(asymmetry=True), NAMES).weights
    gains = found / w
    plus = np.array([gains[w[:, j] > 0, j].mean() for j in range(4000)])
    minus = np.array([gains[w[:, j] < 0, j].mean() for j in range(4000)])
    assert plus + minus == pytest.approx(2, abs=1e-4)
    assert np.std(plus - minus) == pytest.approx(0.1, rel=0.05)
    assert abs(np.mean(plus - minus)) < 4 * 0.1 / np.sqrt(4000)
    assert np.array_equal(program_cells(w, Device(asymmetry=0.1), IDEAL, NAMES).weights, w)


def test_balanced_reads_cancel_asymmetry() -> None:
    """Without other noise wholly; with it, the copies' devices differ, and what is left is of second order."""
    w = matrix(100, 2000)
    ideal = program_cells(w, Device(asymmetry=0.2), only(asymmetry=True), NAMES, 2).weights
    assert ideal == pytest.approx(w, abs=1e-6)
    both = only(asymmetry=True, programming_noise=True)
    for copies, low, high in ((1, 0.09, 0.11), (2, 0, 0.02)):
        noise = program_cells(w, Device(model="pcm"), only(programming_noise=True), NAMES, copies).weights
        crooked = program_cells(w, Device(model="pcm", asymmetry=0.2), both, NAMES, copies).weights
        slopes = np.sum((crooked - noise) * np.abs(w), axis=0) / np.sum(w**2, axis=0)
        assert low <= np.std(slopes) <= high


def test_stuck_devices_by_rate() -> None:
    """Both polarities of 0 hold 0, so that a weight tells how its two devices are stuck."""
    device = Device(model="pcm", stuck_low=0.1, stuck_high=0.05)
    zero = program_cells(np.zeros((500, 400), np.float32), device, only(faults=True), NAMES).weights
    n = zero.size
    for value, chance in ((1, 0.05 * 0.95), (-1, 0.05 * 0.95), (0, 0.95**2 + 0.05**2)):
        assert abs(np.mean(zero == value) - chance) < 4 * np.sqrt(chance * (1 - chance) / n)
    full = program_cells(np.ones((500, 400), np.float32), device, only(faults=True), NAMES).weights
    assert np.mean(full == 0) == pytest.approx(0.1 * 0.95 + 0.9 * 0.05, rel=0.05)
    other = program_cells(np.zeros((500, 400), np.float32), device, replace(only(faults=True), seed=1), NAMES).weights
    assert abs(np.corrcoef(zero.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(n)


def test_stuck_devices_neither_drift_nor_vary() -> None:
    w = np.full((100, 100), 0.5, np.float32)
    device = Device(model="pcm", stuck_high=1.0, read_noise="per_mvm")
    found = program_cells(w, device, Conditions(time_s=DAY), NAMES)
    assert np.all(found.weights == 0) and found.variance is not None and np.all(found.variance == 0)


def test_listed_devices_are_stuck() -> None:
    stuck = (
        StuckDevice(row=2, column=3, polarity="+", copy=0, pair=0, level=1.0),
        StuckDevice(row=4, column=1, polarity="-", copy=1, pair=1, level=1.0),
    )
    device, w = Device(model="ideal", significance=(1.0, 3.0)), np.zeros((6, 5), np.float32)
    found = program_cells(w, device, only(faults=True), NAMES, 2, stuck).weights
    expected = np.zeros_like(w)
    expected[2, 3], expected[4, 1] = 1 / 8, -3 / 8
    assert found == pytest.approx(expected)
    assert np.all(program_cells(w, device, IDEAL, NAMES, 2, stuck).weights == 0)


SWITCHED: dict[str, Any] = {
    "model": "pcm",
    "significance": (1.0, 2.0),
    "asymmetry": 0.05,
    "stuck_low": 0.05,
    "stuck_high": 0.05,
    "compensation": "column",
}


@pytest.mark.parametrize("name", ["programming_noise", "drift", "read_noise", "asymmetry", "faults", "compensation"])
def test_a_switch_leaves_the_other_draws(name: str) -> None:
    """With one effect left on, the weights are what that effect does alone, whatever the others were named."""
    device, w = Device(**SWITCHED), matrix()
    day = Conditions(time_s=DAY)
    others = replace(day, effects=replace(Effects(), **{name: False}))
    lacks: dict[str, dict[str, Any]] = {
        "programming_noise": {},
        "drift": {},
        "read_noise": {},
        "asymmetry": {"asymmetry": 0.0},
        "faults": {"stuck_low": 0.0, "stuck_high": 0.0},
        "compensation": {"compensation": "none"},
    }
    off = program_cells(w, device, others, NAMES, 2)
    never = program_cells(w, Device(**{**SWITCHED, **lacks[name]}), others, NAMES, 2)
    assert np.array_equal(off.weights, never.weights)
    assert np.array_equal(off.compensation, never.compensation)
    on = program_cells(w, device, day, NAMES, 2)
    if name == "compensation":
        assert np.array_equal(on.weights, off.weights) and np.any(on.compensation != off.compensation)
    else:
        assert not np.array_equal(on.weights, off.weights)
        assert np.corrcoef(on.weights.ravel() - w.ravel(), off.weights.ravel() - w.ravel())[0, 1] > 0.3

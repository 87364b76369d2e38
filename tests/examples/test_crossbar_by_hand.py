"""The crossbar by hand shows what it claims to show."""

from __future__ import annotations

import numpy as np
import pytest

from mho.examples.crossbar_by_hand import DAY_S, G_MAX, converted, drifted, errors, pair, programmed


def test_every_step_adds_error_and_compensation_takes_some_back() -> None:
    exact, dac, adc, noise, drift, compensated = errors().values()
    assert exact < 1e-12
    assert exact < dac < adc < noise < compensated < drift
    assert adc < 0.03
    assert compensated < 0.5 * drift


def test_a_pair_gives_back_its_weights() -> None:
    weights = np.random.default_rng(1).standard_normal((5, 7))
    plus, minus = pair(weights)
    assert plus.min() >= 0
    assert minus.min() >= 0
    np.testing.assert_allclose((plus - minus) * np.abs(weights).max() / G_MAX, weights)


def test_a_converter_rounds_and_clips() -> None:
    np.testing.assert_allclose(converted(np.array([0.0, 0.4, 0.6, 200.0, -200.0]), 127.0), [0, 0, 1, 127, -127])


@pytest.mark.parametrize(("x", "percent"), [(0.25, 2.73), (0.5, 3.81), (1.0, 4.22)])
def test_programming_noise_is_as_published(x: float, percent: float) -> None:
    target = np.full(200_000, x * G_MAX)
    spread = programmed(target, np.random.default_rng(2)).std()
    assert 100 * spread / G_MAX == pytest.approx(percent, rel=0.01)


def test_a_day_of_drift_is_as_published() -> None:
    target = np.full(100_000, G_MAX)
    left = drifted(target, target, DAY_S, np.random.default_rng(3)).mean() / G_MAX
    assert left == pytest.approx(0.664, abs=0.005)

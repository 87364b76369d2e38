"""A run against a reference: errors, signal to noise, winners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.comparison import Comparison
from mho.runtime.effects import Conditions
from mho.runtime.probe import PIECE_NUMBERS, Power
from mho.targets.errors import OptionError

SHAPE = (PIECE_NUMBERS // 3, 7)


def scores(seed: int, kind: str = "float32") -> NDArray[Any]:
    return (np.random.default_rng(seed).normal(0, 20, SHAPE)).astype(kind)


@pytest.mark.parametrize("kind", ["float32", "float64", "int32"])
def test_errors_are_those_of_all_numbers_in_float64(kind: str) -> None:
    expected, value = scores(0, kind), scores(1, kind)
    run = Comparison({"y": expected}, "y", "none", None).run({"y": value}, Conditions(seed=4, time_s=60))
    exact, error = expected.astype(np.float64), value.astype(np.float64) - expected
    assert (run.seed, run.time_s, run.accuracy) == (4, 60, None)
    assert run.max_abs_error == np.abs(error).max()
    assert run.sqnr_db == pytest.approx(10 * np.log10(np.sum(exact**2) / np.sum(error**2)), rel=1e-12)
    assert run.agreement == np.mean(expected.argmax(1) == value.argmax(1))


def test_a_reference_serves_many_runs() -> None:
    expected = {"y": scores(0)}
    labels = expected["y"].argmax(1)
    comparison = Comparison(expected, "y", "top1", labels)
    assert comparison.reference_accuracy == 1
    same = comparison.run(expected, Conditions())
    assert (same.accuracy, same.agreement, same.sqnr_db, same.max_abs_error) == (1, 1, None, 0)
    other = comparison.run({"y": scores(1)}, Conditions(seed=1))
    assert other.accuracy == other.agreement and other.accuracy is not None and other.accuracy < 0.5


def test_outputs_of_another_shape_and_without_values() -> None:
    comparison = Comparison({"y": scores(0)}, "y", "none", None)
    with pytest.raises(OptionError, match="is it the model that was compiled"):
        comparison.run({"y": scores(0)[1:]}, Conditions())
    with pytest.raises(OptionError, match="output y never has a value"):
        comparison.run({"y": []}, Conditions())
    uneven = [np.ones(3, np.float32), np.zeros(2, np.float32)]
    assert Comparison({"y": uneven}, "y", "none", None).run({"y": uneven}, Conditions()).max_abs_error == 0


def test_what_is_no_number_shows_in_the_largest_error() -> None:
    power = Power()
    power.add(np.zeros(3), np.array([1.0, np.nan, -2.0]))
    power.add(np.zeros(3), np.array([1.0, 0.0, -2.0]))
    assert np.isnan(power.largest_error)
    power = Power()
    power.add(np.zeros(PIECE_NUMBERS + 1), np.append(np.zeros(PIECE_NUMBERS), -3.0))
    assert (power.largest_error, power.error, power.sqnr_db) == (3, 9, None)

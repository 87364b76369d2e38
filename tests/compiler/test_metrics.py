"""Metrics beside values computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from mho.metrics import Metric, default_metric, measure, winners
from mho.targets.errors import DataError


def value(metric: Metric, output: ArrayLike, labels: ArrayLike) -> float | None:
    return measure(metric, {"y": np.asarray(output)}, "y", np.asarray(labels))


SCORES = [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.9], [0.4, 0.3, 0.3]]


def test_top1_of_a_class_a_sample() -> None:
    assert value("top1", SCORES, [1, 0, 2, 1]) == 0.75
    assert value("top1", SCORES, [[1], [0], [2], [1]]) == 0.75
    assert value("top1", np.reshape(SCORES, (4, 3, 1, 1)), [1, 0, 2, 1]) == 0.75


def test_top1_of_a_class_a_token() -> None:
    assert value("top1", np.reshape(SCORES, (2, 2, 3)), [[1, 1], [2, 2]]) == 0.5


def test_top1_of_classes() -> None:
    assert value("top1", [3, 1, 2], [3, 2, 2]) == pytest.approx(2 / 3)
    assert value("top1", [[3], [1], [2]], [3, 2, 2]) == pytest.approx(2 / 3)


def test_winners_over_all_and_over_the_last_axis() -> None:
    output = np.reshape(SCORES, (2, 2, 3))
    assert winners(output).tolist() == [1, 2]
    assert winners(output, 2).tolist() == [[1, 0], [2, 0]]


def test_auc() -> None:
    assert value("auc", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert value("auc", [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]], [0, 0, 1, 1]) == 0.75
    assert value("auc", [[0.1], [0.9]], [[0], [1]]) == 1.0


def test_auc_with_ties_counts_half() -> None:
    """Pairs (positive, negative): 2 > 1, 2 = 2, 3 > 1, 3 > 2: 3.5 of 4."""
    assert value("auc", [1.0, 2.0, 2.0, 3.0], [0, 0, 1, 1]) == 0.875
    assert value("auc", [5.0, 5.0, 5.0], [0, 1, 1]) == 0.5


def test_mse() -> None:
    assert value("mse", [[1.0], [3.0]], [2.0, 5.0]) == 2.5


def test_spearman() -> None:
    assert value("spearman", [1.0, 2.0, 3.0, 4.0], [10, 20, 30, 1000]) == pytest.approx(1)
    assert value("spearman", [[4.0], [3.0], [2.0]], [1, 2, 3]) == pytest.approx(-1)
    assert value("spearman", [1.0, 3.0, 2.0, 4.0], [1, 2, 3, 4]) == pytest.approx(0.8)


def test_spearman_with_ties_shares_ranks() -> None:
    """Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5."""
    assert value("spearman", [1.0, 2.0, 2.0, 3.0], [1, 2, 3, 4]) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert value("spearman", [7.0, 7.0, 7.0], [1, 2, 3]) == 0.0


def test_a_function_of_the_user() -> None:
    def share(outputs: Any, labels: NDArray[Any]) -> float:
        return float(outputs["y"].sum() / labels.sum())

    assert value(share, [1.0, 2.0], [2.0, 4.0]) == 0.5


def test_no_metric_and_no_labels() -> None:
    assert value("none", [1.0], [1.0]) is None
    assert measure("mse", {"y": np.zeros(1)}, "y", None) is None


@pytest.mark.parametrize(("labels", "name"), [([1, 2], "top1"), ([True], "top1"), ([0.5], "mse"), (None, "none")])
def test_the_default_suits_the_labels(labels: list[float] | None, name: str) -> None:
    assert default_metric(None if labels is None else np.array(labels)) == name


@pytest.mark.parametrize(
    ("metric", "output", "labels", "problem"),
    [
        ("top1", SCORES, [1, 2], "there are 2 labels for 4 samples of output y"),
        ("mse", [1.0], 3.0, "there are no labels for 1 samples of output y"),
        ("top1", [[0.3], [0.7]], [0, 1], "wants a score a class, the output has one number a label: take auc or mse"),
        ("top1", SCORES, [[1, 2]] * 4, r"wants a label for each vector of an output \(4, 3\), not \(4, 2\)"),
        ("auc", [0.1, 0.2], [1, 1], "wants labels of both kinds, 0 and 1"),
        ("auc", [0.1, 0.2, 0.3], [0, 1, 2], "wants labels of both kinds, 0 and 1"),
        ("auc", [0.1, 0.2], [[0, 1], [1, 0]], "wants one label a sample"),
        ("mse", [[1.0, 2.0]], [1.0], r"wants labels of the output's shape \(1, 2\), they have \(1,\)"),
        ("spearman", [[1.0, 2.0]], [1.0], "wants one number a sample, the output has 2"),
        ("spearman", [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], "wants one label a sample"),
    ],
)
def test_labels_that_do_not_suit(metric: Metric, output: ArrayLike, labels: ArrayLike, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        value(metric, output, labels)

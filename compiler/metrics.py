"""Metrics: one number for how well outputs answer the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mho.targets.errors import DataError

Array = NDArray[Any]

MetricName = Literal["top1", "auc", "mse", "spearman", "none"]
Metric = MetricName | Callable[[Mapping[str, Array], Array], float]
"""A named metric of one output, or a function of (all outputs by name, labels)."""


def default_metric(labels: Array | None) -> MetricName:
    """top1 for whole-number labels, mse for others, none without labels."""
    if labels is None:
        return "none"
    return "top1" if labels.dtype.kind in "iub" else "mse"


def measure(metric: Metric, outputs: Mapping[str, Array], name: str, labels: Array | None) -> float | None:
    """The metric of the outputs, or None where there is none or no labels.

    Args:
        name: the output that a named metric looks at: [samples, …].

    Raises:
        DataError: output and labels do not suit the metric.
    """
    if metric == "none" or labels is None:
        return None
    if callable(metric):
        return float(metric(outputs, labels))
    output = outputs[name]
    if len(output) != len(labels):
        raise DataError(f"there are {len(labels)} labels for {len(output)} samples of output {name}")
    return _METRICS[metric](output, labels)


def top1(output: Array, labels: Array) -> float:
    """Part of the samples whose largest entry stands at the label; output [samples, …, classes]."""
    chosen = winners(output, labels.ndim)
    return float(np.mean(chosen == labels))


def winners(output: Array, rank: int = 1) -> Array:
    """The place of the largest entry: over all but the first axis where labels have one, else over the last."""
    if rank == 1:
        return np.asarray(output.reshape(len(output), -1).argmax(axis=1))
    return np.asarray(output.argmax(axis=-1))


def auc(output: Array, labels: Array) -> float:
    """Area under the ROC curve of a score a sample (the last entry of an output with several) for labels 0 and 1."""
    score = output.reshape(len(output), -1)[:, -1]
    positive = labels.astype(bool)
    if positive.all() or not positive.any():
        raise DataError("the metric auc wants labels of both kinds, 0 and 1")
    ranks = _ranks(score)
    wins = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))


def mse(output: Array, labels: Array) -> float:
    """Mean squared difference; labels of the output's size."""
    if output.size != labels.size:
        raise DataError(f"the metric mse wants labels of the output's shape {output.shape}, they have {labels.shape}")
    return float(np.mean((output.reshape(labels.shape).astype(np.float64) - labels) ** 2))


def spearman(output: Array, labels: Array) -> float:
    """Spearman's rank correlation of a score a sample with the labels."""
    score = output.reshape(len(output), -1)
    if score.shape[1] != 1:
        raise DataError(f"the metric spearman wants one number a sample, the output has {score.shape[1]}")
    return float(np.corrcoef(_ranks(score[:, 0]), _ranks(labels.reshape(-1)))[0, 1])


def _ranks(values: Array) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(last - (counts - 1) / 2)[inverse.reshape(-1)]


_METRICS: Mapping[str, Callable[[Array, Array], float]] = {
    "top1": top1,
    "auc": auc,
    "mse": mse,
    "spearman": spearman,
}

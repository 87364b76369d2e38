"""Metrics: one number for how well outputs answer the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mho.runtime.samples import Values
from mho.targets.errors import DataError, plain

Array = NDArray[Any]

MetricName = Literal["top1", "auc", "mse", "spearman", "none"]
METRICS: tuple[str, ...] = get_args(MetricName)

Metric = MetricName | Callable[[Mapping[str, Values], Array], float]
"""A named metric of one output, or a function of (all outputs by name, labels)."""


def default_metric(labels: Array | None) -> MetricName:
    """top1 for whole-number labels, mse for others, none without labels."""
    if labels is None:
        return "none"
    return "top1" if labels.dtype.kind in "iub" else "mse"


def measure(metric: Metric, outputs: Mapping[str, Values], name: str, labels: Array | None) -> float | None:
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
    if not isinstance(output, np.ndarray):
        raise DataError(
            f"the metric {metric} wants an array, and the values of output {plain(name)} have no common shape"
        )
    if labels.ndim == 0 or len(output) != len(labels):
        count = len(labels) if labels.ndim else "no"
        raise DataError(f"there are {count} labels for {len(output)} samples of output {plain(name)}")
    return _METRICS[metric](output, labels)


def top1(output: Array, labels: Array) -> float:
    """Part of the labels that are the place of the largest entry; output [samples, …, classes].

    An output of whole numbers, one a label, is taken as the classes themselves.

    Raises:
        DataError: the output has not one vector of scores a label, these have a single entry, or none for a label.
    """
    if output.dtype.kind in "iub" and output.size == labels.size:
        return float(np.mean(output.reshape(-1) == labels.reshape(-1)))
    single = labels.size == len(output)
    chosen = winners(output, 1 if single else labels.ndim)
    if chosen.size != labels.size or (not single and chosen.shape != labels.shape):
        raise DataError(
            f"the metric top1 wants a label for each vector of an output {output.shape}, not {labels.shape}"
        )
    if output.size == labels.size:
        raise DataError("the metric top1 wants a score a class, the output has one number a label: take auc or mse")
    classes = output.size // labels.size
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise DataError(
            f"labels go from {labels.min()} to {labels.max()}, and the output has scores for classes 0 to {classes - 1}"
        )
    return float(np.mean(chosen.reshape(-1) == labels.reshape(-1)))


def winners(output: Array, rank: int = 1) -> Array:
    """The place of the largest entry: over all but the first axis where labels have one, else over the last."""
    if rank == 1:
        return np.asarray(output.reshape(len(output), -1).argmax(axis=1))
    return np.asarray(output.argmax(axis=-1))


def auc(output: Array, labels: Array) -> float:
    """Area under the ROC curve of a score a sample (the last entry of an output with several) for labels 0 and 1."""
    score = output.reshape(len(output), -1)[:, -1]
    if labels.size != len(score):
        raise DataError(f"the metric auc wants one label a sample, the labels have the shape {labels.shape}")
    positive = labels.reshape(-1) == 1
    if set(np.unique(labels).tolist()) != {0, 1}:
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
    """Spearman's rank correlation of a score a sample with the labels; 0 where either is the same for all."""
    score = output.reshape(len(output), -1)
    if score.shape[1] != 1:
        raise DataError(f"the metric spearman wants one number a sample, the output has {score.shape[1]}")
    if labels.size != len(score):
        raise DataError(f"the metric spearman wants one label a sample, the labels have the shape {labels.shape}")
    first, second = _ranks(score[:, 0]), _ranks(labels.reshape(-1))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


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

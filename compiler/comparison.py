"""`Comparison`: what one run of a machine gave against what a reference gave."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.metrics import Metric, measure, winners
from mho.report.accuracy import Run
from mho.runtime.effects import Conditions
from mho.runtime.pieces import as_arrays
from mho.runtime.probe import Power
from mho.runtime.samples import Values
from mho.targets.errors import OptionError, plain

Array = NDArray[Any]


class Comparison:
    """Compares the outputs of runs with those of one reference, which is looked at once.

    Args:
        expected: all outputs of the reference by name.
        output: the one that is compared.
        metric: of labels; see `mho.metrics`.
        labels: one a sample, or None.
    """

    def __init__(self, expected: Mapping[str, Values], output: str, metric: Metric, labels: Array | None) -> None:
        self._expected = expected
        self._output = output
        self._metric = metric
        self._labels = labels

    @cached_property
    def reference_accuracy(self) -> float | None:
        """The metric of the reference; None without labels."""
        return measure(self._metric, self._expected, self._output, self._labels)

    def run(self, found: Mapping[str, Values], conditions: Conditions) -> Run:
        """How close the outputs of a run are.

        Raises:
            OptionError: they have another shape than the reference's, or there are none.
            DataError: outputs and labels do not suit the metric.
        """
        value = _together(self._output, found[self._output])
        if value.shape != self._reference.shape:
            raise OptionError(
                f"output {plain(self._output)} has the shape {value.shape}, and {self._reference.shape} in the model "
                "it is compared with; is it the model that was compiled?"
            )
        power = Power()
        if value.dtype.kind in "fiub":
            power.add(self._reference, value)
        return Run(
            seed=conditions.seed,
            time_s=conditions.time_s,
            accuracy=measure(self._metric, found, self._output, self._labels),
            agreement=self._agreement(value),
            sqnr_db=power.sqnr_db,
            max_abs_error=power.largest_error,
        )

    @cached_property
    def _reference(self) -> Array:
        return _together(self._output, self._expected[self._output])

    @cached_property
    def _winners(self) -> Array:
        return winners(self._reference)

    def _agreement(self, value: Array) -> float | None:
        """Part of the samples with the same winner, where the output is one score a class."""
        if value.ndim < 2 or value.shape[-1] < 2 or (self._metric not in ("top1", "none")):
            return None
        if self._metric == "none" and value.ndim > 2:
            return None
        return float(np.mean(winners(value) == self._winners))


def _together(output: str, values: Values) -> Array:
    """The numbers of an output; arrays without a common shape, in sequences too, stand one behind the other.

    Raises:
        OptionError: there are none.
    """
    if isinstance(values, np.ndarray):
        return values
    arrays = [array.reshape(-1) for array in as_arrays({output: values}).values()]
    if not arrays:
        raise OptionError(f"output {plain(output)} never has a value; choose another with --output")
    return np.concatenate(arrays)

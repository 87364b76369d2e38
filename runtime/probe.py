"""`ProbedUnit`: fires a machine's layers and measures each against exact arithmetic on the same inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.sequencer import Unit

Array = NDArray[Any]


@dataclass
class Power:
    """Sums of squares over everything that was seen."""

    signal: float = 0.0
    error: float = 0.0

    def add(self, reference: Array, value: Array) -> None:
        exact = reference.astype(np.float64)
        self.signal += float(np.sum(exact**2))
        self.error += float(np.sum((value - exact) ** 2))

    @property
    def sqnr_db(self) -> float | None:
        """10 log10(signal / error); None where there is no error or no signal, where it is not a number."""
        if self.error == 0 or self.signal == 0:
            return None
        return float(10 * np.log10(self.signal / self.error))


class ProbedUnit:
    """Implements `sequencer.Unit`: answers as `unit` does, and compares with `exact`.

    Attributes:
        layers: layer → signal and error of its own, errors of earlier layers left out.
    """

    def __init__(self, unit: Unit, exact: Unit) -> None:
        self._unit = unit
        self._exact = exact
        self.layers: dict[str, Power] = {}

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> NDArray[np.float32]:
        """See `sequencer.Unit.fire`."""
        value = self._unit.fire(layer, rows, fires, addend)
        self.layers.setdefault(layer, Power()).add(self._exact.fire(layer, rows, fires, addend), value)
        return value

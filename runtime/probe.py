"""`ProbedUnit`: fires a machine's layers and measures each against exact arithmetic on the same inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.recurrent import CELLS
from mho.runtime.sequencer import FastUnit, Unit
from mho.runtime.unfold import fold_pieces, unfold_addend, unfold_pieces
from mho.targets.unfolding import Window

Array = NDArray[Any]

PIECE_NUMBERS = 1 << 14


@dataclass
class Power:
    """Sums of squares over everything that was seen, and the largest magnitude of an error."""

    signal: float = 0.0
    error: float = 0.0
    largest_error: float = 0.0

    def add(self, reference: Array, value: Array) -> None:
        """Adds numbers of one shape, in float64 and a cacheful at a time."""
        flat, found = reference.reshape(-1), value.reshape(-1)
        for start in range(0, flat.size, PIECE_NUMBERS):
            exact = flat[start : start + PIECE_NUMBERS].astype(np.float64)
            error = found[start : start + PIECE_NUMBERS] - exact
            self.largest_error = float(np.maximum(self.largest_error, np.maximum(error.max(), -error.min())))
            self.error += float(np.sum(np.square(error, out=error)))
            self.signal += float(np.sum(np.square(exact, out=exact)))

    @property
    def sqnr_db(self) -> float | None:
        """10 log10(signal / error); None where there is no error or no signal, where it is not a number."""
        if self.error == 0 or self.signal == 0:
            return None
        return float(10 * np.log10(self.signal / self.error))


class ProbedUnit:
    """Implements `sequencer.FastUnit`: answers as `unit` does, in the same way, and compares with `exact`.

    Attributes:
        layers: layer → signal and error of its own, errors of earlier layers left out.
    """

    def __init__(self, unit: Unit, exact: Unit) -> None:
        self._unit = unit
        self._exact = exact
        self._fast = unit if isinstance(unit, FastUnit) else None
        self.cells = CELLS if self._fast is None else self._fast.cells
        self.layers: dict[str, Power] = {}

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> NDArray[np.float32]:
        """See `sequencer.Unit.fire`."""
        value = self._unit.fire(layer, rows, fires, addend)
        self._compare(layer, self._exact.fire(layer, rows, fires, addend), value)
        return value

    def fire_picture(
        self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None
    ) -> NDArray[np.float32] | None:
        """See `sequencer.FastUnit.fire_picture`."""
        value = None if self._fast is None else self._fast.fire_picture(layer, x, window, first_fire, addend)
        if value is not None:
            self._compare(layer, self._exact_picture(layer, x, window, first_fire, addend), value)
        return value

    def _exact_picture(self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None) -> Array:
        if isinstance(self._exact, FastUnit):
            found = self._exact.fire_picture(layer, x, window, first_fire, addend)
            if found is not None:
                return found
        more = None if addend is None else unfold_addend(addend, x.shape, window)
        columns = (
            self._exact.fire(
                layer,
                rows,
                np.arange(first_fire + span.start, first_fire + span.stop),
                more if more is None else more[span],
            )
            for rows, span in unfold_pieces(x, window)
        )
        return fold_pieces(columns, x.shape, window)

    def _compare(self, layer: str, exact: Array, value: Array) -> None:
        self.layers.setdefault(layer, Power()).add(exact, value)

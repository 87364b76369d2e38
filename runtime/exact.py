"""`ExactUnit`: fires layers in exact arithmetic, without tiles; it shows what the layers are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.epilogue import finish_all
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.sequencer import Executable

Array = NDArray[Any]
Watch = Callable[[str, NDArray[np.float32]], None]


class ExactUnit:
    """Implements `sequencer.Unit` with one product a layer: float64 for a matrix of whole numbers, else float32.

    Args:
        watch: called with every layer's name and unfolded inputs [positions, rows] before it fires.
    """

    def __init__(self, program: Executable, watch: Watch | None = None) -> None:
        self._program = program
        self._math: dict[str, LayerMath] = {m.layer: m for m in layer_math(program)}
        self._watch = watch

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> Array:
        """See `sequencer.Unit.fire`."""
        if self._watch is not None:
            self._watch(layer, rows)
        math = self._math[layer]
        stored = self._program.tensors[f"matrix/{math.matrix}"]
        sums = multiply(rows, stored, np.float64 if math.is_whole(stored) else np.float32)
        finish_all(sums, math, addend)
        return sums


def multiply(
    rows: NDArray[np.float32], stored: Array, dtype: type[np.float32] | type[np.float64] = np.float32
) -> Array:
    """[positions, rows] times a matrix stored as [groups, rows / groups, columns / groups]: [positions, columns]."""
    groups, height, width = stored.shape
    weights = stored.astype(dtype, copy=False)
    if groups == 1:
        product: Array = np.matmul(rows, weights[0], dtype=dtype)
        return product
    parts = rows.reshape(len(rows), groups, height).transpose(1, 0, 2)
    columns = np.empty((len(rows), groups, width), dtype)
    np.matmul(parts, weights, out=columns.transpose(1, 0, 2))
    return columns.reshape(len(rows), groups * width)

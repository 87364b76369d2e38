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

Product = Callable[..., Array]
"""Of [rows, inner] and [inner, columns], with `dtype` as a keyword, as `numpy.matmul` is."""

Real = type[np.float32] | type[np.float64]

MOST_CONVERTED = 1 << 24
"""Weights that are converted at once, where they are stored otherwise."""

FEW_CONVERTED = 1 << 18
"""Weights whose copy is small enough for any place in the heap."""


class ExactUnit:
    """Implements `sequencer.Unit` with one product a layer: float64 for a matrix of whole numbers, else float32.

    Args:
        watch: called with every layer's name and unfolded inputs [positions, rows] before it fires.
        product: of two matrices in a number format.
    """

    def __init__(self, program: Executable, watch: Watch | None = None, product: Product = np.matmul) -> None:
        self._program = program
        self._math: dict[str, LayerMath] = {m.layer: m for m in layer_math(program)}
        self._watch = watch
        self._product = product

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> Array:
        """See `sequencer.Unit.fire`."""
        return self.finish(layer, self.sums(layer, rows, fires), addend)

    def sums(self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        """The product of a layer [positions, columns]."""
        if self._watch is not None:
            self._watch(layer, rows)
        stored = self.matrix(layer)
        whole = self._math[layer].is_whole(stored)
        return multiply(rows, stored, np.float64 if whole else np.float32, self._product)

    def math(self, layer: str) -> LayerMath:
        """What the layer does to its sums."""
        return self._math[layer]

    def matrix(self, layer: str) -> Array:
        """The layer's matrix as it is stored [groups, rows / groups, columns / groups]."""
        stored: Array = self._program.tensors[f"matrix/{self._math[layer].matrix}"]
        return stored

    def finish(self, layer: str, sums: Array, addend: Array | None) -> Array:
        """The epilogue of a layer on its sums, which are overwritten."""
        finish_all(sums, self._math[layer], addend)
        return sums


def multiply(rows: NDArray[np.float32], stored: Array, dtype: Real = np.float32, product: Product = np.matmul) -> Array:
    """[positions, rows] times a matrix stored as [groups, rows / groups, columns / groups]: [positions, columns]."""
    groups, height, width = stored.shape
    if groups == 1 and stored.dtype != dtype and stored.size > MOST_CONVERTED:
        strip = max(1, MOST_CONVERTED // height)
        every = (stored[0, :, start : start + strip] for start in range(0, width, strip))
        strips = [product(rows, _converted(weights, dtype), dtype=dtype) for weights in every]
        return np.concatenate(strips, axis=1)
    if groups == 1:
        return product(rows, _converted(stored[0], dtype), dtype=dtype)
    weights = stored.astype(dtype, copy=False)
    parts = rows.reshape(len(rows), groups, height).transpose(1, 0, 2)
    columns = np.empty((len(rows), groups, width), dtype)
    np.matmul(parts, weights, out=columns.transpose(1, 0, 2))
    return columns.reshape(len(rows), groups * width)


def _converted(weights: Array, dtype: Real) -> Array:
    """The weights in another format, a large copy in room for MOST_CONVERTED, of which only what is used takes memory.

    An array of so many bytes is a mapping of its own that the system takes back at once. Smaller ones come from the
    heap, where what is allocated for good settles in their place, so that the heap would grow with every layer.
    """
    if weights.dtype == dtype or weights.size <= FEW_CONVERTED:
        return weights.astype(dtype, copy=False)
    room = np.empty(max(weights.size, MOST_CONVERTED), dtype)[: weights.size]
    across = weights.flags.f_contiguous and not weights.flags.c_contiguous
    converted = room.reshape(weights.shape[::-1]).T if across else room.reshape(weights.shape)
    np.copyto(converted, weights, casting="unsafe")
    return converted

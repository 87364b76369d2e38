"""Unfolding: cuts a layer's input into the vectors that meet its matrix, and folds the results into the output."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mho.targets.unfolding import Dense, Unfolding, Window

Array = NDArray[Any]
Rows = NDArray[np.float32]
Pads = tuple[tuple[int, int], ...]

PIECE_NUMBERS = 1 << 25
"""Numbers of unfolded windows at a time, 128 MiB, where one sample has no more."""


def unfold(x: Array, unfolding: Unfolding) -> tuple[Rows, tuple[int, ...]]:
    """The vectors of an input, one a position.

    Args:
        x: the layer's input; [N, C, *spatial] for a window.

    Returns:
        float32 [positions, rows], and the shape of the positions: for a window [N, *spatial_out], for a dense
        layer the input's shape without the axis of the rows.
    """
    match unfolding:
        case Dense():
            moved = np.moveaxis(x, unfolding.axis, -1)
            return _rows(moved.reshape(prod(moved.shape[:-1]), moved.shape[-1])), moved.shape[:-1]
        case Window():
            return _unfold_window(x, unfolding)


def unfold_pieces(x: Array, unfolding: Unfolding) -> Iterator[tuple[Rows, slice]]:
    """The vectors of an input in pieces: whole samples of a window, at most `PIECE_NUMBERS` numbers or one sample.

    Returns:
        float32 [positions of the piece, rows], and where the piece lies among all positions.
    """
    if isinstance(unfolding, Dense):
        rows, _ = unfold(x, unfolding)
        yield rows, slice(0, len(rows))
        return
    positions = prod(position_shape(x.shape, unfolding)[1:])
    size = max(1, PIECE_NUMBERS // max(1, positions * x.shape[1] * prod(unfolding.kernel)))
    for first in range(0, max(1, len(x)), size):
        rows, _ = _unfold_window(x[first : first + size], unfolding)
        yield rows, slice(first * positions, first * positions + len(rows))


def position_shape(shape: tuple[int, ...], unfolding: Unfolding) -> tuple[int, ...]:
    """The shape of the positions that an input of this shape has: see `unfold`."""
    match unfolding:
        case Dense():
            axis = unfolding.axis % len(shape)
            return shape[:axis] + shape[axis + 1 :]
        case Window():
            wide = tuple(max(0, s * (n - 1) + 1) for n, s in zip(shape[2:], unfolding.spread, strict=True))
            pads = window_pads(shape[2:], unfolding)
            sizes = (
                max(0, (n + sum(pad) - d * (k - 1) - 1 + s) // s)
                for n, pad, d, k, s in zip(
                    wide, pads, unfolding.dilations, unfolding.kernel, unfolding.strides, strict=True
                )
            )
            return (shape[0], *sizes)


def fold(columns: Array, positions: tuple[int, ...], unfolding: Unfolding) -> Array:
    """The output that has `columns` [positions, C]: [N, C, *spatial_out] for a window."""
    shaped = columns.reshape(*positions, columns.shape[1])
    return np.moveaxis(shaped, -1, unfolding.columns_axis)


def window_pads(spatial: tuple[int, ...], window: Window) -> Pads:
    """Samples before and after each spatial axis, after it was spread; negative ones are cut off.

    For `same_upper` and `same_lower` the output has ceil(input / stride) samples, and an odd sample of padding
    goes to the end or to the beginning (ONNX, operator Conv, attribute auto_pad).
    """
    if window.pads is not None:
        return window.pads
    found = []
    for size, k, s, d in zip(spatial, window.kernel, window.strides, window.dilations, strict=True):
        total = max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
        small, large = total // 2, total - total // 2
        found.append((small, large) if window.auto_pad == "same_upper" else (large, small))
    return tuple(found)


def _rows(array: Array) -> Rows:
    return np.ascontiguousarray(array, dtype=np.float32)


def _unfold_window(x: Array, window: Window) -> tuple[Rows, tuple[int, ...]]:
    rank = len(window.kernel)
    padded = _padded(_spread(x, window.spread), window_pads(x.shape[2:], window))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(window.dilations, window.kernel, strict=True))
    if any(size < r for size, r in zip(padded.shape[2:], reach, strict=True)):
        return np.zeros((0, x.shape[1] * prod(window.kernel)), np.float32), position_shape(x.shape, window)
    views = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    places = tuple(slice(None, None, s) for s in window.strides)
    taps = tuple(slice(None, None, d) for d in window.dilations)
    views = np.moveaxis(views[(slice(None), slice(None), *places, *taps)], 1, 1 + rank)
    positions = views.shape[: 1 + rank]
    return _rows(views.reshape(prod(positions), x.shape[1] * prod(window.kernel))), positions


def _spread(x: Array, spread: tuple[int, ...]) -> Array:
    """Zeros between the samples of each spatial axis."""
    if all(s == 1 for s in spread):
        return x
    sizes = tuple(max(0, s * (n - 1) + 1) for n, s in zip(x.shape[2:], spread, strict=True))
    wide = np.zeros((*x.shape[:2], *sizes), x.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, s) for s in spread))] = x
    return wide


def _padded(x: Array, pads: Pads) -> Array:
    widths = [(0, 0), (0, 0), *((max(0, a), max(0, b)) for a, b in pads)]
    wide = np.pad(x, widths)
    cut = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(pads, wide.shape[2:], strict=True))
    return wide[(slice(None), slice(None), *cut)]

"""Unfolding: cuts a layer's input into the vectors that meet its matrix, and folds the results into the output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mho.targets.unfolding import Dense, Places, ShiftedWindows, Unfolding, Window

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
        layer the input's shape without the axis of the rows, for places [N, *spatial].
    """
    match unfolding:
        case Dense():
            return _unfold_axis(x, unfolding.axis)
        case Window():
            return _unfold_window(x, unfolding)
        case ShiftedWindows():
            return _unfold_window(x, wide_window(x.shape, unfolding))
        case Places():
            return _unfold_axis(x, 1)


def unfold_pieces(x: Array, unfolding: Unfolding) -> Iterator[tuple[Rows, slice]]:
    """The vectors of an input in pieces: whole samples of a convolution, about `PIECE_NUMBERS` numbers or one sample.

    Returns:
        float32 [positions of the piece, rows], and where the piece lies among all positions.
    """
    if isinstance(unfolding, Dense):
        rows, _ = unfold(x, unfolding)
        yield rows, slice(0, len(rows))
        return
    positions = prod(position_shape(x.shape, unfolding)[1:])
    kernel = unfolding.window.kernel if isinstance(unfolding, Places) else unfolding.kernel
    size = max(1, PIECE_NUMBERS // max(1, positions * x.shape[1] * prod(kernel)))
    for first in range(0, max(1, len(x)), size):
        rows, _ = unfold(x[first : first + size], unfolding)
        yield rows, slice(first * positions, first * positions + len(rows))


@lru_cache(maxsize=1024)
def position_shape(shape: tuple[int, ...], unfolding: Unfolding) -> tuple[int, ...]:
    """The shape of the positions that an input of this shape has: see `unfold`."""
    match unfolding:
        case Dense():
            axis = unfolding.axis % len(shape)
            return shape[:axis] + shape[axis + 1 :]
        case Window():
            return (shape[0], *_window_places(shape[2:], unfolding))
        case ShiftedWindows():
            sizes = zip(_window_places(shape[2:], unfolding.window), unfolding.copies, strict=True)
            return (shape[0], *(-(-size // copies) for size, copies in sizes))
        case Places():
            return (shape[0], *shape[2:])


def output_positions(shape: tuple[int, ...], unfolding: Unfolding) -> tuple[int, ...]:
    """The shape of the output for an input of this shape, without the axis of its columns."""
    match unfolding:
        case Dense() | Window():
            return position_shape(shape, unfolding)
        case ShiftedWindows() | Places():
            return position_shape(shape, unfolding.window)


def _window_places(spatial: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """How many places a window has along each spatial axis."""
    wide = tuple(max(0, s * (n - 1) + 1) for n, s in zip(spatial, window.spread, strict=True))
    pads = window_pads(spatial, window)
    return tuple(
        max(0, (n + sum(pad) - d * (k - 1) - 1 + s) // s)
        for n, pad, d, k, s in zip(wide, pads, window.dilations, window.kernel, window.strides, strict=True)
    )


def fold(columns: Array, shape: tuple[int, ...], unfolding: Unfolding) -> Array:
    """The output that has `columns` [positions, C] for an input of this shape: [N, C, *spatial_out] for a window.

    Shifted windows give several outputs a column of positions, places are added up: C is then the columns of all of
    them, and the output has C / `channel_columns` channels.
    """
    positions = position_shape(shape, unfolding)
    shaped = columns.reshape(*positions, columns.shape[1])
    match unfolding:
        case Dense() | Window():
            return _moved(shaped, -1, unfolding.columns_axis)
        case ShiftedWindows():
            return _side_by_side(shaped, output_positions(shape, unfolding), unfolding)
        case Places():
            return _added_up(shaped, output_positions(shape, unfolding), unfolding.window)


def fold_pieces(pieces: Iterable[Array], shape: tuple[int, ...], unfolding: Unfolding) -> Array:
    """As `fold` of the pieces' columns one behind the other; those of places are added up piece by piece."""
    if not unfolding.overlaps:
        columns = list(pieces)
        return fold(np.concatenate(columns) if len(columns) > 1 else columns[0], shape, unfolding)
    each = max(1, prod(shape[2:]))
    sums = [fold(columns, (len(columns) // each, *shape[1:]), unfolding) for columns in pieces]
    return np.concatenate(sums) if len(sums) > 1 else sums[0]


def unfold_addend(value: Array, shape: tuple[int, ...], unfolding: Unfolding) -> Rows:
    """What is added to an output, at each position of an input of this shape: the opposite of `fold`.

    Returns:
        float32 [positions, columns], or [positions, 1] where it is one number for all columns. For places, whose
        output is finished after the sum, the positions are those of the output.
    """
    outputs = output_positions(shape, unfolding)
    ranked = value.reshape((1,) * (len(outputs) + 1 - value.ndim) + value.shape)
    moved = np.moveaxis(ranked, unfolding.columns_axis, -1)
    spread = np.broadcast_to(moved, (*outputs, moved.shape[-1]))
    if isinstance(unfolding, ShiftedWindows):
        spread = _at_windows(spread, position_shape(shape, unfolding), unfolding)
    return _rows(spread.reshape(prod(spread.shape[:-1]), spread.shape[-1]))


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


def _moved(array: Array, source: int, destination: int) -> Array:
    """As `numpy.moveaxis`, which takes its time even where nothing moves."""
    return array if (source - destination) % array.ndim == 0 else np.moveaxis(array, source, destination)


def _rows(array: Array) -> Rows:
    return np.ascontiguousarray(array, dtype=np.float32)


def _unfold_axis(x: Array, axis: int) -> tuple[Rows, tuple[int, ...]]:
    moved = _moved(x, axis, -1)
    return _rows(moved.reshape(prod(moved.shape[:-1]), moved.shape[-1])), moved.shape[:-1]


def wide_window(shape: tuple[int, ...], unfolding: ShiftedWindows) -> Window:
    """The wide window with the padding that makes its last position whole; an input too small for one has none."""
    window, pads = unfolding.window, []
    places = position_shape(shape, unfolding)[1:]
    sides = zip(shape[2:], window_pads(shape[2:], window), unfolding.kernel, unfolding.pitch, strict=True)
    steps = tuple(s * m for s, m in zip(window.strides, unfolding.copies, strict=True))
    for (size, (before, after), kernel, pitch), step, count in zip(sides, steps, places, strict=True):
        needed = (count - 1) * step + pitch * (kernel - 1) + 1
        pads.append((before, needed - size - before if all(places) else after))
    return replace(
        window,
        kernel=unfolding.kernel,
        strides=steps,
        dilations=unfolding.pitch,
        pads=tuple(pads),
        auto_pad="explicit",
    )


def _side_by_side(shaped: Array, outputs: tuple[int, ...], unfolding: ShiftedWindows) -> Array:
    """[N, *positions, C · copies] as [N, C, *spatial_out]: the copies lie between the positions of each axis."""
    copies, rank = unfolding.copies, len(unfolding.copies)
    split = shaped.reshape(*shaped.shape[:-1], shaped.shape[-1] // prod(copies), *copies)
    pairs = [axis for i in range(rank) for axis in (1 + i, 2 + rank + i)]
    places = tuple(n * m for n, m in zip(shaped.shape[1:-1], copies, strict=True))
    joined = split.transpose(0, 1 + rank, *pairs).reshape(len(shaped), split.shape[1 + rank], *places)
    return joined[(slice(None), slice(None), *(slice(size) for size in outputs[1:]))]


def _at_windows(spread: Array, positions: tuple[int, ...], unfolding: ShiftedWindows) -> Array:
    """[N, *spatial_out, C] as [N, *positions, C · copies], zero beyond the end of the output."""
    copies, rank = unfolding.copies, len(unfolding.copies)
    ends = [(0, n * m - size) for n, m, size in zip(positions[1:], copies, spread.shape[1:-1], strict=True)]
    wide = np.pad(spread, [(0, 0), *ends, (0, 0)])
    sides = [size for pair in zip(positions[1:], copies, strict=True) for size in pair]
    split = wide.reshape(len(spread), *sides, spread.shape[-1])
    order = (0, *range(1, 1 + 2 * rank, 2), 1 + 2 * rank, *range(2, 2 + 2 * rank, 2))
    return split.transpose(order).reshape(*positions, spread.shape[-1] * prod(copies))


def _added_up(shaped: Array, outputs: tuple[int, ...], window: Window) -> Array:
    """[N, *spatial, C · places] as [N, C, *spatial_out]: output o is the sum over the places k of what sample
    o · stride + k · dilation of the padded input gives at place k."""
    kernel, spatial = window.kernel, shaped.shape[1:-1]
    split = np.moveaxis(shaped.reshape(*shaped.shape[:-1], -1, prod(kernel)), (-1, -2), (0, 2))
    pads = window_pads(spatial, window)
    total = np.zeros((shaped.shape[0], split.shape[2], *outputs[1:]), shaped.dtype)
    if not total.size:
        return total
    for place, part in zip(np.ndindex(kernel), split, strict=True):
        padded = _padded(_spread(part, window.spread), pads)
        sides = zip(place, window.dilations, window.strides, outputs[1:], strict=True)
        taps = tuple(slice(k * d, k * d + (size - 1) * s + 1, s) for k, d, s, size in sides)
        total += padded[(slice(None), slice(None), *taps)]
    return total


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

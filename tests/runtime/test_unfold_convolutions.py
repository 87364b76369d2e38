"""Shifted windows and places: the same convolution as a window, from other vectors and other matrices."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.passes.levels.matrix import Matrix, Recipe, evaluate
from mho.passes.unfold.candidates import by_place, shifted
from mho.runtime.exact import multiply
from mho.runtime.unfold import (
    fold,
    fold_pieces,
    output_positions,
    position_shape,
    unfold,
    unfold_addend,
    unfold_pieces,
)
from mho.targets.unfolding import Places, ShiftedWindows, Unfolding, Window, unfolding_text

Array = NDArray[Any]
AutoPad = Literal["explicit", "same_upper", "same_lower"]


@st.composite
def windows(draw: st.DrawFn, spread: int = 1) -> Window:
    """A window of one to three axes, its padding cut off or added, or found from the input."""
    rank = draw(st.integers(1, 3))

    def sides(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    auto_pad: AutoPad = draw(st.sampled_from(["explicit", "explicit", "same_upper", "same_lower"]))
    return Window(
        kernel=sides(1, 3),
        strides=sides(1, 3),
        dilations=sides(1, 2),
        spread=sides(1, spread) if auto_pad == "explicit" else (1,) * rank,
        pads=tuple(zip(sides(-1, 2), sides(-1, 2), strict=True)) if auto_pad == "explicit" else None,
        auto_pad=auto_pad,
    )


def convolved(x: Array, stored: Array, unfolding: Unfolding) -> Array:
    rows, _ = unfold(x, unfolding)
    return fold(multiply(rows, stored), x.shape, unfolding)


def stored(matrix: Matrix, kernels: Array) -> Array:
    class Source:
        def numpy(self) -> Array:
            return kernels

    return evaluate(matrix.recipe, Source())  # type: ignore[arg-type]


def drawn(window: Window, groups: int, seed: int) -> tuple[Array, Array, Matrix]:
    """An input, kernels [groups, rows, columns], and their matrix."""
    random = np.random.default_rng(seed)
    channels, columns = random.integers(1, 4, 2)
    x = random.standard_normal((2, groups * channels, *random.integers(2, 8, len(window.kernel)))).astype(np.float32)
    kernels = random.standard_normal((groups, channels * prod(window.kernel), columns)).astype(np.float32)
    return x, kernels, Matrix("m", Recipe("m"), groups * kernels.shape[1], groups * int(columns), groups)


@settings(max_examples=200, deadline=None)
@given(windows(), st.integers(1, 3), st.integers(0, 999))
def test_shifted_windows_are_the_same_convolution(window: Window, groups: int, seed: int) -> None:
    x, kernels, matrix = drawn(window, groups, seed)
    copies = tuple(int(n) for n in np.random.default_rng(seed).integers(1, 5, len(window.kernel)))
    wide = ShiftedWindows(window=window, copies=copies)
    made = shifted(matrix, wide)
    weights = stored(made, kernels)
    assert weights.shape == (groups, made.rows // groups, made.columns // groups)
    assert np.count_nonzero(weights) == prod(copies) * np.count_nonzero(kernels) == made.weights - made.zeros
    expected = convolved(x, kernels, window)
    found = convolved(x, weights, wide)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    places, positions = output_positions(x.shape, wide)[1:], position_shape(x.shape, wide)[1:]
    assert positions == tuple(-(-size // m) for size, m in zip(places, copies, strict=True))
    addend = np.arange(expected.size, dtype=np.float32).reshape(expected.shape)
    np.testing.assert_array_equal(fold(unfold_addend(addend, x.shape, wide), x.shape, wide), addend)


@settings(max_examples=200, deadline=None)
@given(windows(spread=3), st.integers(1, 3), st.integers(0, 999))
def test_places_are_the_same_convolution(window: Window, groups: int, seed: int) -> None:
    x, kernels, matrix = drawn(window, groups, seed)
    places = Places(window=window)
    weights = stored(by_place(matrix, window), kernels)
    assert position_shape(x.shape, places) == (2, *x.shape[2:])
    expected = convolved(x, kernels, window)
    found = convolved(x, weights, places)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    pieces = (multiply(rows, weights) for rows, _ in unfold_pieces(x, places))
    np.testing.assert_array_equal(fold_pieces(pieces, x.shape, places), found)


def test_a_sample_is_folded_at_a_time_where_all_would_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window(kernel=(3,), strides=(1,), dilations=(1,), spread=(1,), pads=((1, 1),))
    x, kernels, matrix = drawn(window, 1, 5)
    places = Places(window=window)
    weights = stored(by_place(matrix, window), kernels)
    whole = convolved(x, weights, places)
    monkeypatch.setattr("mho.runtime.unfold.PIECE_NUMBERS", 1)
    pieces = [multiply(rows, weights) for rows, _ in unfold_pieces(x, places)]
    assert len(pieces) == len(x)
    np.testing.assert_array_equal(fold_pieces(pieces, x.shape, places), whole)


def test_whole_numbers_stay_whole() -> None:
    window = Window(kernel=(2, 2), strides=(1, 1), dilations=(1, 1), spread=(1, 1), pads=((0, 0), (0, 0)))
    kernels = np.arange(1, 9, dtype=np.int8).reshape(1, 4, 2)
    matrix = Matrix("m", Recipe("m"), 4, 2)
    wide = stored(shifted(matrix, ShiftedWindows(window=window, copies=(1, 2))), kernels)
    assert wide.dtype == np.int8
    assert wide[0, :, 0].tolist() == [1, 3, 0, 5, 7, 0]
    assert wide[0, :, 1].tolist() == [0, 1, 3, 0, 5, 7]


@pytest.mark.parametrize(
    ("kernel", "dilation", "stride", "copies", "pitch", "wide"),
    [
        (3, 1, 1, 4, 1, 6),
        (3, 2, 2, 3, 2, 5),
        (3, 2, 1, 2, 1, 6),
        (1, 1, 3, 4, 3, 4),
        (2, 1, 3, 2, 1, 5),
        (3, 2, 1, 1, 2, 3),
    ],
)
def test_a_wide_window_has_rows_for_what_its_copies_need(
    kernel: int, dilation: int, stride: int, copies: int, pitch: int, wide: int
) -> None:
    window = Window(kernel=(kernel,), strides=(stride,), dilations=(dilation,), spread=(1,), pads=((0, 0),))
    unfolding = ShiftedWindows(window=window, copies=(copies,))
    assert (unfolding.pitch, unfolding.kernel) == ((pitch,), (wide,))
    assert (unfolding.channel_rows, unfolding.channel_columns) == (wide, copies)


def test_names_for_people() -> None:
    window = Window(kernel=(3, 3), strides=(1, 1), dilations=(1, 1), spread=(1, 1), pads=None, auto_pad="same_upper")
    shown = (window, ShiftedWindows(window=window, copies=(2, 4)), Places(window=window))
    assert [unfolding_text(u) for u in shown] == ["im2col", "windows 2 × 4", "places"]

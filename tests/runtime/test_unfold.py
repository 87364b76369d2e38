"""Unfolding orders positions sample first and rows channel first; folding undoes the order."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from mho.runtime.unfold import fold, position_shape, unfold, unfold_pieces, window_pads
from mho.targets.unfolding import Dense, Window


def window(*, kernel: tuple[int, ...], pads: tuple[tuple[int, int], ...] | None = None, spread: int = 1) -> Window:
    ones = (1,) * len(kernel)
    return Window(
        kernel=kernel,
        strides=ones,
        dilations=ones,
        spread=(spread,) * len(kernel),
        pads=pads or ((0, 0),) * len(kernel),
    )


def test_rows_are_channel_first_and_positions_sample_first() -> None:
    x = np.arange(2 * 2 * 3).reshape(2, 2, 3)
    rows, positions = unfold(x, window(kernel=(2,)))
    assert rows.dtype == np.float32
    assert positions == (2, 2)
    np.testing.assert_array_equal(rows, [[0, 1, 3, 4], [1, 2, 4, 5], [6, 7, 9, 10], [7, 8, 10, 11]])


def test_zeros_between_samples_and_cut_ends() -> None:
    x = np.array([[[1.0, 2, 3]]])
    rows, positions = unfold(x, window(kernel=(1,), pads=((-1, 2),), spread=2))
    assert positions == (1, 6)
    np.testing.assert_array_equal(rows[:, 0], [0, 2, 0, 3, 0, 0])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_dense_rows_lie_along_any_axis(axis: int) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
    matrix = np.random.default_rng(2).standard_normal((x.shape[axis], 5)).astype(np.float32)
    layer = Dense(axis=axis, output_axis=axis)
    rows, positions = unfold(x, layer)
    assert positions == tuple(size for i, size in enumerate(x.shape) if i != axis % 3)
    output = fold(rows @ matrix, x.shape, layer)
    np.testing.assert_allclose(output, np.moveaxis(np.tensordot(x, matrix, (axis, 0)), -1, axis), rtol=1e-5)


@pytest.mark.parametrize("auto_pad", ["same_upper", "same_lower", "explicit"])
@pytest.mark.parametrize("size", [1, 2, 5, 6])
@pytest.mark.parametrize(("stride", "dilation", "spread", "pad"), [(1, 1, 1, 0), (2, 2, 1, 1), (3, 1, 2, -1)])
def test_positions_are_known_before_unfolding(
    auto_pad: Literal["explicit", "same_upper", "same_lower"],
    size: int,
    stride: int,
    dilation: int,
    spread: int,
    pad: int,
) -> None:
    pads = ((pad, 1), (0, pad)) if auto_pad == "explicit" else None
    layer = Window(
        kernel=(2, 3),
        strides=(stride, 1),
        dilations=(1, dilation),
        spread=(spread, 1),
        pads=pads,
        auto_pad=auto_pad,
    )
    x = np.zeros((2, 3, size, 4), np.float32)
    assert position_shape(x.shape, layer) == unfold(x, layer)[1]


@pytest.mark.parametrize(("limit", "count"), [(1, 5), (2 * 3 * 8, 3), (1000, 1)])
def test_windows_are_unfolded_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch, limit: int, count: int) -> None:
    monkeypatch.setattr("mho.runtime.unfold.PIECE_NUMBERS", limit)
    x = np.arange(5 * 4 * 4, dtype=np.float32).reshape(5, 4, 4)
    layer = window(kernel=(2,))
    rows = unfold(x, layer)[0]
    pieces = list(unfold_pieces(x, layer))
    assert len(pieces) == count
    assert all(len(piece) == 3 or piece.size <= limit for piece, _ in pieces)
    assert np.array_equal(np.concatenate([piece for piece, _ in pieces]), rows)
    assert [i for _, span in pieces for i in range(len(rows))[span]] == list(range(len(rows)))


def test_no_sample_is_one_empty_piece() -> None:
    ((rows, span),) = unfold_pieces(np.zeros((0, 2, 4), np.float32), window(kernel=(2,)))
    assert (rows.shape, span) == ((0, 4), slice(0, 0))


def test_fold_puts_the_columns_behind_the_samples() -> None:
    columns = np.arange(12).reshape(6, 2)
    assert fold(columns, (2, 3, 3), window(kernel=(1,))).tolist() == [
        [[0, 2, 4], [1, 3, 5]],
        [[6, 8, 10], [7, 9, 11]],
    ]


@pytest.mark.parametrize(("auto_pad", "pads"), [("same_upper", ((1, 2),)), ("same_lower", ((2, 1),))])
def test_same_padding(auto_pad: str, pads: tuple[tuple[int, int], ...]) -> None:
    upper = auto_pad == "same_upper"
    layer = Window(
        kernel=(5,),
        strides=(2,),
        dilations=(1,),
        spread=(1,),
        pads=None,
        auto_pad="same_upper" if upper else "same_lower",
    )
    assert window_pads((8,), layer) == pads
    assert unfold(np.zeros((1, 1, 8)), layer)[1] == (1, 4)


@pytest.mark.parametrize("shape", [(0, 2, 4), (3, 2, 0), (3, 2, 1)])
def test_no_positions(shape: tuple[int, ...]) -> None:
    rows, positions = unfold(np.zeros(shape, np.float32), window(kernel=(2,)))
    assert rows.shape == (0, 4)
    assert np.prod(positions) == 0
    assert fold(np.zeros((0, 7), np.float32), shape, window(kernel=(2,))).shape == (shape[0], 7, positions[1])

"""Converters round half to even, saturate symmetrically and keep zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.runtime.converters import convert


def f32(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_half_to_even_and_saturation() -> None:
    x = f32(0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.4, 127.6, 1e30, -1e30, np.inf, -np.inf)
    expected = f32(0, 2, 2, 0, -2, 126, 127, 127, 127, -127, 127, -127)
    assert np.array_equal(convert(x, 127.0, 8), expected)


def test_zero_is_a_code_and_codes_are_symmetric() -> None:
    x = np.linspace(-1, 1, 100_001, dtype=np.float32)
    codes = np.unique(convert(x, 1.0, 4))
    assert len(codes) == 15
    assert 0 in codes
    assert np.array_equal(codes, -codes[::-1])
    assert np.allclose(codes * 7, np.arange(-7, 8), atol=1e-6)


def test_no_bits_is_no_change() -> None:
    x = f32(0.1, 1e9, -3)
    y = convert(x, 1.0, None)
    assert np.array_equal(x, y) and y is not x
    assert convert(x, 1.0, None, out=x) is x


def test_range_a_column_and_in_place() -> None:
    x = np.array([[0.3, 3.0], [0.6, 60.0]], np.float32)
    y = convert(x, f32(1, 10), 3)
    assert y == pytest.approx(np.array([[1 / 3, 10 / 3], [2 / 3, 10]]))
    assert convert(x, f32(1, 10), 3, out=x) is x
    assert np.array_equal(x, y)


def test_a_range_of_zero_gives_zero() -> None:
    assert np.array_equal(convert(np.ones((2, 2), np.float32), f32(0, 1), 8), [[0, 1], [0, 1]])
    assert np.array_equal(convert(f32(1, -1, 0), 0.0, 8), [0, 0, 0])


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20),
    full_scale=st.floats(2**-10, 1e4, width=32),
    bits=st.integers(2, 20),
)
def test_properties(values: list[float], full_scale: float, bits: int) -> None:
    x = np.array(values, np.float32)
    y = convert(x, full_scale, bits)
    step = full_scale / (2 ** (bits - 1) - 1)
    assert y.dtype == np.float32
    assert np.array_equal(convert(y, full_scale, bits), y)
    assert np.array_equal(convert(-x, full_scale, bits), -y)
    inside = np.abs(x) <= full_scale
    assert np.all(np.abs(x - y)[inside] <= step * 0.5 + full_scale * 2e-7)
    assert np.all(np.abs(y) <= full_scale * (1 + 2e-7))

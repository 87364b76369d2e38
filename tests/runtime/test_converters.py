"""Converters round half to even, saturate symmetrically and keep zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.runtime.converters import Spread, convert
from mho.runtime.crossbar import digitise
from mho.runtime.effects import Effects
from mho.targets.target import Converter
from tests.programs import tiny_target


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


def test_spread_has_the_moments_that_calibration_leaves() -> None:
    """gain = 1 + residual · gain_spread · n, offset = residual · offset_spread · n'."""
    lines = 40_000
    converter = Converter(bits=8, gain_spread=0.05, offset_spread=0.02, residual=0.4)
    spread = Spread.draw(converter, 3, ("adc", "m"), lines)
    assert spread is not None
    for found, mean, sigma in ((spread.gain, 1, 0.02), (spread.offset, 0, 0.008)):
        numbers = found.astype(np.float64)
        assert abs(numbers.mean() - mean) < 4 * sigma / np.sqrt(lines)
        assert numbers.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * lines))
    assert abs(np.corrcoef(spread.gain, spread.offset)[0, 1]) < 4 / np.sqrt(lines)
    again, other = (Spread.draw(converter, 3, ("adc", name), lines) for name in ("m", "k"))
    assert again is not None and other is not None
    assert np.array_equal(again.gain, spread.gain)
    assert abs(np.corrcoef(other.gain, spread.gain)[0, 1]) < 4 / np.sqrt(lines)


@pytest.mark.parametrize("changes", [{}, {"gain_spread": 0.1, "residual": 0.0}])
def test_converters_that_do_not_deviate(changes: dict[str, float]) -> None:
    assert Spread.draw(Converter(bits=8, **changes), 0, ("adc",), 4) is None


def test_spread_acts_before_the_codes() -> None:
    spread = Spread(np.array([1.5, 1.0], np.float32), np.array([0.0, 0.25], np.float32))
    x = np.array([[0.5, 0.5], [0.9, -0.5]], np.float32)
    moved = spread.apply(x, np.array([1.0, 2.0], np.float32))
    assert moved == pytest.approx(np.array([[0.75, 1.0], [1.35, 0.0]]))
    machine = replace(tiny_target(bits=3), adc=Converter(bits=3))
    codes = digitise(x.copy(), np.array([1.0, 2.0], np.float32), machine, Effects(), spread)
    assert codes == pytest.approx(convert(moved, np.array([1.0, 2.0], np.float32), 3))

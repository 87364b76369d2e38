"""The compiled loops against plain numpy: the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.runtime.converters import Spread, convert
from mho.runtime.engines.conversions import (
    ROUNDER,
    Converters,
    Drive,
    Noise,
    convert_planes,
    convert_rows,
    drive_planes,
    drive_rows,
)
from mho.runtime.engines.strips import NO_NOISE, NO_NUMBERS
from mho.runtime.random import WORD, firing_normals, key, quantiles

Floats = NDArray[np.float32]
PLAIN = np.inf
SIGMA = np.float32(0.04)


def keys(count: int) -> list[int]:
    return [key(1, "noise", number) for number in range(count)]


def noise_of(found: list[int], sigma: np.float32 = SIGMA) -> Noise:
    seeds, twists = (np.array([(k >> shift) & WORD for k in found], np.uint64) for shift in (0, 64))
    return Noise(seeds, twists, sigma)


def spans_of(widths: list[int]) -> NDArray[np.int64]:
    """Conversions one after the other, put into the output in the opposite order."""
    ends = np.cumsum(widths)
    firsts = ends - widths
    return np.stack([firsts, ends, ends[-1] - ends], 1).astype(np.int64)


def unrounded(columns: int) -> Converters:
    ones = np.ones(columns, np.float32)
    return Converters(np.float32(PLAIN), np.float32(0), ones, ones, NO_NUMBERS, NO_NUMBERS, ones)


def converters(spans: Floats, bits: int, spread: Spread | None, unit: Floats) -> Converters:
    codes = np.float32(2 ** (bits - 1) - 1)
    factor = codes / np.where(spans == 0, np.float32(1), spans)
    gain = NO_NUMBERS if spread is None else spread.gain
    offset = NO_NUMBERS if spread is None else spread.offset * spans
    return Converters(codes, ROUNDER, factor, spans / codes, gain, offset, unit)


def reordered(array: Floats, spans: NDArray[np.int64]) -> Floats:
    out = np.empty_like(array)
    for first, end, there in spans:
        out[:, there : there + end - first] = array[:, first:end]
    return out


def as_planes(rows: Floats, samples: int) -> Floats:
    return np.ascontiguousarray(rows.reshape(samples, -1, rows.shape[1]).transpose(0, 2, 1))


WIDTHS = st.lists(st.integers(1, 21), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(widths=WIDTHS, samples=st.integers(1, 3), places=st.integers(1, 9), first=st.integers(0, 2**62))
def test_draws_are_those_of_the_generator(widths: list[int], samples: int, places: int, first: int) -> None:
    spans, found = spans_of(widths), keys(len(widths))
    fires = np.arange(first, first + samples * places)
    wanted = reordered(
        np.concatenate([firing_normals(k, fires, w) for k, w in zip(found, widths, strict=True)], 1), spans
    )
    blank = np.zeros((len(fires), sum(widths)), np.float32)
    physics = (NO_NOISE, noise_of(found, np.float32(1)), quantiles(), spans, unrounded(sum(widths)))
    rows = np.empty_like(blank)
    convert_rows(blank.copy(), np.empty((0, 0), np.float32), fires, *physics, rows, False)
    assert np.array_equal(rows, wanted)
    planes = np.empty_like(as_planes(blank, samples))
    convert_planes(as_planes(blank, samples), np.empty((0, 0, 0), np.float32), first, *physics, planes, False)
    assert np.array_equal(planes, as_planes(wanted, samples))


def test_long_planes_are_drawn_in_parts() -> None:
    places, found = 2500, keys(1)
    physics = (NO_NOISE, noise_of(found, np.float32(1)), quantiles(), spans_of([6]), unrounded(6))
    planes = np.zeros((2, 6, places), np.float32)
    convert_planes(planes.copy(), np.empty((0, 0, 0), np.float32), 11, *physics, planes, False)
    assert np.array_equal(planes, as_planes(firing_normals(found[0], np.arange(11, 11 + 2 * places), 6), 2))


def numpy_conversion(
    analog: Floats, variance: Floats, fires: NDArray[np.int64], widths: list[int], adc: tuple[Any, ...]
) -> Floats:
    """What `Machine` does to the sums of one product: [positions, columns]."""
    full_scale, bits, spread, unit = adc
    found, left = analog.copy(), 0
    for k, k2, width in zip(keys(len(widths)), keys(2 * len(widths))[len(widths) :], widths, strict=True):
        part = slice(left, left + width)
        found[:, part] += np.sqrt(variance[:, part]) * firing_normals(k2, fires, width)
        found[:, part] += firing_normals(k, fires, width) * SIGMA
        left += width
    if spread is not None:
        spread.apply(found, full_scale, out=found)
    convert(found, full_scale, bits, out=found)
    found *= unit
    return found


@settings(max_examples=40, deadline=None)
@given(
    widths=WIDTHS,
    samples=st.integers(1, 3),
    bits=st.integers(2, 20),
    spreads=st.booleans(),
    adds=st.booleans(),
    seed=st.integers(0, 99),
)
def test_conversions_are_those_of_the_machine(
    widths: list[int], samples: int, bits: int, spreads: bool, adds: bool, seed: int
) -> None:
    draw, columns, places = np.random.default_rng(seed), sum(widths), 7
    shape = (samples * places, columns)
    analog, there = (draw.normal(0, 2, shape).astype(np.float32) for _ in range(2))
    variance = draw.uniform(0, 0.1, shape).astype(np.float32)
    full_scale = draw.choice([0, 1.5, 3], columns).astype(np.float32)
    unit = draw.uniform(0.1, 2, columns).astype(np.float32)
    gain, offset = (draw.normal(mean, 0.1, columns).astype(np.float32) for mean in (1, 0))
    spread = Spread(gain, offset) if spreads else None
    spans, fires = spans_of(widths), np.arange(5, 5 + len(analog))
    wanted = reordered(numpy_conversion(analog, variance, fires, widths, (full_scale, bits, spread, unit)), spans)
    wanted = there + wanted if adds else wanted
    own = noise_of(keys(2 * len(widths))[len(widths) :], np.float32(1))
    physics = (own, noise_of(keys(len(widths))), quantiles(), spans, converters(full_scale, bits, spread, unit))
    rows = there.copy()
    convert_rows(analog.copy(), variance, fires, *physics, rows, adds)
    assert np.array_equal(rows, wanted)
    planes = as_planes(there, samples)
    convert_planes(as_planes(analog, samples), as_planes(variance, samples), 5, *physics, planes, adds)
    assert np.array_equal(planes, as_planes(wanted, samples))


@pytest.mark.parametrize("bits", [None, 2, 8, 22])
def test_drives_are_those_of_the_converter(bits: int | None) -> None:
    rows = np.random.default_rng(0).normal(0, 2, (9, 12)).astype(np.float32)
    rows[0, :4] = np.nan, np.inf, -np.inf, 0
    scale = np.float32(1.7)
    wanted = convert(rows / scale, 1.0, bits)
    codes = np.float32(PLAIN if bits is None else 2 ** (bits - 1) - 1)
    factor = np.float32(1) if bits is None else codes
    drive = Drive(scale, factor, codes, np.float32(0) if bits is None else ROUNDER, np.float32(1) / factor)
    found = np.empty((9, 5), np.float32)
    drive_rows(rows, 3, drive, found)
    assert np.array_equal(found, wanted[:, 3:8], equal_nan=True)
    filled = np.ones((3, 6, 3), np.float32)
    drive_planes(as_planes(rows, 3), 3, 8, drive, filled)
    assert np.array_equal(filled[:, :5], as_planes(wanted, 3)[:, 3:8], equal_nan=True)
    assert not filled[:, 5].any()

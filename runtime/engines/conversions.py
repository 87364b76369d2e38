"""Noise and converters in compiled loops: the arithmetic of `mho.runtime.crossbar`, operation by operation.

Whatever is left out is told by an empty array or a zero, so one loop serves every machine.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mho.runtime.engines.draws import DRAWS, GOLDEN, fill_words, look_up, look_up_planes
from mho.runtime.loops import compiled, inlined

ROUNDER = np.float32(1.5 * 2**23)
"""Added to a float32 below 2²² and taken away again, it rounds to the nearest whole number, half to even."""

PLACES = 1024
"""Places of a plane at a time, so that the scratch arrays stay in the nearest cache."""


class Drive(NamedTuple):
    """DACs of one full scale.

    Attributes:
        factor: codes of a full scale. step: a code as part of it.
        limit, rounder: the largest code, and `ROUNDER`; infinity and 0 where nothing is rounded.
    """

    full_scale: Any
    factor: Any
    limit: Any
    rounder: Any
    step: Any


class Noise(NamedTuple):
    """Fresh noise of one effect.

    Attributes:
        seeds, twists: [conversions] halves of the keys; empty where there is no such noise.
        sigma: standard deviation; 1 where every sum has one of its own.
    """

    seeds: Any
    twists: Any
    sigma: Any


class Converters(NamedTuple):
    """ADCs, a number a column.

    Attributes:
        limit, rounder: as in `Drive`.
        factor: codes an analog sum of 1. step: analog size of a code.
        gain, offset: of single converters; empty where they are all alike.
        unit: network units of an analog sum of 1.
    """

    limit: Any
    rounder: Any
    factor: Any
    step: Any
    gain: Any
    offset: Any
    unit: Any


@inlined
def coded(value: Any, limit: Any, rounder: Any) -> Any:
    """The nearest code, saturated; a value that is no number stays none."""
    if value > limit:
        value = limit
    if value < -limit:
        value = -limit
    return (value + rounder) - rounder


@inlined
def drive_line(values: Any, drive: Any, out: Any) -> None:
    scale, factor, limit, rounder, step = drive.full_scale, drive.factor, drive.limit, drive.rounder, drive.step
    for j in range(values.size):
        out[j] = coded((values[j] / scale) * factor, limit, rounder) * step


@compiled
def drive_rows(values: Any, first: Any, drive: Any, out: Any) -> None:
    """What DACs put on rows: values [positions, rows] from row `first` as fractions of the full scale."""
    for i in range(len(values)):
        drive_line(values[i][first : first + out.shape[1]], drive, out[i])


@compiled
def drive_planes(values: Any, first: Any, end: Any, drive: Any, out: Any) -> None:
    """As `drive_rows`, of the channels [first, end) of [samples, channels, places]; further ones of `out` are zero."""
    for i in range(len(values)):
        for c in range(out.shape[1]):
            if first + c < end:
                drive_line(values[i, first + c], drive, out[i, c])
            else:
                out[i, c] = 0


@inlined
def disturb_by(sums: Any, normals: Any, variance: Any) -> None:
    for j in range(sums.size):
        sums[j] += np.sqrt(variance[j]) * normals[j]


@inlined
def disturb(sums: Any, normals: Any, sigma: Any) -> None:
    for j in range(sums.size):
        sums[j] += normals[j] * sigma


@inlined
def deviate(sums: Any, gain: Any, offset: Any) -> None:
    for j in range(sums.size):
        sums[j] = sums[j] * gain[j] + offset[j]


@inlined
def take_over(sums: Any, limit: Any, rounder: Any, factor: Any, step: Any, unit: Any, out: Any, adds: bool) -> None:
    """Analog sums as codes in network units: added to what is there, or put there."""
    if adds:
        for j in range(sums.size):
            out[j] += (coded(sums[j] * factor[j], limit, rounder) * step[j]) * unit[j]
    else:
        for j in range(sums.size):
            out[j] = (coded(sums[j] * factor[j], limit, rounder) * step[j]) * unit[j]


@compiled
def convert_rows(
    analog: Any,
    variance: Any,
    fires: Any,
    weights: Any,
    sums: Any,
    table: Any,
    spans: Any,
    adc: Any,
    out: Any,
    adds: Any,
) -> None:
    """Noise, ADC and scale of the sums of one product, row by row.

    Args:
        analog: [positions, columns], overwritten. variance: of the same shape where the weights are noisy.
        weights, sums: `Noise` of the weights and of the sums.
        table: the quantiles that draws take.
        spans: [conversions, 3] first column, end, and the first column in `out` of each conversion.
        adc: `Converters`, a number a column.
        out: [positions, columns of the layer]; adds: whether something is there already.
    """
    widest = -(-(spans[:, 1] - spans[:, 0]).max() // DRAWS)
    words, drawn = np.empty(widest, np.uint64), np.empty((widest, DRAWS), np.float32)
    normals = drawn.reshape(-1)
    for i in range(len(analog)):
        fire, a, o = np.uint64(fires[i]), analog[i], out[i]
        for b in range(len(spans)):
            first, end, there = spans[b, 0], spans[b, 1], spans[b, 2]
            width = end - first
            count = -(-width // DRAWS)
            jump = np.uint64(count) * GOLDEN
            line = a[first:end]
            if weights.seeds.size:
                fill_words(words[:count], weights.seeds[b] + fire * jump, GOLDEN, weights.twists[b])
                look_up(words[:count], table, drawn)
                disturb_by(line, normals[:width], variance[i][first:end])
            if sums.seeds.size:
                fill_words(words[:count], sums.seeds[b] + fire * jump, GOLDEN, sums.twists[b])
                look_up(words[:count], table, drawn)
                disturb(line, normals[:width], sums.sigma)
            if adc.gain.size:
                deviate(line, adc.gain[first:end], adc.offset[first:end])
            factor, step, unit = adc.factor[first:end], adc.step[first:end], adc.unit[first:end]
            take_over(line, adc.limit, adc.rounder, factor, step, unit, o[there : there + width], adds)


@inlined
def take_over_plane(
    sums: Any, limit: Any, rounder: Any, factor: Any, step: Any, unit: Any, out: Any, adds: bool
) -> None:
    """As `take_over`, of sums that all come from one column."""
    if adds:
        for j in range(sums.size):
            out[j] += (coded(sums[j] * factor, limit, rounder) * step) * unit
    else:
        for j in range(sums.size):
            out[j] = (coded(sums[j] * factor, limit, rounder) * step) * unit


@compiled
def convert_planes(
    analog: Any,
    variance: Any,
    fire: Any,
    weights: Any,
    sums: Any,
    table: Any,
    spans: Any,
    adc: Any,
    out: Any,
    adds: Any,
) -> None:
    """As `convert_rows`, for a plane of places a column.

    Args:
        analog: [samples, columns, places], overwritten. variance: of the same shape where the weights are noisy.
        fire: index of the first sample's first place; the places of all samples are counted on from it.
        out: [samples, columns of the layer, places].
    """
    size = min(PLACES, analog.shape[2])
    normals, words = np.empty((DRAWS, size), np.float32), np.empty(size, np.uint64)
    for i in range(len(analog)):
        for b in range(len(spans)):
            first, end, there = spans[b, 0], spans[b, 1], spans[b, 2]
            jump = np.uint64(-(-(end - first) // DRAWS)) * GOLDEN
            for start in range(0, analog.shape[2], size):
                stop = min(start + size, analog.shape[2])
                count = stop - start
                place = (np.uint64(fire) + np.uint64(i * analog.shape[2] + start)) * jump
                for left in range(first, end, DRAWS):
                    word = place + np.uint64((left - first) // DRAWS) * GOLDEN
                    right = min(left + DRAWS, end)
                    if weights.seeds.size:
                        fill_words(words[:count], weights.seeds[b] + word, jump, weights.twists[b])
                        look_up_planes(words[:count], table, normals)
                        for c in range(left, right):
                            disturb_by(analog[i, c, start:stop], normals[c - left], variance[i, c, start:stop])
                    if sums.seeds.size:
                        fill_words(words[:count], sums.seeds[b] + word, jump, sums.twists[b])
                        look_up_planes(words[:count], table, normals)
                        for c in range(left, right):
                            disturb(analog[i, c, start:stop], normals[c - left], sums.sigma)
                    for c in range(left, right):
                        line, o = analog[i, c, start:stop], out[i, there + c - first, start:stop]
                        if adc.gain.size:
                            for j in range(line.size):
                                line[j] = line[j] * adc.gain[c] + adc.offset[c]
                        take_over_plane(line, adc.limit, adc.rounder, adc.factor[c], adc.step[c], adc.unit[c], o, adds)

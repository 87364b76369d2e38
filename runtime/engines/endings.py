"""The digital end of a layer in compiled loops: the arithmetic of `mho.runtime.epilogue` and `mho.runtime.formats`."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np

from mho.runtime.effects import Effects
from mho.runtime.formats import FLOAT16_LARGEST
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.loops import compiled, inlined
from mho.targets.program import Program
from mho.targets.steps import Activation

LARGEST = np.float32(FLOAT16_LARGEST)
SMALLEST_NORMAL = np.float32(2.0**-14)
SUBNORMAL_ROUNDER = np.float32(0.75)
"""Added to a number below 2⁻¹⁴ and taken away again, it rounds to whole multiples of 2⁻²⁴: the subnormal float16."""

DROPPED = np.int32(13)
"""Bits of a float32's mantissa that a float16 has not."""
HALF, ONE, KEPT, SIGN = np.int32((1 << 12) - 1), np.int32(1), np.int32(-1 << 13), np.int32(-1 << 31)

NOTHING, CLIPS, LEAKS = 0, 1, 2


class Ending(NamedTuple):
    """activation(scale · sums + bias + addend), rounded.

    Attributes:
        scale, bias: [columns]; empty where there is none.
        function: NOTHING, CLIPS between `low` and `high`, or LEAKS by `slope` below 0.
        halves: whether the unit holds float16.
    """

    scale: Any
    bias: Any
    function: Any
    low: Any
    high: Any
    slope: Any
    halves: Any


def ending_of(math: LayerMath, halves: bool = False) -> Ending:
    """The ending of a layer whose constants are float32."""
    function, low, high, slope = NOTHING, 0.0, 0.0, 0.0
    match math.activation:
        case None:
            pass
        case Activation(function="leaky_relu"):
            function, slope = LEAKS, math.activation.slope
        case Activation(function="relu"):
            function, high = CLIPS, inf
        case Activation():
            wanted = math.activation
            low = -inf if wanted.low is None else wanted.low
            function, high = CLIPS, inf if wanted.high is None else wanted.high
    none = np.empty(0, np.float32)
    scale = none if math.scale is None else math.scale
    bias = none if math.bias is None else math.bias
    return Ending(scale, bias, function, np.float32(low), np.float32(high), np.float32(slope), halves)


def layer_endings(program: Program, effects: Effects) -> dict[str, Ending | None]:
    """Layer → its ending; None where its constants are wider than float32."""
    halves = effects.digital_format and program.target.core.digital_format == "float16"
    return {m.layer: None if m.is_wide else ending_of(m, halves) for m in layer_math(program)}


NO_ENDING = Ending(np.empty(0, np.float32), np.empty(0, np.float32), NOTHING, *(np.float32(0),) * 3, False)
"""Leaves sums as they are."""


@inlined
def end_line(line: Any, addend: Any, adds: Any, function: Any, low: Any, high: Any, slope: Any, halves: Any) -> None:
    """What comes after scale and bias, in place."""
    if adds:
        for j in range(line.size):
            line[j] += addend[j]
    if function == CLIPS:
        for j in range(line.size):
            value = line[j]
            if value < low:
                value = low
            if value > high:
                value = high
            line[j] = value
    elif function == LEAKS:
        for j in range(line.size):
            line[j] = line[j] * slope if line[j] < 0 else line[j]
    if halves:
        round_halves(line)


@compiled
def round_halves(line: Any) -> None:
    """Each number to the nearest float16, half to even, saturated; one that is no number stays none."""
    bits = line.view(np.int32)
    for j in range(line.size):
        value = line[j]
        if value > LARGEST:
            value = LARGEST
        if value < -LARGEST:
            value = -LARGEST
        line[j] = value
    for j in range(line.size):
        value = line[j]
        magnitude = abs(value)
        tiny = (magnitude + SUBNORMAL_ROUNDER) - SUBNORMAL_ROUNDER
        here = bits[j]
        kept = (here + HALF + ((here >> DROPPED) & ONE)) & KEPT
        small = np.float32(tiny).view(np.int32) | (here & SIGN)
        bits[j] = small if magnitude < SMALLEST_NORMAL else (kept if magnitude <= LARGEST else here)


@compiled
def end_rows(out: Any, first: Any, end: Any, addend: Any, ending: Any) -> None:
    """The end of a layer on columns [first, end) of its sums [positions, columns], in place.

    Args:
        addend: of the shape of `out`, or empty.
    """
    for i in range(len(out)):
        line = out[i][first:end]
        if ending.scale.size:
            scale = ending.scale[first:end]
            for j in range(line.size):
                line[j] *= scale[j]
        if ending.bias.size:
            bias = ending.bias[first:end]
            for j in range(line.size):
                line[j] += bias[j]
        adds = addend.size > 0
        more = addend[i][first:end] if adds else line
        end_line(line, more, adds, ending.function, ending.low, ending.high, ending.slope, ending.halves)


@compiled
def end_planes(out: Any, first: Any, end: Any, addend: Any, ending: Any) -> None:
    """As `end_rows`, of sums [samples, columns, places]."""
    for i in range(len(out)):
        for c in range(first, end):
            line = out[i, c]
            if ending.scale.size:
                for j in range(line.size):
                    line[j] *= ending.scale[c]
            if ending.bias.size:
                for j in range(line.size):
                    line[j] += ending.bias[c]
            adds = addend.size > 0
            more = addend[i, c] if adds else line
            end_line(line, more, adds, ending.function, ending.low, ending.high, ending.slope, ending.halves)

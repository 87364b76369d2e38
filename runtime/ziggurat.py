"""The standard normal numbers of numpy's `Generator(Philox(key))`, in float32 and bit for bit, by compiled loops.

Words come from Philox-4x64 with ten rounds (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011), whose
first counter is 1. Each half of a word, the lower one first, is a number to the ziggurat of Marsaglia and Tsang (The
ziggurat method for generating random variables, Journal of Statistical Software 5 (8), 2000) with 256 layers of equal
area: eight bits choose a layer, one the sign, and 23 the place in the layer.
"""

from __future__ import annotations

from functools import cache
from math import exp, log, log1p, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mho.runtime.loops import compiled, inlined, wide_product

LAYERS = 256
PLACES = 1 << 23
"""Places in a layer that 23 bits tell apart."""

TAIL = 3.6541528853610088
"""Where the lowest layer goes over into the tail of the distribution."""

AREA = 0.00492867323399
"""Of each layer, that of the tail included in the lowest one's."""

BLOCK_WORDS, BLOCK_HALVES = 4, 8
FRESH_WORDS = 1024
"""Words that are made at once; they stay in the nearest cache."""

STEP_HALVES = 2
"""The most halves that one step of the loop looks at."""

ROUNDS = 10
KEY_STEPS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
FACTORS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
U8, U9, LAYER_BITS, SIGNED_BITS, ONE = (np.uint32(n) for n in (8, 9, 255, 511, 1))
UNIFORM_STEP = np.float32(2.0**-24)


class Layers(NamedTuple):
    """The ziggurat.

    Attributes:
        widths: [512] of a place in each layer, then the same with the other sign.
        inner: [256] number of places in each layer that lie within the next layer's edge.
        heights: [256] of the density at each layer's edge, 1 in the middle.
    """

    widths: NDArray[np.float32]
    inner: NDArray[np.uint32]
    heights: NDArray[np.float32]


@cache
def layers() -> Layers:
    """The layers; the lowest is number 0, the next one number 255, and on upwards to number 1."""
    edges, heights = np.empty(LAYERS), np.empty(LAYERS)
    inner = np.zeros(LAYERS, np.uint32)
    edges[-1], heights[-1] = TAIL, exp(-TAIL * TAIL / 2)
    edges[0], heights[0] = AREA / heights[-1], 1.0
    inner[0] = round(TAIL / edges[0] * PLACES)
    for i in range(LAYERS - 2, 0, -1):
        edges[i] = sqrt(-2 * log(AREA / edges[i + 1] + heights[i + 1]))
        heights[i] = exp(-edges[i] * edges[i] / 2)
        inner[i + 1] = round(edges[i] / edges[i + 1] * PLACES)
    widths = (edges / PLACES).astype(np.float32)
    return Layers(np.concatenate([widths, -widths]), inner, heights.astype(np.float32))


def fill_normals(key: int, out: NDArray[np.float32]) -> None:
    """Writes the first numbers of a key of 128 bits into a contiguous array."""
    _fill(np.uint64(key & (1 << 64) - 1), np.uint64(key >> 64), out.reshape(-1), *layers())


@compiled
def _fill_words(words: Any, first: Any, low: Any, high: Any) -> None:
    """The four words each of counters that begin at `first`."""
    for block in range(words.size // BLOCK_WORDS):
        a, b, c, d = first + np.uint64(block), np.uint64(0), np.uint64(0), np.uint64(0)
        key, other = low, high
        for _ in range(ROUNDS):
            upper_a, lower_a = wide_product(FACTORS[0], a)
            upper_c, lower_c = wide_product(FACTORS[1], c)
            a, b, c, d = upper_c ^ b ^ key, lower_c, upper_a ^ d ^ other, lower_a
            key, other = key + KEY_STEPS[0], other + KEY_STEPS[1]
        place = BLOCK_WORDS * block
        words[place], words[place + 1], words[place + 2], words[place + 3] = a, b, c, d


@inlined
def _uniform(half: Any) -> Any:
    """A number in [0, 1) of 24 bits."""
    return np.float32(half >> U8) * UNIFORM_STEP


@inlined
def _below_density(x: Any, half: Any, inside: Any, outside: Any) -> Any:
    """Whether a point at x, at a random height between those of two edges, lies below the density."""
    return (inside - outside) * _uniform(half) + outside < exp(-0.5 * np.float64(x) * np.float64(x))


@inlined
def _beyond(half: Any) -> Any:
    """How far beyond the beginning of the tail, drawn from an exponential distribution."""
    return np.float32(-1.0 / TAIL) * np.float32(log1p(-_uniform(half)))


@inlined
def _in_tail(beyond: Any, half: Any) -> Any:
    """Whether the tail's density keeps what the exponential distribution gave."""
    return np.float32(-2.0) * np.float32(log1p(-_uniform(half))) > beyond * beyond


@compiled
def _fill(low: Any, high: Any, out: Any, widths: Any, inner: Any, heights: Any) -> None:
    """Writes normal numbers; what is left of the words when new ones are made stands right before those."""
    words = np.empty(BLOCK_WORDS + FRESH_WORDS, np.uint64)
    halves = words.view(np.uint32)
    counter, place, done = np.uint64(1), halves.size, 0
    tailing, sign = False, np.float32(1.0)
    while done < out.size:
        if place + STEP_HALVES > halves.size:
            left = halves.size - place
            place = BLOCK_HALVES - left
            halves[place:BLOCK_HALVES] = halves[halves.size - left :]
            _fill_words(words[BLOCK_WORDS:], counter, low, high)
            counter += np.uint64(FRESH_WORDS // BLOCK_WORDS)
        half, next_half = halves[place], halves[place + 1]
        if tailing:
            place += 2
            beyond = _beyond(half)
            if _in_tail(beyond, next_half):
                out[done], tailing = sign * (np.float32(TAIL) + beyond), False
                done += 1
            continue
        place += 1
        layer, position = half & LAYER_BITS, half >> U9
        x = np.float32(position) * widths[half & SIGNED_BITS]
        if position < inner[layer]:
            out[done] = x
            done += 1
        elif layer == 0:
            tailing, sign = True, np.float32(-1.0) if (position >> U8) & ONE else np.float32(1.0)
        else:
            place += 1
            if _below_density(x, next_half, heights[layer - ONE], heights[layer]):
                out[done] = x
                done += 1

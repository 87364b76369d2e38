"""Random numbers that are addressed, not consumed: a draw depends on its key and its place alone.

So no draw depends on threads, on how a batch is split, or on which executor asks. The state of devices comes from
numpy's Philox-4x64 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011), a whole array at a time.
Noise of single fires comes from a keyed SplitMix64 (Steele et al., Fast splittable pseudorandom number generators,
OOPSLA 2014; the constants are Stafford's 13th), whose place is a product away and which vectorises over fires.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import blake2b
from math import prod
from statistics import NormalDist

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

LEVELS = 1 << 16
WORD_DRAWS = 4
"""16-bit numbers in a word."""

PIECE_DRAWS = 1 << 16
"""Draws at a time: the scratch arrays stay in the cache."""

MANY_DRAWS = 1 << 15
"""So many normal numbers of one key are worth the loading of compiled loops."""

WORD = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
MIXERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def key(seed: int, *parts: str | int) -> int:
    """A 128-bit key that is different for every different seed and list of parts."""
    text = json.dumps([seed, *parts])
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")


def normals(key: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Independent standard normal numbers: for the state of devices, drawn as a whole.

    They are numpy's, many of them from loops that give the same numbers three times as fast.
    """
    if prod(shape) < MANY_DRAWS:
        return Generator(Philox(key=key)).standard_normal(shape, np.float32)
    from mho.runtime.ziggurat import fill_normals

    drawn = np.empty(shape, np.float32)
    fill_normals(key, drawn)
    return drawn


def uniforms(key: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Independent numbers, uniform in [0, 1): for the state of devices, drawn as a whole."""
    return Generator(Philox(key=key)).random(shape, np.float32)


def firing_normals(key: int, fires: NDArray[np.int64], columns: int) -> NDArray[np.float32]:
    """A row of standard normal numbers a fire, for noise that is fresh at every MVM.

    Row i depends on the key, fires[i] and the number of columns alone. The numbers take 65,536 values, the
    quantiles of the normal distribution, out to 4.3 sigma.

    Args:
        fires: [n] numbers of fires. The places of their words are taken modulo 2⁶⁴, so that rows of 2ⁿ words repeat
            for numbers that differ by a multiple of 2⁶⁴⁻ⁿ: at 4,096 columns 2⁵⁴ numbers are different.

    Returns:
        [n, columns]
    """
    rows = np.empty((len(fires), columns), np.float32)
    words = -(-columns // WORD_DRAWS)
    piece = max(1, PIECE_DRAWS // max(1, words * WORD_DRAWS))
    for start in range(0, len(fires), piece):
        drawn = _words(key, fires[start : start + piece], words).astype("<u8", copy=False).view("<u2")
        np.take(quantiles(), drawn[:, :columns].astype(np.intp), out=rows[start : start + piece], mode="clip")
    return rows


@cache
def quantiles() -> NDArray[np.float32]:
    """The normal distribution as 65,536 equally likely numbers of mean 0 and variance 1, ascending."""
    distribution = NormalDist()
    upper = np.array([distribution.inv_cdf(0.5 + (i + 0.5) / LEVELS) for i in range(LEVELS // 2)])
    both = np.concatenate([-upper[::-1], upper])
    table: NDArray[np.float32] = (both / np.sqrt(np.mean(both**2))).astype(np.float32)
    table.setflags(write=False)
    return table


def _words(key: int, fires: NDArray[np.int64], words: int) -> NDArray[np.uint64]:
    """[n, words] of 64 random bits: SplitMix64 at place fire · words + word, one half of the key as its seed.

    The other half enters between the two multiplications, so that keys differ by more than a shift of places.
    Keys must be hashed, as those of `key` are: keys that differ in a single bit may give related numbers.
    """
    seed, twist = key & WORD, np.uint64(key >> 64)
    firsts = fires.astype(np.uint64) * np.uint64(words * STEP & WORD) + np.uint64(seed)
    z = firsts[:, None] + np.arange(words, dtype=np.uint64) * np.uint64(STEP)
    scratch = np.empty_like(z)
    z ^= np.right_shift(z, SHIFTS[0], out=scratch)
    z *= MIXERS[0]
    z ^= twist
    z ^= np.right_shift(z, SHIFTS[1], out=scratch)
    z *= MIXERS[1]
    z ^= np.right_shift(z, SHIFTS[2], out=scratch)
    return z

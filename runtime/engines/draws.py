"""The draws of `mho.runtime.random.firing_normals` in compiled loops, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from mho.runtime.loops import compiled, inlined
from mho.runtime.random import MIXERS, STEP, WORD_DRAWS

GOLDEN = np.uint64(STEP)
MIX_1, MIX_2 = MIXERS
U16, U27, U30, U31, U32, U48 = (np.uint64(n) for n in (16, 27, 30, 31, 32, 48))
LOW = np.uint64(0xFFFF)
DRAWS = WORD_DRAWS


@inlined
def mixed(z: Any, twist: Any) -> Any:
    """64 random bits of a place: the keyed SplitMix64 of `mho.runtime.random`."""
    z = (z ^ (z >> U30)) * MIX_1
    z = z ^ twist
    z = (z ^ (z >> U27)) * MIX_2
    return z ^ (z >> U31)


@compiled
def fill_words(words: Any, first: Any, step: Any, twist: Any) -> None:
    """Random words of places that follow each other by `step`."""
    place = first
    for i in range(words.size):
        words[i] = mixed(place, twist)
        place += step


@compiled
def look_up(words: Any, table: Any, normals: Any) -> None:
    """The quantiles of the four 16-bit numbers of each word, side by side: normals [words, 4]."""
    for w in range(words.size):
        word = words[w]
        normals[w, 0] = table[word & LOW]
        normals[w, 1] = table[(word >> U16) & LOW]
        normals[w, 2] = table[(word >> U32) & LOW]
        normals[w, 3] = table[word >> U48]


@compiled
def look_up_planes(words: Any, table: Any, normals: Any) -> None:
    """As `look_up`, in a plane each: normals [4, words]."""
    first, second, third, fourth = normals[0], normals[1], normals[2], normals[3]
    for w in range(words.size):
        word = words[w]
        first[w] = table[word & LOW]
        second[w] = table[(word >> U16) & LOW]
        third[w] = table[(word >> U32) & LOW]
        fourth[w] = table[word >> U48]

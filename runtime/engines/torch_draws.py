"""The draws of `mho.runtime.random.firing_normals` as torch tensors, bit for bit, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mho.runtime.engines.conversions import Noise
from mho.runtime.random import MIXERS, SHIFTS, STEP, WORD_DRAWS, quantiles

if TYPE_CHECKING:
    from torch import Tensor

DRAW_BITS, DRAW_MASK = 16, 0xFFFF
WORD_BITS = 64


def signed(word: int) -> int:
    """The int64 with the bits of a word: torch has no arithmetic of unsigned words, and int64 wraps in the same way."""
    return word - (1 << WORD_BITS) if word >> (WORD_BITS - 1) else word


def draw_table(device: str) -> Tensor:
    """The 65,536 quantiles on a device."""
    import torch

    return torch.tensor(np.array(quantiles()), device=device)


def normals(noise: Noise, conversion: int, fires: Tensor, columns: int, table: Tensor) -> Tensor:
    """The normal numbers [fires, columns] of one conversion."""
    import torch

    words = -(-columns // WORD_DRAWS)
    seed, twist = int(noise.seeds[conversion]), int(noise.twists[conversion])
    places = torch.arange(words, device=fires.device, dtype=torch.int64) * signed(STEP)
    firsts = fires * signed(words * STEP % (1 << WORD_BITS)) + signed(seed)
    word = _mixed(firsts[:, None] + places, signed(twist))
    parts = [(word >> (DRAW_BITS * k)) & DRAW_MASK for k in range(WORD_DRAWS)]
    index = torch.stack(parts, dim=2).reshape(len(fires), words * WORD_DRAWS)[:, :columns]
    return table[index]


def _mixed(z: Tensor, twist: int) -> Tensor:
    """The keyed SplitMix64 of `mho.runtime.random`."""
    first, second, third = (int(shift) for shift in SHIFTS)
    z = (z ^ _shifted(z, first)) * signed(int(MIXERS[0]))
    z = z ^ twist
    z = (z ^ _shifted(z, second)) * signed(int(MIXERS[1]))
    return z ^ _shifted(z, third)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A shift to the right that fills up with zeros."""
    return (z >> bits) & ((1 << (WORD_BITS - bits)) - 1)

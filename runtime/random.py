"""Random numbers that are addressed, not consumed: a draw depends on its key and its place alone.

So no draw depends on threads, on how a batch is split, or on which executor asks. The generator is Philox-4x64
(Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011), whose counter is the address.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

LEVELS = 1 << 16
COUNTER_DRAWS = 16
"""16-bit numbers that one counter of Philox-4x64 yields."""

PERIOD = 1 << 256
"""Counters of Philox-4x64."""

PIECE_DRAWS = 1 << 17
"""Draws at a time: the scratch arrays stay in the cache."""

SKIPPED_DRAWS = 2048
"""Draws between two fires that are made and thrown away, since jumping over them costs about as much."""


def key(seed: int, *parts: str | int) -> int:
    """A 128-bit key that is different for every different seed and list of parts."""
    text = json.dumps([seed, *parts])
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")


def normals(key: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Independent standard normal numbers: for the state of devices, drawn as a whole."""
    return Generator(Philox(key=key)).standard_normal(shape, np.float32)


def firing_normals(key: int, fires: NDArray[np.int64], columns: int) -> NDArray[np.float32]:
    """A row of standard normal numbers a fire, for noise that is fresh at every MVM.

    Row i depends on the key and fires[i] alone (its first numbers do not even depend on `columns` up to the next
    multiple of 16). The numbers take 65,536 values, the quantiles of the normal distribution, out to 4.3 sigma.

    Args:
        fires: [n] numbers of fires, none negative; neighbours should be near to each other for speed.

    Returns:
        [n, columns]
    """
    counters = -(-columns // COUNTER_DRAWS)
    rows = np.empty((len(fires), columns), np.float32)
    stream = _Stream(key)
    step = max(1, PIECE_DRAWS // max(1, counters * COUNTER_DRAWS))
    for start in range(0, len(fires), step):
        drawn = stream.rows(fires[start : start + step], counters)[:, :columns]
        np.take(quantiles(), drawn.astype(np.intp), out=rows[start : start + step], mode="clip")
    return rows


@cache
def quantiles() -> NDArray[np.float32]:
    """The normal distribution as 65,536 equally likely numbers of mean 0 and variance 1, ascending."""
    distribution = NormalDist()
    upper = np.array([distribution.inv_cdf(0.5 + (i + 0.5) / LEVELS) for i in range(LEVELS // 2)])
    both = np.concatenate([-upper[::-1], upper])
    return (both / np.sqrt(np.mean(both**2))).astype(np.float32)


class _Stream:
    """Philox with a counter that can be set, which jumps much faster than a new generator is made."""

    def __init__(self, key: int) -> None:
        self._philox = Philox(key=key)
        self._counter = 0

    def rows(self, fires: NDArray[np.int64], counters: int) -> NDArray[np.uint16]:
        """[n, 16 · counters] 16-bit numbers, those of fire f at the counters from f · counters on."""
        farthest = max(1, SKIPPED_DRAWS // max(1, counters * COUNTER_DRAWS))
        gaps = np.diff(fires)
        cuts = np.flatnonzero((gaps < 1) | (gaps > farthest)) + 1
        runs = [self._run(fires[a:b], counters) for a, b in pairwise([0, *cuts.tolist(), len(fires)])]
        return runs[0] if len(runs) == 1 else np.concatenate(runs)

    def _run(self, fires: NDArray[np.int64], counters: int) -> NDArray[np.uint16]:
        """The rows of ascending fires that lie close together."""
        first, count = int(fires[0]), int(fires[-1] - fires[0]) + 1
        self._philox.advance((first * counters - self._counter) % PERIOD)
        self._counter = (first + count) * counters
        raw = self._philox.random_raw(count * counters * 4).astype("<u8", copy=False).view("<u2")
        drawn = raw.reshape(count, counters * COUNTER_DRAWS)
        return drawn if count == len(fires) else drawn[fires - first]

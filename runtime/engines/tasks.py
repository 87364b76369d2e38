"""How the work of a layer is cut: pieces that fit the cache, and enough of them for all threads."""

from __future__ import annotations

import os
from collections.abc import Iterator

TASK_NUMBERS = 1 << int(os.environ.get("TN", "20"))
"""float32 numbers that a task has in work at a time."""

FEWEST_NUMBERS = 1 << 16
"""A layer of fewer numbers is not cut for the sake of more threads."""


def spans(count: int, width: int, threads: int) -> Iterator[slice]:
    """Cuts `count` samples or positions, each of `width` numbers in work, into about equal parts."""
    parts = -(-count * width // TASK_NUMBERS)
    if count * width >= FEWEST_NUMBERS:
        parts = -(-parts // threads) * threads
    size = max(1, -(-count // max(1, parts)))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))

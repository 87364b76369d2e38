"""Matrix products whose last digits do not depend on the number of cores, and that use all of them all the same.

A library for products (BLAS) that works on several threads adds in another order than on one. So it is held to one
thread while a program is made, and large products are cut into parts, always the same, that threads of our own work on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product as pairs
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ROWS = 512
COLUMNS = 1024
"""Size of a part of a product: large enough for BLAS to be at its best on one thread."""

Array = NDArray[Any]


@contextmanager
def steady_products() -> Iterator[None]:
    """Holds BLAS to one thread within the block."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def product_in_parts(left: Array, right: Array, dtype: DTypeLike) -> Array:
    """left [rows, inner] times right [inner, columns], part by part on all cores."""
    rows, columns = range(0, len(left), ROWS), range(0, right.shape[1], COLUMNS)
    parts = list(pairs(rows, columns))
    if len(parts) < 2:
        whole: Array = np.matmul(left, right, dtype=dtype)
        return whole
    out = np.empty((len(left), right.shape[1]), dtype)

    def fill(part: tuple[int, int]) -> None:
        here, there = slice(part[0], part[0] + ROWS), slice(part[1], part[1] + COLUMNS)
        np.matmul(left[here], right[:, there], out=out[here, there], dtype=dtype)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(fill, parts))
    return out

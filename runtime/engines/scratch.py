"""The memory that each thread works in: scratch for one task, and large results that are used again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from math import prod
from threading import local
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mho.runtime.engines.products import Products

Array = NDArray[np.float32]

LINE = 16
"""Numbers of a cache line; arrays that are carved out of a scratch begin at one."""

KEPT_NUMBERS = 1 << 12
"""Smaller arrays are quicker made than found again."""

Shapes = tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]
"""Of the inputs of products and of their sums."""

MOST_KEPT = 1 << 28
"""Numbers, 1 GiB, in all arrays that wait to be used again."""


class Place:
    """The arrays between the inputs of some products and their outputs, for one number of positions.

    Attributes:
        inputs, sums: what goes into the products and comes out of them.
    """

    def __init__(self, products: Products, inputs: Sequence[Array], sums: Sequence[Array]) -> None:
        self.inputs = inputs
        self.sums = sums
        self._run = products.bound(inputs, sums)

    def multiply(self) -> None:
        """Writes the sums."""
        self._run()


class Scratch:
    """Memory of one thread that is carved up anew for every task."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.float32)
        self._places: WeakKeyDictionary[Products, dict[Any, Place]] = WeakKeyDictionary()

    def place(self, products: Products, key: Any, shapes: Callable[[], Shapes]) -> Place:
        """Where products find their inputs and leave their sums; what another task had there is given up.

        Args:
            key: the number and shape of the positions, by which the same place is found again.
        """
        kept = self._places.setdefault(products, {})
        if key not in kept:
            inputs, sums = shapes()
            arrays = self._carved([*inputs, *sums])
            kept = self._places.setdefault(products, {})
            kept[key] = Place(products, arrays[: len(inputs)], arrays[len(inputs) :])
        return kept[key]

    def _carved(self, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        total = LINE + sum(-(-prod(shape) // LINE) * LINE for shape in shapes)
        if self._numbers.size < total:
            self._places.clear()
            self._numbers = np.empty(total, np.float32)
        start = -(self._numbers.ctypes.data // self._numbers.itemsize) % LINE
        found = []
        for shape in shapes:
            found.append(self._numbers[start : start + prod(shape)].reshape(shape))
            start += -(-prod(shape) // LINE) * LINE
        return found


class Buffers:
    """Large arrays, which are used again when nobody else holds them: fresh memory costs as much as a product."""

    def __init__(self) -> None:
        self._kept: list[Array] = []

    def empty(self, shape: tuple[int, ...]) -> Array:
        """An array with anything in it."""
        size = prod(shape)
        if size < KEPT_NUMBERS:
            return np.empty(shape, np.float32)
        found = next((kept for kept in idle(self._kept) if size <= kept.size <= 2 * size), None)
        if found is None:
            found = self._fresh(size)
        return found[:size].reshape(shape)

    def _fresh(self, size: int) -> Array:
        if sum(kept.size for kept in self._kept) + size > MOST_KEPT:
            unused = {id(kept) for kept in idle(self._kept)}
            self._kept = [kept for kept in self._kept if id(kept) not in unused]
        self._kept.append(np.empty(size, np.float32))
        return self._kept[-1]


def idle(arrays: Sequence[Array]) -> Iterator[Array]:
    """The arrays that a sequence alone holds, no view of them either."""
    for array in arrays:
        if sys.getrefcount(array) == _ALONE:
            yield array


def _count_alone() -> int:
    """The count of references to an array as `idle` sees it, which differs from one version of Python to another."""
    for array in [np.empty(1, np.float32)]:
        return sys.getrefcount(array)
    return 0


_ALONE = _count_alone()


class Bench(local):
    """The scratch of every thread."""

    def __init__(self) -> None:
        self.scratch = Scratch()


BENCH = Bench()

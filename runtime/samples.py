"""Samples: the data of a run, cut into the batches that a model takes, with state carried from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.sequencer import Sequencer
from mho.targets.errors import DataError, plain
from mho.targets.steps import Port

Array = NDArray[Any]

DEFAULT_BATCH = 64
"""Samples in a batch where the model leaves it open."""


@dataclass(frozen=True)
class Samples:
    """Arrays by input name; the first axis counts the samples, but for inputs of rank 0, which are given whole.

    Attributes:
        count: number of samples.
        batch: samples in one run.
        state: output → input of the next sample; such inputs start at zero where they have no array.
    """

    arrays: Mapping[str, Array]
    count: int
    batch: int
    state: Mapping[str, str] = field(default_factory=dict)

    def first(self, count: int) -> Samples:
        """The first `count` samples."""
        kept = {n: a[:count] if a.ndim else a for n, a in self.arrays.items()}
        return Samples(kept, min(count, self.count), self.batch, self.state)


def match_samples(
    data: Mapping[str, Array], inputs: tuple[Port, ...], state: Mapping[str, str] | None = None
) -> Samples:
    """The data of each input, checked against the model.

    Args:
        data: one array an input under its name, `x` serving where there is one input to feed; others are ignored.

    Raises:
        DataError: names, shapes or types do not suit, all problems at once.
    """
    state = dict(state or {})
    fed = [port for port in inputs if port.name not in state.values() or port.name in data]
    named = dict(data)
    if len(fed) == 1 and fed[0].name not in named and "x" in named:
        named[fed[0].name] = named["x"]
    problems = [p for port in fed for p in _problems(port, named)]
    if problems:
        raise DataError(problems)
    arrays = {port.name: np.asarray(named[port.name]).astype(NUMPY_TYPES[port.type], copy=False) for port in fed}
    counts = {name: len(a) for name, a in arrays.items() if a.ndim}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{plain(n)} has {c}" for n, c in counts.items())
        raise DataError(f"the inputs have different numbers of samples: {listed}; give each input as many")
    count = next(iter(counts.values()), 1)
    zeros = {p.name: _zeros(p) for p in inputs if p.name in state.values() and p.name not in arrays}
    return Samples(arrays | zeros, count, _batch(inputs, arrays, bool(state)), state)


NUMPY_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def _problems(port: Port, data: Mapping[str, Array]) -> Iterator[str]:
    name = plain(port.name)
    if port.name not in data:
        given = ", ".join(plain(n) for n in data) or "none"
        yield f"the data has no array for input {name}; it has: {given}"
        return
    array = np.asarray(data[port.name])
    if port.type not in NUMPY_TYPES:
        yield f"input {name} is a {port.type}, which arrays cannot feed"
        return
    wanted = np.dtype(NUMPY_TYPES[port.type])
    if wanted.kind != "O" and not _casts(array, wanted):
        yield f"input {name} wants {wanted}, the data has {array.dtype}"
    if port.shape is not None and not _fits(array.shape, port.shape):
        yield f"input {name} wants the shape {_text(port.shape)} (first axis: samples), the data has {array.shape}"


def _casts(array: Array, wanted: np.dtype[Any]) -> bool:
    if array.dtype == wanted or np.can_cast(array.dtype, wanted, "same_kind"):
        return True
    return bool(array.dtype.kind in "iu" and wanted.kind in "iuf" and np.array_equal(array.astype(wanted), array))


def _fits(shape: tuple[int, ...], port: tuple[int | str | None, ...]) -> bool:
    if len(shape) == len(port) + 1:
        shape = shape[1:]
        tail = port
    else:
        tail = port[1:]
        shape = shape[1:] if len(shape) == len(port) else (-1,) * (len(port) + 1)
    return len(shape) == len(tail) and all(
        not isinstance(p, int) or s == p for s, p in zip(shape, tail, strict=True)
    )


def _text(shape: tuple[int | str | None, ...]) -> str:
    return "(" + ", ".join("?" if d is None else plain(str(d)) for d in shape) + ")"


def _zeros(port: Port) -> Array:
    """One initial state, symbolic dimensions taken as 1, behind an axis that makes it whole for every sample."""
    shape = tuple(d if isinstance(d, int) else 1 for d in port.shape or ())
    return np.zeros((1, *shape), NUMPY_TYPES[port.type])


def _batch(inputs: tuple[Port, ...], arrays: Mapping[str, Array], carried: bool) -> int:
    if carried:
        return 1
    fixed = [p.shape[0] for p in inputs if p.name in arrays and p.shape and isinstance(p.shape[0], int)]
    single = any(a.ndim == len(p.shape or ()) + 1 for p in inputs if (a := arrays.get(p.name)) is not None)
    if single:
        return 1
    return min(fixed, default=DEFAULT_BATCH)

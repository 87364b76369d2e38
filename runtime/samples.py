"""Samples: the data of a run, cut into the batches that a model takes, with state carried from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.targets.errors import DataError, plain
from mho.targets.steps import Port

Array = NDArray[Any]

DEFAULT_BATCH = 64
"""Samples in a batch where the model leaves it open."""


@dataclass(frozen=True)
class Samples:
    """Arrays by input name; the first axis counts the samples, but for arrays of rank 0, which every sample shares.

    Attributes:
        batch: samples in one run; 0 where each sample is a whole input without a batch axis.
        fixed: the model takes exactly `batch` samples, so the last batch is filled up.
        state: output → input of the next sample; initial: input → its value before the first.
    """

    arrays: Mapping[str, Array]
    batch: int
    fixed: bool = False
    state: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, Array] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of samples."""
        return next((len(a) for a in self.arrays.values() if a.ndim), 1)

    def first(self, count: int) -> Samples:
        """The first `count` samples."""
        return replace(self, arrays={n: a[:count] if a.ndim else a for n, a in self.arrays.items()})

    def batches(self) -> Iterator[tuple[int, int, dict[str, Array]]]:
        """(index of the first sample, number of samples, inputs); a filled-up batch repeats its last sample."""
        size = max(self.batch, 1)
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            yield start, stop - start, {n: self._cut(a, start, stop) for n, a in self.arrays.items()}

    def _cut(self, array: Array, start: int, stop: int) -> Array:
        if array.ndim == 0:
            return array
        if self.batch == 0:
            return np.asarray(array[start])
        part: Array = array[start:stop]
        missing = self.batch - len(part) if self.fixed else 0
        return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


Run = Callable[[Mapping[str, Array], int], dict[str, Any]]
"""Runs one batch: (inputs, index of the first sample) → outputs."""


def run_samples(samples: Samples, run: Run, advance: Callable[[int], None] = lambda samples: None) -> dict[str, Array]:
    """All outputs over all samples, one after the other along the first axis.

    Args:
        advance: told the number of samples after each batch.
    """
    state = dict(samples.initial)
    parts: dict[str, list[Array]] = {}
    for start, count, inputs in samples.batches():
        outputs = run(inputs | state, start)
        state |= {into: outputs[out] for out, into in samples.state.items()}
        fed = samples.batch if samples.fixed else count
        for name, value in outputs.items():
            array = np.asarray(value)
            along = samples.batch and array.ndim and len(array) == fed
            parts.setdefault(name, []).append(array[:count] if along else array[None])
        advance(count)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def match_samples(
    data: Mapping[str, Array], inputs: tuple[Port, ...], state: Mapping[str, str] | None = None
) -> Samples:
    """The data of each input, checked against the model.

    Args:
        data: one array an input under its name, `x` serving where there is one input to feed; others are ignored.

    Raises:
        DataError: names, shapes or types do not suit, all problems at once.
    """
    carried = dict(state or {})
    ports = {port.name: port for port in inputs}
    unknown = [name for name in carried.values() if name not in ports]
    if unknown:
        raise DataError(f"--state names inputs that the model lacks: {plain(', '.join(unknown))}")
    fed = [port for port in inputs if port.name not in carried.values()]
    named = {**data, fed[0].name: data["x"]} if len(fed) == 1 and fed[0].name not in data and "x" in data else data
    problems = [p for port in fed for p in _problems(port, named)]
    if problems:
        raise DataError(problems)
    arrays = {port.name: np.asarray(named[port.name]).astype(NUMPY_TYPES[port.type], copy=False) for port in fed}
    counts = {name: len(a) for name, a in arrays.items() if a.ndim}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{plain(n)} has {c}" for n, c in counts.items())
        raise DataError(f"the inputs have different numbers of samples: {listed}; give each input as many")
    if 0 in counts.values():
        raise DataError("the data holds no sample")
    initial = {name: _zeros(ports[name], data.get(name)) for name in carried.values()}
    batch, fixed = _batch(fed, arrays, bool(carried))
    return Samples(arrays, batch, fixed, carried, initial)


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
    return len(shape) == len(tail) and all(not isinstance(p, int) or s == p for s, p in zip(shape, tail, strict=True))


def _text(shape: tuple[int | str | None, ...]) -> str:
    return "(" + ", ".join("?" if d is None else plain(str(d)) for d in shape) + ")"


def _zeros(port: Port, given: Array | None) -> Array:
    """The initial state: the given array, else zeros, symbolic dimensions taken as 1."""
    shape = tuple(d if isinstance(d, int) else 1 for d in port.shape or ())
    kind = NUMPY_TYPES[port.type]
    return np.zeros(shape, kind) if given is None else np.asarray(given, kind)


def _batch(ports: list[Port], arrays: Mapping[str, Array], carried: bool) -> tuple[int, bool]:
    """Samples in one run, and whether the model fixes that number."""
    ranked = [(port.shape, arrays[port.name]) for port in ports if port.shape is not None]
    if any(array.ndim == len(shape) + 1 for shape, array in ranked):
        return 0, False
    fixed = [shape[0] for shape, _ in ranked if shape and isinstance(shape[0], int)]
    if fixed:
        return min(fixed), True
    return (1 if carried else DEFAULT_BATCH), False

"""Samples: the data of a run, cut into the batches that a model takes, with state carried from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
        inner_symbols: symbolic dimensions of the model's inputs that do not count samples.
        state: output → input of the next sample; initial: input → its value before the first.
    """

    arrays: Mapping[str, Array]
    batch: int
    fixed: bool = False
    state: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, Array] = field(default_factory=dict)
    inner_symbols: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """Number of samples."""
        return next((len(a) for a in self.arrays.values() if a.ndim), 1)

    @property
    def fed(self) -> int:
        """Number of samples that are run, with those that fill up the last batch."""
        return -(-self.count // self.batch) * self.batch if self.fixed else self.count

    def first(self, count: int) -> Samples:
        """The first `count` samples."""
        return replace(self, arrays={n: a[:count] if a.ndim else a for n, a in self.arrays.items()})

    def batches(self) -> Iterator[tuple[int, int, dict[str, Array]]]:
        """(index of the first sample, number of samples, inputs); a filled-up batch repeats its last sample.

        The index counts along the first axis of the inputs, which in a whole input need not be one sample.
        """
        size = max(self.batch, 1)
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            inputs = {n: self._cut(a, start, stop) for n, a in self.arrays.items()}
            yield start if self.batch else start * leading(inputs), stop - start, inputs

    def _cut(self, array: Array, start: int, stop: int) -> Array:
        if array.ndim == 0:
            return array
        if self.batch == 0:
            return np.asarray(array[start])
        part: Array = array[start:stop]
        missing = self.batch - len(part) if self.fixed else 0
        return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def leading(inputs: Mapping[str, Any]) -> int:
    """The extent of the first axis of a run's inputs: the samples of a batch; 1 where no input has an axis."""
    return next((max(1, len(a)) for a in inputs.values() if np.ndim(a)), 1)


Run = Callable[[Mapping[str, Array], int], dict[str, Any]]
"""Runs one batch: (inputs, index of the first sample) → outputs."""


def each_batch(samples: Samples, run: Run) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of samples, outputs) of one batch after another, state carried between them; nothing is kept.

    Raises:
        DataError: the outputs lack one that carries state.
    """
    state = dict(samples.initial)
    for start, count, inputs in samples.batches():
        outputs = run(inputs | state, start)
        missing = [plain(out) for out in samples.state if out not in outputs]
        if missing:
            raise DataError(f"--state names outputs that the model lacks: {', '.join(missing)}")
        state |= {into: outputs[out] for out, into in samples.state.items()}
        yield count, outputs


def run_samples(
    samples: Samples,
    run: Run,
    advance: Callable[[int], None] = lambda samples: None,
    outputs: Iterable[Port] = (),
) -> dict[str, Array]:
    """All outputs over all samples, one after the other along the first axis.

    An output whose first axis does not count samples is taken as one a batch. What is declared of it tells, and
    where nothing is, the length that it has in the first batch. Carried state that changes its shape, as a cache that
    grows, is given as it is after the last batch.

    Args:
        outputs: what the model declares of its outputs, as far as it is known.
        advance: told the number of samples after each batch.

    Raises:
        DataError: the outputs lack one that carries state, or have another shape for every batch.
    """
    ports = {port.name: port for port in outputs}
    counts: dict[str, bool] = {}
    parts: dict[str, list[Array]] = {}
    for count, found in each_batch(samples, run):
        fed = samples.batch if samples.fixed else count
        for name, value in found.items():
            array = np.asarray(value)
            counted = array.ndim > 0 and len(array) == fed
            if name not in counts:
                counts[name] = counted and _may_count(samples, ports.get(name), fed)
            parts.setdefault(name, []).append(array[:count] if counts[name] and counted else array[None])
        advance(count)
    return {name: _joined(name, arrays, name in samples.state) for name, arrays in parts.items()}


def _may_count(samples: Samples, port: Port | None, fed: int) -> bool:
    """Whether an output's first axis counts the samples, by what is declared of it, once its length is `fed`.

    Converters leave a stale 1 in what they declare, so that a number tells against samples only where it is true.
    """
    if samples.batch == 0:
        return False
    first = port.shape[0] if port is not None and port.shape else None
    if isinstance(first, int):
        return samples.fixed or fed == 1 or first != fed
    return first not in samples.inner_symbols


def _joined(name: str, parts: list[Array], carried: bool) -> Array:
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1 and carried:
        return parts[-1]
    if len(shapes) > 1:
        listed = " and ".join(str(shape) for shape in sorted(shapes)[:2])
        raise DataError(
            f"output {plain(name)} has other shapes from batch to batch, such as {listed}, so its samples cannot stand "
            "in one array: give samples one at a time"
        )
    return np.concatenate(parts)


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
    fed, looped = _split(inputs, carried.values())
    named = {**data, fed[0].name: data["x"]} if len(fed) == 1 and fed[0].name not in data and "x" in data else data
    problems = [p for port in fed for p in _problems(port, named)]
    problems += [p for port in looped for p in _initial_problems(port, data)]
    if problems:
        raise DataError(problems)
    arrays = {port.name: np.asarray(named[port.name]).astype(NUMPY_TYPES[port.type], copy=False) for port in fed}
    counts = {name: len(a) for name, a in arrays.items() if a.ndim}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{plain(n)} has {c}" for n, c in counts.items())
        raise DataError(f"the inputs have different numbers of samples: {listed}; give each input as many")
    if 0 in counts.values():
        raise DataError("the data holds no sample")
    initial = {port.name: _initial(port, data.get(port.name)) for port in looped}
    batch, fixed = _batch(fed, arrays, bool(carried))
    return Samples(arrays, batch, fixed, carried, initial, _inner_symbols(inputs))


def _inner_symbols(inputs: tuple[Port, ...]) -> frozenset[str]:
    outer = {port.shape[0] for port in inputs if port.shape}
    inner = {d for port in inputs for d in (port.shape or ())[1:] if isinstance(d, str)}
    return frozenset(inner - outer)


def _split(inputs: tuple[Port, ...], carried: Iterable[str]) -> tuple[list[Port], list[Port]]:
    """The inputs that the data feeds, and those that carry state."""
    names = set(carried)
    return [p for p in inputs if p.name not in names], [p for p in inputs if p.name in names]


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
    yield from _type_problem(port, array)
    if port.shape is not None and not _fits(array.shape, port.shape):
        yield f"input {name} wants the shape {_text(port.shape)} (first axis: samples), the data has {array.shape}"


def _type_problem(port: Port, array: Array) -> Iterator[str]:
    wanted = np.dtype(NUMPY_TYPES[port.type])
    if not _casts(array, wanted):
        kind = "strings" if wanted.kind == "O" else wanted
        why = f"values that {wanted} cannot hold" if array.dtype.kind + wanted.kind in INTEGERS else str(array.dtype)
        yield f"input {plain(port.name)} wants {kind}, the data has {why}"


INTEGERS = ("ii", "iu", "ui", "uu")


def _casts(array: Array, wanted: np.dtype[Any]) -> bool:
    """Whether an array becomes one of another type without harm: floats may be rounded, integers keep their value."""
    if array.dtype == wanted:
        return True
    if wanted.kind == "O":
        return array.dtype.kind == "U"
    if array.dtype.kind + wanted.kind in INTEGERS:
        return np.array_equal(array.astype(wanted), array)
    return np.can_cast(array.dtype, wanted, "same_kind")


def _initial_problems(port: Port, data: Mapping[str, Array]) -> Iterator[str]:
    """What is wrong with an input that carries state, or with its first value where the data has one."""
    if port.type not in NUMPY_TYPES:
        yield f"input {plain(port.name)} is a {port.type}, which cannot carry state"
    elif port.name in data:
        array = np.asarray(data[port.name])
        yield from _type_problem(port, array)
        if port.shape is not None and not _agree(array.shape, port.shape):
            yield f"the first value of {plain(port.name)} must have the shape {_text(port.shape)}, it has {array.shape}"


def _agree(shape: tuple[int, ...], port: tuple[int | str | None, ...]) -> bool:
    return len(shape) == len(port) and all(not isinstance(p, int) or s == p for s, p in zip(shape, port, strict=True))


def _fits(shape: tuple[int, ...], port: tuple[int | str | None, ...]) -> bool:
    """Whether an array holds samples of a port along its first axis, or whole inputs with an axis more in front."""
    return (
        _agree(shape[1:], port) if len(shape) > len(port) else len(shape) == len(port) and _agree(shape[1:], port[1:])
    )


def _text(shape: tuple[int | str | None, ...]) -> str:
    return "(" + ", ".join("?" if d is None else plain(str(d)) for d in shape) + ")"


def _initial(port: Port, given: Array | None) -> Array:
    """The initial state: the given array, else zeros, symbolic dimensions taken as 1."""
    shape = tuple(d if isinstance(d, int) else 1 for d in port.shape or ())
    kind = NUMPY_TYPES[port.type]
    return np.zeros(shape, kind) if given is None else np.asarray(given, kind)


def _batch(ports: list[Port], arrays: Mapping[str, Array], carried: bool) -> tuple[int, bool]:
    """Samples in one run, and whether the model fixes that number.

    Raises:
        DataError: some inputs have an axis of samples of their own and others have not, or their batches differ.
    """
    ranked = [(port, port.shape, arrays[port.name]) for port in ports if port.shape is not None]
    whole = [port.name for port, shape, array in ranked if array.ndim == len(shape) + 1]
    cut = [(port.name, shape[0]) for port, shape, array in ranked if array.ndim == len(shape) and shape]
    if whole and cut:
        raise DataError(
            f"{_listed(whole)} has an axis of samples before its own, {_listed(n for n, _ in cut)} has none"
        )
    if whole:
        return 0, False
    fixed = {name: size for name, size in cut if isinstance(size, int)}
    if len(set(fixed.values())) > 1:
        raise DataError(
            f"the first axes of {_listed(fixed)} differ in the model, so they do not all count samples: give each "
            "input an axis of samples before its own"
        )
    if fixed:
        return next(iter(fixed.values())), True
    return (1 if carried else DEFAULT_BATCH), False


def _listed(names: Iterable[str]) -> str:
    return ", ".join(plain(name) for name in names)

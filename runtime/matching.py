"""Matches a user's data with a model's inputs: names, shapes, types, and what a batch is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.ort_values import NUMPY_TYPES
from mho.runtime.pieces import whole_samples
from mho.runtime.samples import DEFAULT_BATCH, Samples
from mho.targets.errors import DataError, plain
from mho.targets.steps import Port

Array = NDArray[Any]


def match_samples(
    data: Mapping[str, Array] | Samples, inputs: tuple[Port, ...], state: Mapping[str, str] | None = None
) -> Samples:
    """The data of each input, checked against the model.

    Args:
        data: one array an input under its name, `x` serving where there is one input to feed; others are ignored.
            Or whole samples, perhaps piece by piece (`mho.runtime.pieces`), which may hold values that are no arrays.

    Raises:
        DataError: names, shapes or types do not suit, all problems at once.
    """
    carried = dict(state or {})
    ports = {port.name: port for port in inputs}
    unknown = [name for name in carried.values() if name not in ports]
    if unknown:
        raise DataError(f"--state names inputs that the model lacks: {plain(', '.join(unknown))}")
    fed, looped = _split(inputs, carried.values())
    if isinstance(data, Samples):
        return _match_whole(data, fed, looped, carried)
    if (whole := whole_samples(data, inputs)) is not None:
        return _match_whole(whole, fed, looped, carried)
    return replace(_match_arrays(data, fed, looped, bool(carried)), state=carried, inner_symbols=_inner_symbols(inputs))


def _match_arrays(data: Mapping[str, Array], fed: list[Port], looped: list[Port], carried: bool) -> Samples:
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
    batch, fixed = _batch(fed, arrays, carried)
    if 0 in counts.values() and (fixed or batch == 0):
        raise DataError("the data holds no sample")
    return Samples(arrays, batch, fixed, initial={port.name: _initial(port, data.get(port.name)) for port in looped})


def _match_whole(data: Samples, fed: list[Port], looped: list[Port], carried: dict[str, str]) -> Samples:
    """Whole samples in the types of the inputs; a carried input takes its first value from the first sample."""
    problems = [p for port in fed for p in _whole_problems(port, data)]
    first = {name: values[0] for name, values in data.arrays.items() if isinstance(values, list)}
    problems += [p for port in looped for p in _initial_problems(port, first)]
    if problems:
        raise DataError(problems)
    values = {port.name: [_typed(port.type, value) for value in data.arrays[port.name]] for port in fed}
    initial = {port.name: _initial(port, first.get(port.name)) for port in looped}
    return replace(data, arrays=values, state=carried, initial=initial)


def _whole_problems(port: Port, data: Samples) -> Iterator[str]:
    if port.name not in data.arrays:
        given = ", ".join(plain(n) for n in data.arrays) or "none"
        yield f"the data has no value for input {plain(port.name)}; it has: {given}"
        return
    values = data.arrays[port.name]
    if port.type not in NUMPY_TYPES or not isinstance(values, list):
        return
    for number, value in enumerate(values):
        if value is None:
            yield f"sample {number}: input {plain(port.name)} has no value"
            continue
        array = np.asarray(value)
        yield from (f"sample {number}: {problem}" for problem in _type_problem(port, array))
        if port.shape is not None and not _agree(array.shape, port.shape):
            yield f"sample {number}: input {plain(port.name)} wants the shape {_text(port.shape)}, it has {array.shape}"


def _typed(kind: str, value: Any) -> Any:
    """A value as onnxruntime takes it: arrays of the input's type, lists of arrays, or None."""
    if kind in NUMPY_TYPES:
        return np.asarray(value).astype(NUMPY_TYPES[kind], copy=False)
    inner = kind.partition("(")[2][:-1]
    if value is None or not kind.startswith(("seq(", "optional(")):
        return value
    return [_typed(inner, each) for each in value] if kind.startswith("seq(") else _typed(inner, value)


def _inner_symbols(inputs: tuple[Port, ...]) -> frozenset[str]:
    outer = {port.shape[0] for port in inputs if port.shape}
    inner = {d for port in inputs for d in (port.shape or ())[1:] if isinstance(d, str)}
    return frozenset(inner - outer)


def _split(inputs: tuple[Port, ...], carried: Iterable[str]) -> tuple[list[Port], list[Port]]:
    """The inputs that the data feeds, and those that carry state."""
    names = set(carried)
    return [p for p in inputs if p.name not in names], [p for p in inputs if p.name in names]


def _problems(port: Port, data: Mapping[str, Array]) -> Iterator[str]:
    name = plain(port.name)
    if port.name not in data:
        given = ", ".join(plain(n) for n in data) or "none"
        yield f"the data has no array for input {name}; it has: {given}"
        return
    array = np.asarray(data[port.name])
    if port.type not in NUMPY_TYPES:
        yield (
            f"input {name} is of type {port.type}, which no array can feed: give its values piece by piece, as arrays "
            "with the names NAME/SAMPLE or NAME/SAMPLE/INDEX"
        )
        return
    yield from _type_problem(port, array)
    if port.shape is not None and not _fits(array.shape, port.shape):
        yield f"input {name} wants the shape {_text(port.shape)} (first axis: samples), the data has {array.shape}"


def _type_problem(port: Port, array: Array) -> Iterator[str]:
    wanted = NUMPY_TYPES[port.type]
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

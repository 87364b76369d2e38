"""Values that no array of samples holds, piece by piece under names of their own, as a file of arrays has them.

The value of sample number S of NAME goes by NAME/S, and element number I of a sequence by NAME/S/I. What is absent
of an optional has no piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.samples import Samples, Value, Values
from mho.targets.steps import Port

Array = NDArray[Any]


def as_arrays(outputs: Mapping[str, Values]) -> dict[str, Array]:
    """Outputs as arrays by name, lists piece by piece."""
    return {name: array for output, values in outputs.items() for name, array in _pieces(output, values)}


def _pieces(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    if isinstance(value, list):
        yield from (piece for index, each in enumerate(value) for piece in _pieces(f"{name}/{index}", each))
    elif value is not None:
        yield name, np.asarray(value)


def whole_samples(data: Mapping[str, Array], inputs: tuple[Port, ...]) -> Samples | None:
    """The samples of data in which inputs stand piece by piece; None where none does.

    Inputs that have an array of their own have one entry a sample along its first axis.
    """
    pieces = {port.name: _found(data, port.name) for port in inputs if port.name not in data}
    if not any(pieces.values()):
        return None
    counts = [1 + max(path[0] for path in found) for found in pieces.values() if found]
    counts += [len(data[port.name]) for port in inputs if port.name in data and np.ndim(data[port.name])]
    values = {
        port.name: list(data[port.name])
        if port.name in data
        else [_value(pieces[port.name], number, port.type) for number in range(max(counts))]
        for port in inputs
    }
    return Samples({name: found for name, found in values.items() if len(found) == max(counts)}, batch=0)


def _found(data: Mapping[str, Array], name: str) -> dict[tuple[int, ...], Array]:
    """Indices → piece."""
    parts = {key: key.removeprefix(f"{name}/").split("/") for key in data if key.startswith(f"{name}/")}
    return {tuple(map(int, path)): data[key] for key, path in parts.items() if all(map(str.isdecimal, path))}


def _value(found: Mapping[tuple[int, ...], Array], sample: int, kind: str) -> Value:
    elements = [found[path] for path in sorted(found) if path[0] == sample and len(path) == 2]
    if elements or kind.startswith("seq("):
        return elements
    return found.get((sample,))

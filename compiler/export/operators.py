"""Operators whose form changed over the versions of the standard, written as the version at hand has them."""

from __future__ import annotations

import numpy as np

from mho.export.graph import Graph
from mho.targets.errors import ProgramError

ROUND_SINCE, INPUTS_SINCE, SLICES_SINCE, AXES_SINCE, RANGE_SINCE = 11, 11, 10, 13, 11
SELECT_SINCE = 9
OLDEST_OPSET = 7

TO_WHOLE = 1.5 * 2**23
"""float32 numbers of this size have no digits behind the point, so adding it rounds half to even."""

ENDLESS = 2**31 - 1
"""An end of a slice that is beyond every end."""


def clipped(graph: Graph, value: str, low: float | None, high: float | None) -> str:
    """min(max(value, low), high) of float32."""
    if graph.opset < INPUTS_SINCE:
        return graph.op("Clip", value, min=low, max=high)
    bounds = ["" if bound is None else graph.constant(float(bound), "bound") for bound in (low, high)]
    return graph.op("Clip", value, *(bounds if bounds[1] else bounds[:1]))


def whole(graph: Graph, value: str) -> str:
    """To the nearest whole number, half to even."""
    if graph.opset >= ROUND_SINCE:
        return graph.op("Round", value)
    large = graph.constant(TO_WHOLE, "large")
    return graph.op("Sub", graph.op("Add", value, large), large)


def sliced(graph: Graph, value: str, axis: int, start: int, stop: int = ENDLESS) -> str:
    """Part of a value along an axis; negative ends count from the end."""
    if graph.opset < SLICES_SINCE:
        return graph.op("Slice", value, axes=[axis], starts=[start], ends=[stop])
    return graph.op("Slice", value, graph.integers(start), graph.integers(stop), graph.integers(axis))


def unsqueezed(graph: Graph, value: str, axis: int) -> str:
    """A value with an axis of one more."""
    if graph.opset < AXES_SINCE:
        return graph.op("Unsqueeze", value, axes=[axis])
    return graph.op("Unsqueeze", value, graph.integers(axis))


def split(graph: Graph, value: str, axis: int, sizes: list[int]) -> list[str]:
    """A value in parts along an axis."""
    if graph.opset < AXES_SINCE:
        return graph.ops("Split", [value], len(sizes), axis=axis, split=sizes)
    return graph.ops("Split", [value, graph.integers(*sizes)], len(sizes), axis=axis)


def added(graph: Graph, values: list[str]) -> str:
    """The sum of values, one after another."""
    total = values[0]
    for value in values[1:]:
        total = graph.op("Add", total, value)
    return total


def size_of(graph: Graph, value: str, axis: int) -> str:
    """The extent of an axis that is counted from the front: int64 [1]."""
    return sliced(graph, graph.op("Shape", value), 0, axis, axis + 1)


def require(graph: Graph, version: int, what: str) -> None:
    """Refuses a construct that the model's operators do not have.

    Raises:
        ProgramError: their version is older.
    """
    if graph.opset < version:
        raise ProgramError(
            f"{what} cannot be written with operator set {graph.opset}, the model's own: it needs {version} or newer; "
            "convert the model and compile it again"
        )


def cast(graph: Graph, value: str, source: int, target: int) -> str:
    """A value in another type of elements; itself where it has that."""
    return value if source == target else graph.op("Cast", value, to=target)


def vector(
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.generic]], axis: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Numbers shaped to meet an axis that is counted from the end."""
    return numbers.reshape(-1, *(1,) * (-axis - 1))

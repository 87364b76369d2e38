"""Columns of a layer put together from what single products give, wherever their blocks are cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mho.export.graph import Graph
from mho.export.operators import added, sliced

Indices = NDArray[np.intp]


def assembled(graph: Graph, parts: list[tuple[str, Indices]], width: int, axis: int) -> str:
    """All columns, each the sum of what the parts that have it give, in the order of the parts.

    Args:
        parts: a value, and which of the columns it holds along its axis.
        axis: of the columns, counted from the end.
    """
    owners: dict[tuple[int, ...], list[int]] = {}
    places = [dict(zip(columns.tolist(), range(len(columns)), strict=True)) for _, columns in parts]
    for column in range(width):
        having = tuple(number for number, place in enumerate(places) if column in place)
        owners.setdefault(having, []).append(column)
    pieces = [
        added(
            graph, [_taken(graph, parts[n][0], [places[n][c] for c in columns], len(places[n]), axis) for n in having]
        )
        for having, columns in owners.items()
    ]
    order = [column for columns in owners.values() for column in columns]
    whole = pieces[0] if len(pieces) == 1 else graph.op("Concat", *pieces, axis=axis)
    return whole if order == list(range(width)) else _taken(graph, whole, np.argsort(order).tolist(), width, axis)


def _taken(graph: Graph, value: str, indices: list[int], of: int, axis: int) -> str:
    """Those of a value's columns, in this order."""
    first, count = indices[0], len(indices)
    if indices == list(range(of)):
        return value
    if indices == list(range(first, first + count)):
        return sliced(graph, value, axis, first, first + count)
    return graph.op("Gather", value, graph.constant(np.array(indices, np.int64), "columns"), axis=axis)

"""Which replica of a matrix takes a position: positions in turn, by their number in the run."""

from __future__ import annotations

from mho.export.graph import Graph
from mho.export.operators import RANGE_SINCE, require, sliced, unsqueezed
from mho.targets.errors import ProgramError, plain


def chosen(graph: Graph, layer: str, sums: list[str], axis: int, batch_axis: int | None, rank: int | None) -> str:
    """At each position the sums of the replica whose turn it is: position number modulo replicas.

    Args:
        sums: of each replica, the columns along the axis `axis`.
        batch_axis: of the position axes, the one that counts samples; positions of a sample follow each other.
        rank: of the positions, where it is known.

    Raises:
        ProgramError: what it takes is not known, or not in the operator set.
    """
    require(graph, RANGE_SINCE, f"layer {plain(layer)} with {len(sums)} copies that differ by their noise")
    shape = _positions(graph, sums[0], axis)
    order = _numbers(graph, layer, shape, batch_axis, rank)
    turn = graph.op("Mod", order, graph.scalar(len(sums)))
    turn = _with_columns(graph, turn, shape, axis)
    value = sums[0]
    for number, other in enumerate(sums[1:], start=1):
        value = graph.op("Where", graph.op("Equal", turn, graph.scalar(number)), other, value)
    return value


def _positions(graph: Graph, value: str, axis: int) -> str:
    """The shape of a value without the axis of its columns."""
    shape = graph.op("Shape", value)
    before = sliced(graph, shape, 0, 0, axis)
    return before if axis == -1 else graph.op("Concat", before, sliced(graph, shape, 0, axis + 1), axis=0)


def _numbers(graph: Graph, layer: str, shape: str, batch_axis: int | None, rank: int | None) -> str:
    """The number of each position, in the shape of the positions."""
    total = graph.op("ReduceProd", shape, keepdims=0)
    order = graph.op("Range", graph.scalar(0), total, graph.scalar(1))
    if not batch_axis:
        return graph.op("Reshape", order, shape)
    if rank is None:
        raise ProgramError(
            f"layer {plain(layer)}: its input has no known rank, so that which copy of its matrix takes which position "
            "cannot be exported: compile it without --replicate"
        )
    axes = [batch_axis, *(a for a in range(rank) if a != batch_axis)]
    moved = graph.op("Gather", shape, graph.integers(*axes), axis=0)
    return graph.op("Transpose", graph.op("Reshape", order, moved), perm=[axes.index(a) for a in range(rank)])


def _with_columns(graph: Graph, turn: str, shape: str, axis: int) -> str:
    """With an axis of one in the place of the columns."""
    if axis == -1:
        return unsqueezed(graph, turn, -1)
    one = graph.integers(1)
    before, after = sliced(graph, shape, 0, 0, axis + 1), sliced(graph, shape, 0, axis + 1)
    return graph.op("Reshape", turn, graph.op("Concat", before, one, after, axis=0))

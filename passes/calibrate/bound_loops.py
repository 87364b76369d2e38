"""Bounds the loops of a network that is only observed, so that no model keeps the compiler busy for ever.

A Loop may ask for any number of trips, and its condition may never become false. What its layers see is known after
some thousands of trips; the rest changes neither ranges nor results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

TRIPS = 10_000
"""Trips of a loop in one run; loops inside loops share them."""


def trips_at(depth: int) -> int:
    """Trips of each of `depth` loops inside each other, so that the innermost body runs at most TRIPS times."""
    return max(1, round(math.pow(TRIPS, 1 / depth)))


class BoundedGraphs(Mapping[str, Any]):
    """The tensors of a network's code, its digital graphs with bounded loops.

    Args:
        outer_loops: loops that a digital graph may stand inside.
    """

    def __init__(self, tensors: Mapping[str, Any], outer_loops: int = 0) -> None:
        self._tensors = tensors
        self._outer_loops = outer_loops

    def __getitem__(self, name: str) -> Any:
        tensor = self._tensors[name]
        return bounded(tensor, self._outer_loops) if name.startswith("graph/") else tensor

    def __iter__(self) -> Any:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def bounded(graph: NDArray[np.uint8], outer_loops: int = 0) -> NDArray[np.uint8]:
    """A serialised ONNX model with its loops bounded; the same where it has none."""
    content = graph.tobytes()
    if b"Loop" not in content:
        return graph
    model = onnx.ModelProto.FromString(content)
    _bound(model.graph, trips_at(max(1, outer_loops + _loops_deep(model.graph))))
    return np.frombuffer(model.SerializeToString(deterministic=True), np.uint8)


def _bound(graph: onnx.GraphProto, most: int) -> None:
    """Puts min(trips, limit) in the place of every Loop's trips."""
    nodes = list(graph.node)
    del graph.node[:]
    for number, node in enumerate(nodes):
        for inner in _bodies(node):
            _bound(inner, most)
        if _is_loop(node):
            limit, trips = f"{node.output[0]}/trips/limit/{number}", f"{node.output[0]}/trips/{number}"
            constant = numpy_helper.from_array(np.array(most, np.int64))
            graph.node.append(helper.make_node("Constant", [], [limit], value=constant))
            graph.node.append(helper.make_node("Min", [name for name in (node.input[0], limit) if name], [trips]))
            node.input[0] = trips
        graph.node.append(node)


def _loops_deep(graph: onnx.GraphProto) -> int:
    """The most loops that stand inside each other."""
    return max((_is_loop(n) + _loops_deep(g) for n in graph.node for g in _bodies(n)), default=0)


def _is_loop(node: onnx.NodeProto) -> bool:
    return node.op_type == "Loop" and node.domain in ("", "ai.onnx")


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [g for a in node.attribute for g in ((a.g,) if a.HasField("g") else a.graphs)]

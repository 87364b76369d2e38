"""Gives nodes and values names that are unique in the whole model, subgraphs included."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx_ir as ir

from mho.frontend.walk import walk_nodes


def name_nodes(model: onnx.ModelProto) -> None:
    """Names unnamed nodes after operator and first output (`Conv_12`), in place; no name of the user's is taken.

    Among equal names in the main graph, which onnxruntime refuses at times, the first stays.
    """
    nodes = [node for _, node in walk_nodes(model)]
    taken = _Taken(node.name for node in nodes if node.name)
    for node in nodes:
        if not node.name:
            first = next((output for output in node.output if output), None)
            node.name = taken.fresh(f"{node.op_type}_{first}" if first else node.op_type)
    seen: set[str] = set()
    for node in model.graph.node:
        if node.name in seen:
            node.name = taken.fresh(node.name)
        seen.add(node.name)


def make_names_unique(graph: ir.Graph) -> None:
    """Among equal names the first in graph order stays, the main graph first; the others get `_2`, `_3`, … in place."""
    graphs = [graph, *graph.subgraphs()]
    values = [value for each in graphs for value in _values(each)]
    nodes = [node for each in graphs for node in each]
    for things in (values, nodes):
        taken = _Taken(thing.name for thing in things if thing.name)
        seen: set[str] = set()
        for thing in things:
            if thing.name is None or thing.name in seen:
                thing.name = taken.fresh(thing.name or "value")
            seen.add(thing.name)


def _values(graph: ir.Graph) -> Iterable[ir.Value]:
    yield from dict.fromkeys((*graph.inputs, *graph.initializers.values()))
    for node in graph:
        yield from (value for value in node.outputs if value.name != "")


class _Taken:
    """Names that are in use, and fresh ones made of them."""

    def __init__(self, names: Iterable[str | None]) -> None:
        self._names = set(names)
        self._counts: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        """`name`, or `name_2`, `name_3`, …: the first that is free, which is then in use."""
        candidate, count = name, self._counts.get(name, 1)
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._counts[name] = count
        self._names.add(candidate)
        return candidate

"""Gives every value and node of a graph and its bodies a name of its own."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from mho.passes.lower.digital import body_graphs
from mho.passes.lower.rule import Names


def name_everything(graph: ir.Graph) -> tuple[Names, Names]:
    """Renames in place what has no name or one that another has; ports of the graph keep theirs.

    Two branches of an If may use one name twice, steps may not. Outputs that are left out stay without a name.
    Returns the names of the values and of the nodes.
    """
    values, nodes = Names(), Names()
    seen: set[ir.Value] = set()
    _name_values((*graph.inputs, *graph.outputs), values, seen)
    _name_graph(graph, values, nodes, seen)
    return values, nodes


def _name_graph(graph: ir.Graph, values: Names, nodes: Names, seen: set[ir.Value]) -> None:
    _name_values((*graph.inputs, *graph.initializers.values()), values, seen)
    for node in graph:
        node.name = nodes.fresh(node.name or _unnamed(node))
        _name_values(node.outputs, values, seen)
        for body in body_graphs(node):
            _name_graph(body, values, nodes, seen)


def _unnamed(node: ir.Node) -> str:
    """A node without a name goes by what it computes."""
    return next((v.name for v in node.outputs if v.name), node.op_type)


def _name_values(values: Iterable[ir.Value], names: Names, seen: set[ir.Value]) -> None:
    for value in values:
        if value in seen or not value.name:
            continue
        seen.add(value)
        name = names.fresh(value.name)
        if name != value.name:
            _rename(value, name)


def _rename(value: ir.Value, name: str) -> None:
    """Renames a value without renaming its tensor, which the model shares with others."""
    tensor, value.const_value = value.const_value, None
    value.name = name
    value.const_value = tensor

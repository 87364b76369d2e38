"""Inlines the functions of a model under names that tell the call, and remembers the nodes of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx_ir as ir
import onnx_ir.passes.common

from mho.frontend.names import make_names_unique
from mho.passes.levels.history import FileNode, Gone, History

Functions = dict[ir.OperatorIdentifier, ir.Function]


@dataclass(frozen=True)
class _Place:
    """A node of the file before inlining: its name behind those of the calls around it, and the function it calls."""

    name: str
    node: ir.Node
    function: str | None


def inline_functions(model: ir.Model) -> History:
    """Inlines all functions and gives every node and value a name of its own, in place.

    A node of a function is called `call/node` after the node that calls the function.
    """
    places = list(_places(model.graph, dict(model.functions), ""))
    ir.passes.common.InlinePass()(model)
    named = [place for place in places if place.function is None]
    for place, node in zip(named, _nodes(model.graph), strict=True):
        node.name = place.name
    make_names_unique(model.graph)
    return _history(places, [node.name or "" for node in _nodes(model.graph)])


def _places(nodes: Iterable[ir.Node], functions: Functions, prefix: str) -> Iterator[_Place]:
    for node in nodes:
        name, function = f"{prefix}{node.name}", functions.get(node.op_identifier())
        yield _Place(name, node, None if function is None else node.op_type)
        if function is not None:
            yield from _places(function, functions, f"{name}/")
            continue
        for body in _bodies(node):
            yield from _places(body, functions, prefix)


def _nodes(graph: Iterable[ir.Node]) -> Iterator[ir.Node]:
    for node in graph:
        yield node
        for body in _bodies(node):
            yield from _nodes(body)


def _bodies(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _history(places: Iterable[_Place], names: list[str]) -> History:
    """The nodes in file order; a call is gone, because the nodes of its function stand in its place."""
    remaining, taken = iter(names), set(names)
    nodes: list[FileNode] = []
    gone: dict[str, Gone] = {}
    for place in places:
        if place.function is None:
            nodes.append(FileNode(next(remaining), place.node.op_type))
            continue
        name = _free(place.name, taken)
        nodes.append(FileNode(name, place.node.op_type))
        gone[name] = Gone("removed", "a call of a function, whose nodes stand in its place", f"'{name}/…'")
    return History(tuple(nodes), gone)


def _free(name: str, taken: set[str]) -> str:
    """`name`, with a number behind it where another node has it; taken from then on."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    taken.add(candidate)
    return candidate

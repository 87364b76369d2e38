"""Checks of a model's graphs as they are written: unknown operators, order, single assignment, nested functions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import onnx

from mho.frontend.walk import describe, subgraphs, walk_body, walk_nodes
from mho.runtime.inspect import unknown_operators
from mho.targets.errors import plain

MAX_INLINED_NODES = 100_000
_SHOWN_NODES = 5

_CONSTANT_ATTRIBUTE = re.compile("value|value_(float|int|string)s?")

Function = tuple[str, str, str]


def structure_problems(model: onnx.ModelProto) -> list[str]:
    """One sentence for each fault, of the first kind of fault that is found."""
    return (
        _operator_problems(model)
        or _function_problems(model)
        or list(_constant_problems(model))
        or list(_order_problems(model.graph, {}))
    )


def _operator_problems(model: onnx.ModelProto) -> list[str]:
    """The custom operators that onnxruntime does not know, with the nodes that use them."""
    local = {(function.domain, function.name) for function in model.functions}
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, node in walk_nodes(model):
        users[node.domain, node.op_type].append(f"'{plain(node.name)}'")
    unknown = unknown_operators(users) - local
    return [_unknown(*pair, nodes) for pair, nodes in users.items() if pair in unknown]


def _unknown(domain: str, operator: str, nodes: list[str]) -> str:
    shown = ", ".join(nodes[:_SHOWN_NODES])
    more = f" and {len(nodes) - _SHOWN_NODES} more" if len(nodes) > _SHOWN_NODES else ""
    origin = f"of domain '{plain(domain)}'" if domain else "of the ONNX domain"
    return f"operator {plain(operator)} {origin} is unknown to onnxruntime; used by {shown}{more}"


def _function_problems(model: onnx.ModelProto) -> list[str]:
    """Functions that call themselves, or that grow beyond a limit when they are inlined."""
    bodies = {(body.domain, body.name, body.overload): body for body in model.functions}
    calls = {key: [_callee(node) for _, node in walk_body(body.node)] for key, body in bodies.items()}
    callees = {key: [callee for callee in called if callee in bodies] for key, called in calls.items()}
    try:
        order = tuple(TopologicalSorter(callees).static_order())
    except CycleError as error:
        names = " -> ".join(plain(name) for _, name, _ in error.args[1])
        return [f"function calls itself: {names}"]
    sizes: dict[Function, int] = {}
    for key in order:
        sizes[key] = sum(sizes.get(callee, 1) for callee in calls[key])
    total = sum(sizes.get(_callee(node), 1) for _, node in walk_body(model.graph.node))
    if total > MAX_INLINED_NODES:
        return [f"its functions grow to {total:,} nodes when inlined; the limit is {MAX_INLINED_NODES:,}"]
    return []


def _callee(node: onnx.NodeProto) -> Function:
    return node.domain, node.op_type, node.overload


def _constant_problems(model: onnx.ModelProto) -> Iterator[str]:
    for where, node in walk_nodes(model):
        names = [attribute.name for attribute in node.attribute]
        if node.op_type == "Constant" and (len(names) != 1 or not _CONSTANT_ATTRIBUTE.fullmatch(names[0])):
            yield f"{where} needs one value as its only attribute, but has {[plain(name) for name in names]}"


def _order_problems(graph: onnx.GraphProto, outer: Mapping[str, str]) -> Iterator[str]:
    """Reads of values that nothing wrote before, and values that are written twice."""
    writers = {output: describe(node) for node in graph.node for output in node.output}
    known = {**outer, **{value.name: "an input" for value in graph.input}}
    known.update((tensor.name, "an initializer") for tensor in graph.initializer)
    for node in graph.node:
        where = describe(node)
        for name in node.input:
            if name and name not in known:
                yield f"{where} reads '{plain(name)}', {_where_written(name, where, writers)}"
        for graph_inside in subgraphs(node):
            yield from _order_problems(graph_inside, known)
        for name in node.output:
            if name and name in known and name not in outer:
                yield f"{where} writes '{plain(name)}', which {known[name]} writes too"
            known[name] = where
    for value in graph.output:
        if value.name not in known:
            yield f"the output '{plain(value.name)}' is written by no node"


def _where_written(name: str, reader: str, writers: Mapping[str, str]) -> str:
    if name not in writers:
        return "which is no input, no initializer and no node's output"
    if writers[name] == reader:
        return "its own output"
    return f"which {writers[name]} writes only later: sort the nodes"

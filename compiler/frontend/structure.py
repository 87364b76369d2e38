"""Checks of a model's graphs as they are written: unknown operators, order, single assignment, nested functions."""

from __future__ import annotations

import re
from collections import ChainMap, Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

import onnx

from mho.frontend.functions import function_problems
from mho.frontend.walk import describe, subgraphs, walk_body, walk_graphs, walk_nodes
from mho.runtime.inspect import unknown_operators
from mho.targets.errors import brief

MAX_CONNECTIONS = 10_000
"""The most inputs of a model, and the most inputs and outputs of a node: libraries take the square of their time."""
_SHOWN_NODES = 20

_GRAPH_TYPES = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
_CONSTANT_ATTRIBUTE = re.compile("value|sparse_value|value_(float|int|string)s?")


def structure_problems(model: onnx.ModelProto) -> list[str]:
    """One sentence for each fault, those first that make the others likely."""
    return [
        *_operator_problems(model),
        *function_problems(model),
        *_count_problems(model),
        *_reference_problems(model),
        *_constant_problems(model),
        *_name_problems(model),
        *_order_problems(model),
    ]


def _operator_problems(model: onnx.ModelProto) -> Iterator[str]:
    """The operators that onnxruntime does not know or that no opset defines, with the nodes that use them."""
    local = {(function.domain, function.name) for function in model.functions}
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, node in walk_nodes(model):
        users[node.domain, node.op_type].append(f"'{brief(node.name)}'")
    unknown = unknown_operators(users) - local
    yield from (_unknown(*pair, nodes) for pair, nodes in users.items() if pair in unknown)
    standard = [name for (domain, _), nodes in users.items() if domain in ("", "ai.onnx") for name in nodes]
    if standard and not any(entry.domain in ("", "ai.onnx") for entry in model.opset_import):
        yield f"it imports no opset of the ONNX domain, so {_listed(standard)} have no meaning"


def _unknown(domain: str, operator: str, nodes: Sequence[str]) -> str:
    origin = f"of domain '{brief(domain)}'" if domain else "of the ONNX domain"
    return (
        f"operator {brief(operator) or 'without a name'} {origin} is unknown to onnxruntime; used by {_listed(nodes)}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NODES} more" if len(names) > _SHOWN_NODES else ""
    return ", ".join(names[:_SHOWN_NODES]) + more


def _count_problems(model: onnx.ModelProto) -> Iterator[str]:
    limit = f"the limit is {MAX_CONNECTIONS:,}"
    if len(model.graph.input) > MAX_CONNECTIONS:
        yield f"it has {len(model.graph.input):,} inputs; {limit}"
    for where, node in walk_nodes(model):
        for count, kind in ((len(node.input), "inputs"), (len(node.output), "outputs")):
            if count > MAX_CONNECTIONS:
                yield f"{where} has {count:,} {kind}; {limit}"


def _reference_problems(model: onnx.ModelProto) -> Iterator[str]:
    """Attributes that stand for an attribute of a function, where there is no function or it cannot be given one."""
    for where, node in walk_body(model.graph.node):
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                yield f"{where}: attribute '{brief(attribute.name)}' refers to a function's, but stands in no function"
    for function in model.functions:
        for where, node in walk_body(function.node):
            for attribute in node.attribute:
                if attribute.ref_attr_name and attribute.type in _GRAPH_TYPES:
                    yield f"{where}: attribute '{brief(attribute.name)}' is a graph that a function is called with"


def _constant_problems(model: onnx.ModelProto) -> Iterator[str]:
    for where, node in walk_nodes(model):
        names = [attribute.name for attribute in node.attribute]
        if node.op_type == "Constant" and (len(names) != 1 or not _CONSTANT_ATTRIBUTE.fullmatch(names[0])):
            shown = [brief(name) for name in names[:_SHOWN_NODES]]
            yield f"{where} needs one value as its only attribute, but has {shown}"


def _name_problems(model: onnx.ModelProto) -> Iterator[str]:
    """Names that stand for two things of one graph, or for none."""
    for graph in walk_graphs(model):
        sparse = [tensor.values.name for tensor in graph.sparse_initializer]
        kinds: Mapping[str, Iterable[str]] = {
            "initializer": (*(tensor.name for tensor in graph.initializer), *sparse),
            "input": (value.name for value in graph.input),
            "output": (value.name for value in graph.output),
        }
        for kind, names in kinds.items():
            for name, count in Counter(names).items():
                if not name and kind != "initializer":
                    yield f"an {kind} of graph '{brief(graph.name)}' has no name"
                elif count > 1:
                    yield f"{kind} '{brief(name)}' is there {count} times: give each a name of its own"


def _order_problems(model: onnx.ModelProto) -> Iterator[str]:
    """Reads of values that nothing wrote before, and values that are written twice."""
    if not model.graph.output:
        yield "it has no outputs"
    yield from _graph_problems(model.graph, ChainMap())
    for function in model.functions:
        known = dict.fromkeys(function.input, "an input")
        yield from _body_problems(function.node, function.output, ChainMap(known))


def _graph_problems(graph: onnx.GraphProto, outer: ChainMap[str, str]) -> Iterator[str]:
    known = {value.name: "an input" for value in graph.input}
    known |= {tensor.name: "an initializer" for tensor in graph.initializer}
    known |= {tensor.values.name: "an initializer" for tensor in graph.sparse_initializer}
    yield from _body_problems(graph.node, [value.name for value in graph.output], outer.new_child(known))


def _body_problems(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str], known: ChainMap[str, str]) -> Iterator[str]:
    """Problems of nodes in order; `known` is what each value is, those of this body in its first map."""
    writers: dict[str, str] | None = None
    own: MutableMapping[str, str] = known.maps[0]
    for node in nodes:
        where = describe(node)
        for name in node.input:
            if name and name not in known:
                writers = writers or {output: describe(other) for other in nodes for output in other.output}
                yield f"{where} reads '{brief(name)}', {_where_written(name, where, writers)}"
        for graph_inside in subgraphs(node):
            yield from _graph_problems(graph_inside, known)
        for name in node.output:
            if name and name in own:
                yield f"{where} writes '{brief(name)}', which {own[name]} writes too"
            own[name] = where
    yield from (f"the output '{brief(name)}' is written by no node" for name in outputs if name not in known)


def _where_written(name: str, reader: str, writers: Mapping[str, str]) -> str:
    if name not in writers:
        return "which is no input, no initializer and no node's output"
    if writers[name] == reader:
        return "its own output"
    return f"which {writers[name]} writes only later: sort the nodes"

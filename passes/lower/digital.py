"""Digital steps: what has no constant weights is computed exactly, beside the tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import onnx_ir as ir

from mho.passes.lower.reasons.operators import category_of
from mho.passes.lower.rule import Declined, Lowered, named, node_name
from mho.targets.program import Decision
from mho.targets.steps import Digital


def digital_reason(node: ir.Node) -> Declined:
    """Why an operator without a rule is digital."""
    category = category_of(node.domain, node.op_type)
    return Declined(category.reason, remedy=category.remedy)


def lower_digital(node: ir.Node, why: Declined) -> Lowered:
    """One digital step for a node, which reads what its bodies capture as well."""
    name = node_name(node)
    inner = tuple(nodes_inside(node))
    read = dict.fromkeys(n for v in node.inputs if (n := named(v)) is not None)
    read |= dict.fromkeys(_captured(node))
    step = Digital(
        name=name,
        operators=(node.op_type,),
        inputs=tuple(read),
        outputs=tuple(n for v in node.outputs if (n := named(v)) is not None),
        graph=name,
    )
    nested = Declined(f"inside {node.op_type}, which is digital", f"'{name}': {why.reason}", why.remedy)
    decisions = (_decision(node, why), *(_decision(n, nested) for n in inner))
    return Lowered(steps=(step,), graphs={name: (node,)}, decisions=decisions)


def _decision(node: ir.Node, why: Declined) -> Decision:
    return Decision(node=node_name(node), operator=node.op_type, unit="digital", **asdict(why))


def body_graphs(node: ir.Node) -> tuple[ir.Graph, ...]:
    """The graphs that a node holds as attributes."""
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    found = (a for a in node.attributes.values() if isinstance(a, ir.Attr) and a.type in kinds)
    return tuple(g for a in found for g in ((a.as_graph(),) if a.type == kinds[0] else a.as_graphs()))


def nodes_inside(node: ir.Node) -> Iterator[ir.Node]:
    """Every node of the graphs that a node holds, and of theirs."""
    for graph in body_graphs(node):
        for inner in graph:
            yield inner
            yield from nodes_inside(inner)


def _captured(node: ir.Node) -> Iterator[str]:
    """Names that the bodies of a node read and do not define."""
    for graph in body_graphs(node):
        defined = {v.name for v in (*graph.inputs, *graph.initializers.values())}
        defined |= {v.name for n in graph for v in n.outputs}
        read = [v for n in graph for v in n.inputs] + list(graph.outputs)
        yield from (n for v in read if (n := named(v)) is not None and n not in defined)
        yield from (n for inner in graph for n in _captured(inner) if n not in defined)

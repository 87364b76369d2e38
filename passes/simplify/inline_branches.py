"""Replaces an If whose condition is a constant by the branch that it always takes."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from mho.passes.levels.history import Gone
from mho.passes.levels.model import Model
from mho.passes.simplify.constants import constant_array, record_origins, replace_value
from mho.passes.simplify.infer_shapes import InferShapes
from mho.passes.simplify.record import rewritten


@dataclass(frozen=True)
class InlineBranches:
    """Moves the nodes of the branch that is taken in front of the If and removes the If; infers shapes again.

    Exporters write such an If where the rank of a tensor decides, and rank and shape are known only without it.
    """

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        decided = [node for node in graph_model.graph.all_nodes() if _branch(node) is not None]
        for node in decided:
            _inline(node)
        return InferShapes().run(rewritten(model, graph_model, _decided)) if decided else model


def _decided(node: ir.Node) -> Gone:
    if _branch(node) is not None:
        return Gone("removed", "its condition is a constant, and the branch that it takes stands in its place")
    return Gone("removed", "it stands in the branch of an If that is never taken")


def _branch(node: ir.Node) -> ir.Graph | None:
    if node.op_type != "If" or node.domain != "":
        return None
    condition = constant_array(node.inputs[0], size_limit=1)
    if condition is None:
        return None
    return node.attributes["then_branch" if condition.all() else "else_branch"].as_graph()


def _inline(node: ir.Node) -> None:
    branch, parent = _branch(node), node.graph
    if branch is None or parent is None:
        return
    nodes, results = list(branch), list(branch.outputs)
    branch.outputs.clear()
    branch.remove(nodes)
    parent.insert_before(node, nodes)
    for old, new in zip(list(node.outputs), results, strict=True):
        if not replace_value(old, new):
            copy = ir.Node("", "Identity", [new], name=f"{node.name}_{old.name}", outputs=[_like(old)])
            record_origins(copy, [node])
            parent.insert_before(node, copy)
            replace_value(old, copy.outputs[0])
    parent.remove(node, safe=True)


def _like(value: ir.Value) -> ir.Value:
    return ir.Value(name=f"{value.name}_copy", type=value.type, shape=value.shape)

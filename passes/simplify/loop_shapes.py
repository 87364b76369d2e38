"""Which shapes hold inside the body of a Loop.

A value that a Loop carries may change its shape from trip to trip, and what a file says about it is not checked by
anybody. So the shapes in a body are proved: if every carried value keeps the shape of its initial value under the
assumption that it has it, it has it at every trip; else nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx.shape_inference
import onnx_ir as ir

from mho.passes.simplify.skeleton import skeleton


def infer_subgraph_shapes(model: ir.Model) -> None:
    """Types and shapes of all values inside subgraphs, in place; the main graph must have its shapes."""
    bodies = [graph for graph in model.graphs() if graph is not model.graph]
    if not bodies:
        return
    for body in bodies:
        _forget(value for node in body for value in node.outputs)
    loops = [node for node in model.graph.all_nodes() if node.op_type == "Loop" and node.domain == ""]
    for loop in loops:
        _assume(loop)
    _infer(model)
    changing = [loop for loop in loops if not _is_stable(loop)]
    for loop in changing:
        body = loop.attributes["body"].as_graph()
        _forget(body.inputs[2:])
        _forget(value for node in body.all_nodes() for value in node.outputs)
    if changing:
        _infer(model)


def _infer(model: ir.Model) -> None:
    """What onnx infers, where it can; onnx_ir's own pass takes every type for a tensor's."""
    try:
        inferred = ir.from_proto(onnx.shape_inference.infer_shapes(skeleton(model), data_prop=True))
    except (onnx.shape_inference.InferenceError, RuntimeError, ir.serde.SerdeError):
        return
    for graph, other in zip(model.graphs(), inferred.graphs(), strict=True):
        found = ir.convenience.create_value_mapping(other)
        for name, value in ir.convenience.create_value_mapping(graph).items():
            if name in found:
                value.type = found[name].type or value.type
                value.shape = value.shape if found[name].shape is None else found[name].shape


def _forget(values: Iterable[ir.Value]) -> None:
    for value in values:
        value.shape = None


def _carried(loop: ir.Node) -> Iterable[tuple[ir.Value | None, ir.Value, ir.Value]]:
    """(initial value, what the body reads, what the body writes) of each carried value."""
    body = loop.attributes["body"].as_graph()
    return zip(loop.inputs[2:], body.inputs[2:], body.outputs[1:], strict=False)


def _assume(loop: ir.Node) -> None:
    for initial, read, _ in _carried(loop):
        read.shape = None if initial is None or initial.shape is None else initial.shape.copy()


def _is_stable(loop: ir.Node) -> bool:
    return all(
        read.shape is not None and not read.shape.has_unknown_dim() and read.shape == written.shape
        for _, read, written in _carried(loop)
    )

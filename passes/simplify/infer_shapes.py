"""Gives every value its type, and its shape where it is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from mho.passes.levels.model import Model
from mho.passes.simplify.loop_shapes import infer_subgraph_shapes
from mho.passes.simplify.skeleton import skeleton
from mho.runtime.inspect import ValueType, inspect_model


@dataclass(frozen=True)
class InferShapes:
    """Types and shapes as onnxruntime infers them; inside subgraphs, as onnx does.

    Shapes that were known before stay where inference knows less.

    Raises:
        ModelError: the model contradicts itself.
    """

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        _forget_untyped_shapes(graph_model)
        proto = skeleton(graph_model)
        types = inspect_model(proto, model.label, None if model.path is None else model.path.parent)
        for node in graph_model.graph:
            for value in node.outputs:
                if value.name in types:
                    _apply(value, types[value.name])
        infer_subgraph_shapes(graph_model)
        _forget_untyped_shapes(graph_model)
        return replace(model, ir=graph_model)


def _forget_untyped_shapes(model: ir.Model) -> None:
    """Drops the shapes of values without a type, which onnx_ir cannot write."""
    for node in model.graph.all_nodes():
        for value in node.outputs:
            if value.type is None:
                value.shape = None


def _apply(value: ir.Value, inferred: ValueType) -> None:
    if value.type is None:
        value.type = _type(inferred.type)
    if inferred.shape is None:
        return
    known = value.shape
    if known is None or len(known) != len(inferred.shape):
        value.shape = ir.Shape(inferred.shape)
    else:
        value.shape = ir.Shape(_narrower(old, new) for old, new in zip(known, inferred.shape, strict=True))


def _narrower(old: int | ir.SymbolicDim, new: int | str | None) -> int | str | ir.SymbolicDim | None:
    """The dimension that says more; inference wins between two numbers."""
    if isinstance(new, int) or (isinstance(old, ir.SymbolicDim) and old.value is None):
        return new
    return old


def _type(text: str) -> ir.TypeProtocol | None:
    """The onnx_ir type that onnxruntime writes as "tensor(float)" or "seq(tensor(float))"; None for rarer ones."""
    kind, _, inner = text.partition("(")
    inner = inner[:-1]
    if kind == "tensor":
        return ir.TensorType(ir.DataType[inner.upper()])
    element = _type(inner) if kind in ("seq", "optional") else None
    if element is None:
        return None
    return ir.SequenceType(element) if kind == "seq" else ir.OptionalType(element)

"""Inputs and outputs of the network with onnxruntime's names of their types."""

from __future__ import annotations

import onnx_ir as ir

from mho.passes.lower.rule import dimensions, name_of
from mho.targets.steps import Port

_ELEMENTS = {ir.DataType.FLOAT: "float", ir.DataType.DOUBLE: "double"}


def port(value: ir.Value) -> Port:
    """A graph's input or output as a `Port`."""
    return Port(name=name_of(value), type=type_name(value.type), shape=dimensions(value))


def type_name(kind: ir.TypeProtocol | None) -> str:
    """onnxruntime's name of a type, such as `tensor(float)`; empty where the type is not known."""
    match kind:
        case None:
            return ""
        case ir.SequenceType():
            return f"seq({type_name(kind.elem_type)})"
        case ir.OptionalType():
            return f"optional({type_name(kind.elem_type)})"
        case ir.SparseTensorType():
            return f"sparse_tensor({_element(kind.dtype)})"
        case _:
            return f"tensor({_element(kind.dtype)})"


def _element(dtype: ir.DataType) -> str:
    return _ELEMENTS.get(dtype, dtype.name.lower())

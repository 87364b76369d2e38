"""Types of values between onnxruntime's words, ONNX's messages and what unfoldings make of shapes."""

from __future__ import annotations

import re

import onnx
from onnx import TypeProto, helper

from mho.runtime.inspect import ValueType
from mho.runtime.ort_values import FORMATS, NUMPY_TYPES
from mho.runtime.unfold import output_positions
from mho.targets.errors import ProgramError, plain
from mho.targets.steps import Port
from mho.targets.unfolding import Dense, Unfolding

FLOAT32 = "tensor(float)"
COMPLEX = {"tensor(complex64)": onnx.TensorProto.COMPLEX64, "tensor(complex128)": onnx.TensorProto.COMPLEX128}


def element_of(kind: str) -> int:
    """ONNX's number of the elements of a tensor: `tensor(float)` is 1.

    Raises:
        ProgramError: it is no type of tensors.
    """
    if kind in FORMATS:
        return FORMATS[kind].element
    if kind in NUMPY_TYPES:
        return int(helper.np_dtype_to_tensor_dtype(NUMPY_TYPES[kind]))
    if kind in COMPLEX:
        return COMPLEX[kind]
    raise ProgramError(f"{plain(kind)} is no type of tensors that ONNX has")


def type_proto(kind: str, shape: tuple[int | str | None, ...] | None) -> TypeProto:
    """A type as ONNX has it, of a tensor, a sequence, an optional or a map."""
    outer = re.fullmatch(r"(seq|optional|map)\((.*)\)", kind)
    if outer is None:
        return helper.make_tensor_type_proto(element_of(kind), shape)
    if outer[1] == "seq":
        return helper.make_sequence_type_proto(type_proto(outer[2], None))
    if outer[1] == "optional":
        return helper.make_optional_type_proto(type_proto(outer[2], None))
    key, _, value = outer[2].partition(",")
    return helper.make_map_type_proto(element_of(f"tensor({key})"), type_proto(value, None))


def value_info(port: Port) -> onnx.ValueInfoProto:
    """An input or output of the program as one of a graph."""
    return onnx.ValueInfoProto(name=port.name, type=type_proto(port.type, port.shape))


def declared(info: onnx.ValueInfoProto) -> ValueType | None:
    """What a graph declares of a tensor; None of anything else."""
    if not info.type.HasField("tensor_type"):
        return None
    tensor = info.type.tensor_type
    words = {element_of(kind): kind for kind in NUMPY_TYPES}
    if tensor.elem_type not in words:
        return None
    dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim]
    return ValueType(words[tensor.elem_type], tuple(dims) if tensor.HasField("shape") else None)


def output_kind(kind: ValueType, unfolding: Unfolding, columns: int) -> ValueType:
    """The type of a layer's output; open dimensions stay open."""
    shape = kind.shape
    if shape is None:
        return ValueType(kind.type, None)
    if isinstance(unfolding, Dense):
        axis = unfolding.axis % len(shape)
        kept = [*shape[:axis], *shape[axis + 1 :]]
        kept.insert(len(kept) + 1 + unfolding.output_axis, columns)
        return ValueType(kind.type, tuple(kept))
    spatial = tuple(d for d in shape[2:] if isinstance(d, int))
    if len(spatial) < len(shape) - 2:
        return ValueType(kind.type, (shape[0], columns, *(None for _ in shape[2:])))
    return ValueType(kind.type, (shape[0], columns, *output_positions((1, 1, *spatial), unfolding)[1:]))

"""Operators on constants that compute numbers: number formats, quantisation, arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
import onnx_ir as ir

from mho.passes.levels.recipe import Arithmetic, Cast, Centre, Norm, Quantize, Scale
from mho.passes.lower.weights.constant import Inputs, Weights, whole_numbers

FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)

_FEW = 1 << 16
"""Scales that are looked at while lowering, at most."""


def _cast(node: ir.Node, inputs: Inputs) -> Weights | None:
    read, to = inputs[0], ir.DataType(node.attributes.get_int("to", 1))
    if read is None or to not in FLOATS:
        return None
    return read.then(Cast(to.name), read.shape)


def _arithmetic(node: ir.Node, inputs: Inputs) -> Weights | None:
    """Add, Sub, Mul or Div of two constants in a floating-point format."""
    (first, second), dtype = inputs, node.outputs[0].dtype
    if first is None or second is None or dtype not in FLOATS:
        return None
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        return None
    return first.then(Arithmetic(node.op_type, second.operand(), dtype.name), shape, second)


def _norm(node: ir.Node, inputs: Inputs) -> Weights | None:
    """ReduceL2, as where a model divides its weights by their norm."""
    read, axes = inputs[0], whole_numbers(node, inputs, 1, "axes")
    if read is None or (not axes and node.attributes.get_int("noop_with_empty_axes", 0) != 0):
        return None
    rank = len(read.shape)
    reduced = {a % rank for a in axes or range(rank)}
    norm = read.then(Norm(tuple(sorted(reduced))), tuple(1 if i in reduced else d for i, d in enumerate(read.shape)))
    if node.attributes.get_int("keepdims", 1):
        return norm
    return norm.reshape(*(d for i, d in enumerate(read.shape) if i not in reduced))


def _dequantize(node: ir.Node, inputs: Inputs) -> Weights | None:
    """DequantizeLinear; with a scale of 1 whole numbers stay whole."""
    read, scale, zero = _three(inputs)
    placed = None if read is None or scale is None else _axis_and_block(node, read, scale, zero)
    if read is None or scale is None or placed is None:
        return None
    centred = read.then(Centre(0 if zero is None else zero.operand(), *placed), read.shape, zero)
    if prod(scale.shape) <= _FEW and np.all(scale.array() == 1):
        return centred
    return centred.then(Scale(scale.operand(), *placed), read.shape, scale)


def _quantize(node: ir.Node, inputs: Inputs) -> Weights | None:
    """QuantizeLinear; its number format is that of the zero point, else that of the attribute, else uint8."""
    read, scale, zero = _three(inputs)
    if read is None or scale is None:
        return None
    placed = _axis_and_block(node, read, scale, zero)
    if placed is None:
        return None
    named = node.attributes.get_int("output_dtype", 0) or int(ir.DataType.UINT8)
    dtype = ir.DataType(named) if zero is None else zero.source.dtype
    zero_point = None if zero is None else zero.operand()
    return read.then(Quantize(scale.operand(), zero_point, *placed, dtype.name), read.shape, scale, zero)


def _three(inputs: Inputs) -> tuple[Weights | None, Weights | None, Weights | None]:
    return inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None


def _axis_and_block(node: ir.Node, read: Weights, scale: Weights, zero: Weights | None) -> tuple[int, int] | None:
    """Where scales lie, and how many numbers share one; None where their shapes do not fit the array's."""
    if zero is not None and prod(zero.shape) not in (1, prod(scale.shape)):
        return None
    if prod(scale.shape) == 1:
        return 0, 0
    axis = node.attributes.get_int("axis", 1) % max(1, len(read.shape))
    block = node.attributes.get_int("block_size", 0)
    blocks = [-(-size // block) if block and i == axis else size for i, size in enumerate(read.shape)]
    wanted = tuple(blocks) if block else (read.shape[axis],)
    return (axis, block) if scale.shape == wanted else None


NUMBERS: Mapping[str, Callable[[ir.Node, Inputs], Weights | None]] = {
    "Cast": _cast,
    "Add": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "ReduceL2": _norm,
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
}

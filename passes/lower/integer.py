"""Products of integers as layers: the zero point is taken off before the converter, and the sums are exact."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import onnx_ir as ir

from mho.passes.lower.conv import ConvRule
from mho.passes.lower.layer import WEIGHT_CONDITION
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.rule import Declined, Lowered, Rule, Scope, dimensions, named
from mho.passes.lower.sketch import Sketch
from mho.passes.lower.weights import read_array, read_weights

ZERO_POINT_CONDITION = "The zero point of its weights is constant; that of its input is one number for all of it."

LARGEST_RESULT = 15
"""log2 of the largest number that a layer of integers hands on, so that a digital unit of float16 can hold it."""


def given(node: ir.Node, index: int) -> ir.Value | None:
    """An input, or None where it is left out."""
    value = node.inputs[index] if len(node.inputs) > index else None
    return value if named(value) else None


def centred(sketch: Sketch, value: ir.Value, zero: ir.Value | None) -> ir.Value | Declined:
    """An input without its zero point, as float32; it may be known at run time only."""
    shape = () if zero is None else dimensions(zero)
    if shape is None or any(size != 1 for size in shape):
        return Declined("the zero point of its input is not one number")
    one = sketch.constant(np.ones([1] * len(shape), np.float32), "one")
    inputs = [value, one] if zero is None else [value, one, zero]
    return sketch.op("DequantizeLinear", inputs, sketch.value("centred", ir.DataType.FLOAT, dimensions(value)))


def whole_weights(sketch: Sketch, value: ir.Value, zero: ir.Value | None, axis: int) -> ir.Value | Declined:
    """Weights without their zero points, as a chain that a recipe reads; they stay whole numbers."""
    points = None if zero is None else read_weights(zero)
    if read_weights(value) is None:
        return Declined("its weights are computed at run time")
    if zero is not None and points is None:
        return Declined("the zero points of its weights are computed at run time")
    shape = () if points is None else points.shape
    if len(shape) > 1:
        return Declined("the zero points of its weights have more than one axis")
    ones = sketch.constant(np.ones(shape, np.float32), "ones")
    inputs = [value, ones] if zero is None else [value, ones, zero]
    return sketch.on_weights("DequantizeLinear", inputs, ir.DataType.FLOAT, dimensions(value), axis=axis)


@dataclass(frozen=True)
class MatMulIntegerRule:
    """MatMulInteger: the sums are whole numbers, handed on as int32."""

    operators: tuple[str, ...] = ("MatMulInteger",)
    where: str = "analog"
    conditions: tuple[str, ...] = (WEIGHT_CONDITION, ZERO_POINT_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        factors, zeros = node.inputs[:2], (given(node, 2), given(node, 3))
        constant = 0 if read_weights(factors[0]) is not None else 1
        return _int32(node, scope, MatMulRule(), constant, zeros, axis=-2 if constant == 0 else -1)


@dataclass(frozen=True)
class ConvIntegerRule:
    """ConvInteger: the sums are whole numbers, handed on as int32."""

    operators: tuple[str, ...] = ("ConvInteger",)
    where: str = "analog"
    conditions: tuple[str, ...] = (WEIGHT_CONDITION, ZERO_POINT_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        return _int32(node, scope, ConvRule(), 1, (given(node, 2), given(node, 3)), axis=0)


def _int32(
    node: ir.Node,
    scope: Scope,
    rule: Rule,
    constant: int,
    zeros: tuple[ir.Value | None, ir.Value | None],
    axis: int,
) -> Lowered | Declined:
    """Input − zero point, float64 so that every sum is exact, the layer, rounding.

    The layer's result is scaled down by a power of two, and divided by it again behind the layer.
    """
    sketch, double = Sketch(node, scope), ir.DataType.DOUBLE
    variable, weights = node.inputs[1 - constant], node.inputs[constant]
    if variable is None or weights is None:
        return Declined("one of its factors is left out")
    stored = whole_weights(sketch, weights, zeros[constant], axis)
    if isinstance(stored, Declined):
        return stored
    source = centred(sketch, variable, zeros[1 - constant])
    if isinstance(source, Declined):
        return source
    wide = sketch.op("Cast", [source], sketch.value("wide", double, dimensions(source)), to=int(double))
    shape = dimensions(node.outputs[0])
    sums = sketch.value("sums", double, shape)
    declined = sketch.layer(rule, (wide, stored) if constant == 1 else (stored, wide), sums, node.attributes.values())
    if declined is not None:
        return declined
    factor = np.array(_power_of_two(sketch))
    sketch.finish(factor)
    # A Mul would be taken into the layer again, and with it the whole range of the sums.
    whole = sketch.op("Div", [sums, sketch.constant(factor, "unit")], sketch.value("whole", double, shape))
    sketch.op("Cast", [_rounded(sketch, whole)], sketch.result(), to=int(ir.DataType.INT32))
    return sketch.done()


def _power_of_two(sketch: Sketch) -> float:
    """What brings the largest possible sum of products of two numbers of 8 bits, zero points taken off, into range."""
    rows = sketch.matrix.rows // sketch.matrix.groups
    return 2.0 ** min(0, LARGEST_RESULT - 16 - ceil(log2(max(1, rows))))


def _rounded(sketch: Sketch, value: ir.Value) -> ir.Value:
    """The nearest whole numbers; operator set 10 has no Round."""
    shape, double = dimensions(value), ir.DataType.DOUBLE
    if sketch.scope.opset >= 11:
        return sketch.op("Round", [value], sketch.value("rounded", double, shape))
    half = sketch.constant(np.array(0.5), "half")
    above = sketch.op("Add", [value, half], sketch.value("above", double, shape))
    return sketch.op("Floor", [above], sketch.value("rounded", double, shape))


@dataclass(frozen=True)
class MatMulIntegerToFloatRule:
    """MatMulIntegerToFloat and DynamicQuantizeMatMul: what scales the input is multiplied behind the layer.

    So the layer's input has the range of its integers, whatever the data.
    """

    operators: tuple[str, ...] = ("com.microsoft.MatMulIntegerToFloat", "com.microsoft.DynamicQuantizeMatMul")
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "Its second factor and that one's scale are constant.",
        ZERO_POINT_CONDITION,
        "DynamicQuantizeMatMul: the input is quantised digitally, and the operator set is 11 or newer.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        sketch = Sketch(node, scope)
        if node.op_type == "DynamicQuantizeMatMul":
            if scope.opset < 11:
                return Declined("operator sets before 11 have no DynamicQuantizeLinear")
            source, scale, zero = _quantised(sketch, node.inputs[0])
            return _scaled(sketch, (source, zero, scale), (node.inputs[1], given(node, 3), given(node, 2)), 4)
        weights = (node.inputs[1], given(node, 5), given(node, 3))
        return _scaled(sketch, (node.inputs[0], given(node, 4), given(node, 2)), weights, 6)


def _quantised(sketch: Sketch, value: ir.Value | None) -> tuple[ir.Value, ir.Value, ir.Value]:
    """An input as DynamicQuantizeLinear writes it: codes, scale and zero point."""
    shape = None if value is None else dimensions(value)
    codes = sketch.value("codes", ir.DataType.UINT8, shape)
    scale, zero = sketch.value("scale", ir.DataType.FLOAT, ()), sketch.value("zero", ir.DataType.UINT8, ())
    sketch.op("DynamicQuantizeLinear", [value], codes, scale, zero)
    return codes, scale, zero


Quantised = tuple[ir.Value | None, ir.Value | None, ir.Value | None]
"""A value, its zero point and its scale."""


def _scaled(sketch: Sketch, left: Quantised, right: Quantised, bias: int) -> Lowered | Declined:
    node, scales = sketch.node, read_array(right[2])
    if left[0] is None or right[0] is None or scales is None or node.outputs[0].dtype != ir.DataType.FLOAT:
        return Declined("the scale of its weights is computed at run time")
    stored = whole_weights(sketch, right[0], right[1], axis=-1)
    source = centred(sketch, left[0], left[1])
    if isinstance(stored, Declined):
        return stored
    if isinstance(source, Declined):
        return source
    shape, single, addend = dimensions(node.outputs[0]), ir.DataType.FLOAT, given(node, bias)
    sums = sketch.value("sums", single, shape)
    declined = sketch.layer(MatMulRule(), (source, stored), sums)
    if declined is not None:
        return declined
    sketch.finish(scales.astype(np.float64))
    scaled = sketch.result() if addend is None else sketch.value("scaled", single, shape)
    sketch.op("Mul", [sums, left[2]], scaled)
    if addend is not None:
        sketch.op("Add", [scaled, addend], sketch.result())
    return sketch.done()

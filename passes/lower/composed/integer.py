"""Products of integers as layers: the zero point is taken off before the converter, and the sums are exact."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import onnx_ir as ir

from mho.passes.lower.composed.sketch import Sketch
from mho.passes.lower.conv import ConvRule
from mho.passes.lower.layer import WEIGHT_CONDITION
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.reasons.wording import (
    declined_constants,
    no_constant_factor,
    not_constant,
    not_of_shape,
    source_of,
    unknown_rank,
)
from mho.passes.lower.rule import Declined, Lowered, Rule, Scope, dimensions, given, required
from mho.passes.lower.weights.read import read_array, read_weights

ZERO_POINT_CONDITION = "The zero point of its weights is constant; that of its input is one number for all of it."

LARGEST_RESULT = 15
"""log2 of the largest number that a layer of integers hands on, so that a digital unit of float16 can hold it."""


ONE_SCALE_REMEDY = "quantise the model with one scale and one zero point for all of a tensor of activations"


def declined_input_zero(node: ir.Node, index: int) -> Declined | None:
    """Why a zero point, which may be known at run time only, cannot be taken off the input of a layer."""
    zero = given(node, index)
    shape = () if zero is None else dimensions(zero)
    if shape is None:
        return unknown_rank(node, index)
    if all(size == 1 for size in shape):
        return None
    return not_of_shape(node, index, "the zero point of the activations", "one number", ONE_SCALE_REMEDY)


def declined_weights(node: ir.Node, weights: int, zero: int) -> Declined | None:
    """Why weights and their zero points, by the numbers of these inputs, cannot be stored as whole numbers."""
    required(node, weights)
    role = "the zero points of the weights"
    declined = declined_constants(node, {weights: "the weights", zero: role})
    points = None if declined is not None else read_weights(given(node, zero))
    if points is None or len(points.shape) <= 1:
        return declined
    remedy = "quantise the weights with one zero point for each column, or with one for all"
    return not_of_shape(node, zero, role, "one number a column", remedy)


def centred(sketch: Sketch, value: ir.Value, zero: ir.Value | None) -> ir.Value:
    """An input without its zero point, as float32; it may be known at run time only."""
    shape = (None if zero is None else dimensions(zero)) or ()
    one = sketch.constant(np.ones([1] * len(shape), np.float32), "one")
    inputs = [value, one] if zero is None else [value, one, zero]
    return sketch.op("DequantizeLinear", inputs, sketch.value("centred", ir.DataType.FLOAT, dimensions(value)))


def whole_weights(sketch: Sketch, value: ir.Value, zero: ir.Value | None, axis: int) -> ir.Value:
    """Weights without their zero points, as a chain that a recipe reads; they stay whole numbers."""
    points = read_weights(zero)
    shape = () if points is None else points.shape
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
        left, right = (read_weights(given(node, index)) is not None for index in (0, 1))
        if not left and not right:
            return no_constant_factor(node)
        return _int32(node, scope, MatMulRule(), 0 if left else 1, axis=-2 if left else -1)


@dataclass(frozen=True)
class ConvIntegerRule:
    """ConvInteger: the sums are whole numbers, handed on as int32."""

    operators: tuple[str, ...] = ("ConvInteger",)
    where: str = "analog"
    conditions: tuple[str, ...] = (WEIGHT_CONDITION, ZERO_POINT_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        return _int32(node, scope, ConvRule(), 1, axis=0)


def _int32(node: ir.Node, scope: Scope, rule: Rule, constant: int, axis: int) -> Lowered | Declined:
    """The product where factor number `constant` is constant; the zero point of each factor is two inputs on.

    Input − zero point, float64 so that every sum is exact, the layer, rounding.

    The layer's result is scaled down by a power of two, and divided by it again behind the layer.
    """
    sketch, double = Sketch(node, scope), ir.DataType.DOUBLE
    declined = declined_weights(node, constant, constant + 2) or declined_input_zero(node, 3 - constant)
    if declined is not None:
        return declined
    stored = whole_weights(sketch, required(node, constant), given(node, constant + 2), axis)
    source = centred(sketch, required(node, 1 - constant), given(node, 3 - constant))
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
        dynamic = node.op_type == "DynamicQuantizeMatMul"
        inputs = _DYNAMIC if dynamic else _TO_FLOAT
        declined = _declined_to_float(node, inputs) or (_declined_opset(scope) if dynamic else None)
        if declined is not None:
            return declined
        sketch = Sketch(node, scope)
        source = (given(node, 0), given(node, 2), given(node, 4))
        return _scaled(sketch, _quantised(sketch) if dynamic else source, inputs)


@dataclass(frozen=True)
class _Inputs:
    """Where the inputs stand that come with the weights."""

    scale: int
    zero: int
    bias: int


_DYNAMIC, _TO_FLOAT = _Inputs(scale=2, zero=3, bias=4), _Inputs(scale=3, zero=5, bias=6)


def _declined_to_float(node: ir.Node, inputs: _Inputs) -> Declined | None:
    if read_weights(given(node, 0)) is None and read_weights(given(node, 1)) is None:
        return no_constant_factor(node)
    declined = declined_weights(node, 1, inputs.zero)
    if declined is None and read_weights(given(node, inputs.scale)) is None:
        declined = not_constant(node, inputs.scale, "the scale of the weights")
    if declined is None and inputs is _TO_FLOAT:
        declined = declined_input_zero(node, 4)
    if declined is None and node.outputs[0].dtype != ir.DataType.FLOAT:
        declined = Declined("its result is not float32", source_of(node.outputs[0]), "export the model in float32")
    return declined


def _declined_opset(scope: Scope) -> Declined | None:
    if scope.opset >= 11:
        return None
    detail, remedy = f"the model has operator set {scope.opset}", "convert the model to operator set 11 or newer"
    return Declined("operator sets before 11 have no DynamicQuantizeLinear", detail, remedy)


Quantised = tuple[ir.Value | None, ir.Value | None, ir.Value | None]
"""A value, its scale and its zero point."""


def _quantised(sketch: Sketch) -> Quantised:
    """The first input as DynamicQuantizeLinear writes it: codes, scale and zero point."""
    value = required(sketch.node, 0)
    codes = sketch.value("codes", ir.DataType.UINT8, dimensions(value))
    scale, zero = sketch.value("scale", ir.DataType.FLOAT, ()), sketch.value("zero", ir.DataType.UINT8, ())
    sketch.op("DynamicQuantizeLinear", [value], codes, scale, zero)
    return codes, scale, zero


def _scaled(sketch: Sketch, left: Quantised, inputs: _Inputs) -> Lowered | Declined:
    node, (value, scale, zero) = sketch.node, left
    stored = whole_weights(sketch, required(node, 1), given(node, inputs.zero), axis=-1)
    source = centred(sketch, value or required(node, 0), zero)
    shape, single, addend = dimensions(node.outputs[0]), ir.DataType.FLOAT, given(node, inputs.bias)
    sums = sketch.value("sums", single, shape)
    declined = sketch.layer(MatMulRule(), (source, stored), sums)
    if declined is not None:
        return declined
    scales = read_array(given(node, inputs.scale))
    sketch.finish(None if scales is None else scales.astype(np.float64))
    scaled = sketch.result() if addend is None else sketch.value("scaled", single, shape)
    sketch.op("Mul", [sums, scale], scaled)
    if addend is not None:
        sketch.op("Add", [scaled, addend], sketch.result())
    return sketch.done()

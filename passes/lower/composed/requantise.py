"""QLinearConv, QLinearMatMul and QGemm: products of integers whose results are quantised again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Array
from mho.passes.lower.composed.integer import (
    ONE_SCALE_REMEDY,
    ZERO_POINT_CONDITION,
    centred,
    declined_input_zero,
    declined_weights,
    whole_weights,
)
from mho.passes.lower.composed.sketch import Shape, Sketch
from mho.passes.lower.conv import ConvRule
from mho.passes.lower.gemm import GemmRule
from mho.passes.lower.layer import WEIGHT_CONDITION
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.matmul_batched import declined_factor
from mho.passes.lower.reasons.wording import (
    declined_constants,
    no_constant_factor,
    not_of_shape,
    source_of,
    unknown_rank,
)
from mho.passes.lower.rule import Declined, Lowered, Rule, Scope, dimensions, given, required
from mho.passes.lower.weights.read import read_array, read_weights
from mho.targets.steps import Dimension

SCALE_CONDITION = "Its scales are constant; they are the layer's scale, and its integer bias is the layer's bias."


@dataclass(frozen=True)
class QLinearConvRule:
    """QLinearConv, in onnxruntime's form with the channels last too."""

    operators: tuple[str, ...] = ("QLinearConv", "com.microsoft.QLinearConv")
    where: str = "analog"
    conditions: tuple[str, ...] = (WEIGHT_CONDITION, ZERO_POINT_CONDITION, SCALE_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        product = _Requantised(Sketch(node, scope), x=0, w=3, y=6, bias=8)
        last = node.attributes.get_int("channels_last", 0) != 0
        attributes = [a for a in node.attributes.values() if a.name != "channels_last"]
        return product.lower(ConvRule(), axis=0, attributes=attributes, channels_last=last)


@dataclass(frozen=True)
class QLinearMatMulRule:
    """QLinearMatMul with a constant on the right, x · W, or on the left, W · x."""

    operators: tuple[str, ...] = ("QLinearMatMul",)
    where: str = "analog"
    conditions: tuple[str, ...] = ("One of its factors is constant.", ZERO_POINT_CONDITION, SCALE_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        left, right = read_weights(given(node, 0)), read_weights(given(node, 3))
        weights, x = (right, 0) if left is None else (left, 3)
        if weights is None:
            return no_constant_factor(node, 0, 3)
        declined = declined_factor(node, x, weights, left=x == 3)
        if declined is not None:
            return declined
        product = _Requantised(Sketch(node, scope), x=x, w=3 - x, y=6)
        return product.lower(MatMulRule(), axis=-1 if x == 0 else -2)


@dataclass(frozen=True)
class QGemmRule:
    """QGemm, whose result is float32 where it has no scale."""

    operators: tuple[str, ...] = ("com.microsoft.QGemm",)
    where: str = "analog"
    conditions: tuple[str, ...] = ("Its second factor is constant.", ZERO_POINT_CONDITION, SCALE_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        product = _Requantised(Sketch(node, scope), x=0, w=3, y=7, bias=6)
        axis = 0 if node.attributes.get_int("transB", 0) else 1
        attributes = [a for a in node.attributes.values() if a.name != "alpha"]
        return product.lower(GemmRule(), axis, attributes)


@dataclass(frozen=True)
class _Requantised:
    """saturate(round(scale · (x − x₀)(w − w₀) + scale · bias) + y₀) with scale = x_scale · w_scale / y_scale.

    onnxruntime multiplies the scales in float32 and the sums once, so that the layer does the same in float64 gives
    the same codes while a sum has at most 24 bits.

    Attributes:
        x, w: numbers of the inputs that are the factors; the scale and the zero point of each follow it.
        y: number of the input that is the result's scale; its zero point follows it.
        bias: number of the input that is the bias.
    """

    sketch: Sketch
    x: int
    w: int
    y: int
    bias: int | None = None

    def given(self, index: int | None) -> ir.Value | None:
        return None if index is None else given(self.sketch.node, index)

    def lower(
        self, rule: Rule, axis: int, attributes: list[ir.Attr] | None = None, channels_last: bool = False
    ) -> Lowered | Declined:
        node, sketch = self.sketch.node, self.sketch
        declined = self._declined(channels_last)
        if declined is not None:
            return declined
        stored = whole_weights(sketch, required(node, self.w), self.given(self.w + 2), axis)
        source = centred(sketch, required(node, self.x), self.given(self.x + 2))
        source = _channels(sketch, source, second=True) if channels_last else source
        sums = self._sums(channels_last)
        declined = sketch.layer(rule, (stored, source) if self.w < self.x else (source, stored), sums, attributes or [])
        if declined is not None:
            return declined
        scale, bias = self._scale(), read_array(self.given(self.bias))
        sketch.finish(scale, None if bias is None else bias.astype(np.float64) * scale)
        self._quantise(_channels(sketch, sums, second=False) if channels_last else sums)
        return sketch.done()

    def _sums(self, channels_last: bool) -> ir.Value:
        """What the layer writes: the node's result where that is not quantised."""
        if self.given(self.y) is None:
            return self.sketch.result()
        shape = dimensions(self.sketch.node.outputs[0])
        moved = _moved(shape, second=True) if channels_last else shape
        return self.sketch.value("sums", ir.DataType.FLOAT, moved)

    def _declined(self, channels_last: bool) -> Declined | None:
        node = self.sketch.node
        if channels_last and dimensions(required(node, self.x)) is None:
            return unknown_rank(node, self.x)
        return (
            declined_weights(node, self.w, self.w + 2)
            or declined_constants(node, self._roles)
            or declined_input_zero(node, self.x + 2)
            or self._declined_numbers()
        )

    @property
    def _roles(self) -> dict[int, str]:
        """What must be constant beside the weights."""
        scales = {self.x: "the activations", self.w: "the weights"}
        roles = {index + 1: f"the scale of {what}" for index, what in scales.items()}
        roles[self.y] = "the scale of the result"
        return roles if self.bias is None else {**roles, self.bias: "the bias"}

    def _declined_numbers(self) -> Declined | None:
        """What is wrong with constants that are known."""
        node, roles = self.sketch.node, self._roles
        for index in (self.x + 1, self.y):
            array = read_array(self.given(index))
            if array is not None and array.size != 1:
                return not_of_shape(node, index, roles[index], "one number", ONE_SCALE_REMEDY)
        if not np.all(np.isfinite(self._scale())):
            scales = (self.given(index) for index in (self.x + 1, self.w + 1, self.y))
            detail = ", ".join(source_of(scale) for scale in scales if scale is not None)
            return Declined("its scales are not finite, or its result's scale is 0", detail, "quantise the model again")
        bias = read_array(self.given(self.bias))
        if self.bias is None or bias is None or all(size == 1 for size in bias.shape[:-1]):
            return None
        return not_of_shape(node, self.bias, "the bias", "one number a column", "add it in an operator of its own")

    def _scale(self) -> Array:
        """The layer's scale, float64 of float32 numbers, one or one a column."""
        numbers = (read_array(self.given(index)) for index in (self.x + 1, self.w + 1, self.y))
        of_input, of_weights, of_result = (np.ones(1, np.float32) if n is None else n.reshape(-1) for n in numbers)
        alpha = np.float32(self.sketch.node.attributes.get_float("alpha", 1.0))
        with np.errstate(all="ignore"):
            product: Array = alpha * of_input * of_weights / of_result
        return product.astype(np.float64)

    def _quantise(self, value: ir.Value) -> None:
        """Rounds to the result's codes; without a scale, the float32 result is what the layer gives."""
        sketch, zero = self.sketch, self.given(self.y + 1)
        if self.given(self.y) is None:
            return
        shape = () if zero is None else dimensions(zero)
        one = sketch.constant(np.ones([1] * len(shape or ()), np.float32), "unit")
        inputs = [value, one] if zero is None else [value, one, zero]
        sketch.op("QuantizeLinear", inputs, sketch.result())


def _moved(shape: Shape, second: bool) -> list[Dimension] | None:
    """A shape with its channels second instead of last, or the other way."""
    if shape is None:
        return None
    return [shape[0], shape[-1], *shape[1:-1]] if second else [shape[0], *shape[2:], shape[1]]


def _channels(sketch: Sketch, value: ir.Value, second: bool) -> ir.Value:
    """Transposes the channels to the second axis, or to the last."""
    shape = dimensions(value) or ()
    rank = len(shape)
    order = (0, rank - 1, *range(1, rank - 1)) if second else (0, *range(2, rank), 1)
    moved = sketch.value("channels", value.dtype, _moved(shape, second))
    return sketch.op("Transpose", [value], moved, perm=order)

"""QLinearConv, QLinearMatMul and QGemm: products of integers whose results are quantised again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Array
from mho.passes.lower.conv import ConvRule
from mho.passes.lower.gemm import GemmRule
from mho.passes.lower.integer import ZERO_POINT_CONDITION, centred, given, whole_weights
from mho.passes.lower.layer import WEIGHT_CONDITION
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.rule import Declined, Lowered, Rule, Scope, dimensions
from mho.passes.lower.sketch import Shape, Sketch
from mho.passes.lower.weights import read_array, read_weights
from mho.targets.steps import Dimension

SCALE_CONDITION = "Its scales are constant; they are the layer's scale, and its integer bias is the layer's bias."

_RUN_TIME = Declined("its scales or its bias are computed at run time")


@dataclass(frozen=True)
class Quantised:
    """A value with its scale and zero point."""

    value: ir.Value | None
    scale: ir.Value | None
    zero: ir.Value | None

    @staticmethod
    def of(node: ir.Node, first: int) -> Quantised:
        """Three inputs of a node from number `first`."""
        return Quantised(given(node, first), given(node, first + 1), given(node, first + 2))


@dataclass(frozen=True)
class QLinearConvRule:
    """QLinearConv, in onnxruntime's form with the channels last too."""

    operators: tuple[str, ...] = ("QLinearConv", "com.microsoft.QLinearConv")
    where: str = "analog"
    conditions: tuple[str, ...] = (WEIGHT_CONDITION, ZERO_POINT_CONDITION, SCALE_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        sketch = Sketch(node, scope)
        x, w, y = Quantised.of(node, 0), Quantised.of(node, 3), Quantised(None, given(node, 6), given(node, 7))
        product = _Requantised(sketch, x, w, y, given(node, 8))
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
        a, b, y = Quantised.of(node, 0), Quantised.of(node, 3), Quantised(None, given(node, 6), given(node, 7))
        if read_weights(a.value) is not None:
            return _Requantised(Sketch(node, scope), b, a, y, None, left=True).lower(MatMulRule(), axis=-2)
        return _Requantised(Sketch(node, scope), a, b, y, None).lower(MatMulRule(), axis=-1)


@dataclass(frozen=True)
class QGemmRule:
    """QGemm, whose result is float32 where it has no scale."""

    operators: tuple[str, ...] = ("com.microsoft.QGemm",)
    where: str = "analog"
    conditions: tuple[str, ...] = ("Its second factor is constant.", ZERO_POINT_CONDITION, SCALE_CONDITION)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        a, b, y = Quantised.of(node, 0), Quantised.of(node, 3), Quantised(None, given(node, 7), given(node, 8))
        product = _Requantised(Sketch(node, scope), a, b, y, given(node, 6))
        axis = 0 if node.attributes.get_int("transB", 0) else 1
        attributes = [a for a in node.attributes.values() if a.name != "alpha"]
        return product.lower(GemmRule(), axis, attributes)


@dataclass(frozen=True)
class _Requantised:
    """saturate(round(scale · (x − x₀)(w − w₀) + scale · bias) + y₀) with scale = x_scale · w_scale / y_scale.

    onnxruntime multiplies the scales in float32 and the sums once, so that the layer does the same in float64 gives
    the same codes while a sum has at most 24 bits.

    Attributes:
        left: the weights are the first factor.
    """

    sketch: Sketch
    x: Quantised
    w: Quantised
    y: Quantised
    bias: ir.Value | None
    left: bool = False

    def lower(
        self, rule: Rule, axis: int, attributes: list[ir.Attr] | None = None, channels_last: bool = False
    ) -> Lowered | Declined:
        sketch, scale, bias = self.sketch, self._scale(), read_array(self.bias)
        if self.x.value is None or self.w.value is None or scale is None or (self.bias is not None and bias is None):
            return _RUN_TIME
        if not np.all(np.isfinite(scale)):
            return Declined("its scales are not finite, or its result's scale is 0")
        if bias is not None and any(size != 1 for size in bias.shape[:-1]):
            return Declined("its addend C is not one number a column")
        stored = whole_weights(sketch, self.w.value, self.w.zero, axis)
        source = centred(sketch, self.x.value, self.x.zero)
        if isinstance(stored, Declined):
            return stored
        if isinstance(source, Declined):
            return source
        if channels_last and source.shape is None:
            return Declined("the rank of its input is not known")
        source = _channels(sketch, source, second=True) if channels_last else source
        shape = dimensions(sketch.node.outputs[0])
        if self.y.scale is None:
            sums = sketch.result()
        else:
            sums = sketch.value("sums", ir.DataType.FLOAT, _moved(shape, second=True) if channels_last else shape)
        factors = (stored, source) if self.left else (source, stored)
        declined = sketch.layer(rule, factors, sums, attributes or [])
        if declined is not None:
            return declined
        sketch.finish(scale, None if bias is None else bias.astype(np.float64) * scale)
        self._quantise(_channels(sketch, sums, second=False) if channels_last else sums)
        return sketch.done()

    def _scale(self) -> Array | None:
        """The layer's scale, float64 of float32 numbers, one or one a column."""
        scales = [None if value is None else read_array(value) for value in (self.x.scale, self.w.scale)]
        result = np.ones((), np.float32) if self.y.scale is None else read_array(self.y.scale)
        if scales[0] is None or scales[1] is None or result is None or scales[0].size != 1 or result.size != 1:
            return None
        alpha = np.float32(self.sketch.node.attributes.get_float("alpha", 1.0))
        with np.errstate(all="ignore"):
            product: Array = alpha * scales[0].reshape(-1) * scales[1].reshape(-1) / result.reshape(-1)
        return product.astype(np.float64)

    def _quantise(self, value: ir.Value) -> None:
        """Rounds to the result's codes; without a scale, the float32 result is what the layer gives."""
        sketch = self.sketch
        if self.y.scale is None:
            return
        shape = () if self.y.zero is None else dimensions(self.y.zero)
        one = sketch.constant(np.ones([1] * len(shape or ()), np.float32), "unit")
        inputs = [value, one] if self.y.zero is None else [value, one, self.y.zero]
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

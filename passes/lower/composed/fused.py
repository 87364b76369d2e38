"""onnxruntime's fused products: the layer of FusedConv, FusedGemm and FusedMatMul, and what was fused behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx_ir as ir

from mho.passes.lower.composed.sketch import Sketch
from mho.passes.lower.conv import ConvRule
from mho.passes.lower.gemm import GemmRule
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.reasons.wording import UNFUSED_REMEDY, unknown_rank
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, given, required
from mho.passes.lower.weights.read import read_weights

ACTIVATIONS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "Relu": (1, ()),
    "Tanh": (1, ()),
    "Sigmoid": (1, ()),
    "Softplus": (1, ()),
    "Softsign": (1, ()),
    "Elu": (1, ("alpha",)),
    "LeakyRelu": (1, ("alpha",)),
    "HardSigmoid": (1, ("alpha", "beta")),
    "Selu": (1, ("alpha", "gamma")),
    "ThresholdedRelu": (10, ("alpha",)),
    "HardSwish": (14, ()),
    "Clip": (11, ("low", "high")),
}
"""Activation → the oldest operator set that has it, and its parameters in onnxruntime's order."""


@dataclass(frozen=True)
class FusedConvRule:
    """FusedConv: activation(Conv(X, W, B) + Z)."""

    operators: tuple[str, ...] = ("com.microsoft.FusedConv",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "As for Conv; the sum with Z and the activation follow the layer.",
        f"Its activation is {', '.join(ACTIVATIONS)}, or none.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        activation = _Activation.of(node, scope)
        if isinstance(activation, Declined):
            return activation
        sketch, shape = Sketch(node, scope), dimensions(node.outputs[0])
        addend = given(node, 3)
        attributes = [a for a in node.attributes.values() if not a.name.startswith("activation")]
        outputs = [sketch.value("sums", node.outputs[0].dtype, shape) for _ in range((addend is not None) + 1)]
        result = activation.written(sketch, outputs)
        declined = sketch.layer(ConvRule(), [*node.inputs[:2], given(node, 2)], result[0], attributes)
        if declined is not None:
            return declined
        if addend is not None:
            sketch.op("Add", [result[0], addend], result[1])
        activation.apply(sketch, result[-1])
        return sketch.done()


@dataclass(frozen=True)
class FusedGemmRule:
    """FusedGemm: activation(Gemm(A, B, C))."""

    operators: tuple[str, ...] = ("com.microsoft.FusedGemm",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "As for Gemm; the activation follows the layer.",
        f"Its activation is {', '.join(ACTIVATIONS)}, or none.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        activation = _Activation.of(node, scope)
        if isinstance(activation, Declined):
            return activation
        sketch = Sketch(node, scope)
        sums = sketch.value("sums", node.outputs[0].dtype, dimensions(node.outputs[0]))
        (output,) = activation.written(sketch, [sums])
        attributes = [a for a in node.attributes.values() if not a.name.startswith("activation")]
        declined = sketch.layer(GemmRule(), node.inputs, output, attributes)
        if declined is not None:
            return declined
        activation.apply(sketch, output)
        return sketch.done()


@dataclass(frozen=True)
class FusedMatMulRule:
    """FusedMatMul: alpha · op(A) · op(B), where op may transpose the last axes, the first one among them too."""

    operators: tuple[str, ...] = ("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "As for MatMul, its constant transposed first; the factor alpha is the layer's scale.",
        "The rank of what is transposed is known.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        sketch, factors = Sketch(node, scope), []
        for index, side in enumerate("AB"):
            factor = _turned(sketch, required(node, index), side)
            if factor is None:
                return unknown_rank(node, index)
            factors.append(factor)
        alpha = node.attributes.get_float("alpha", 1.0)
        declined = sketch.layer(MatMulRule(), factors, sketch.result())
        if declined is not None:
            return declined
        if alpha != 1:
            sketch.finish(np.array(alpha, np.float32))
        return sketch.done()


def _turned(sketch: Sketch, value: ir.Value, side: str) -> ir.Value | None:
    """A factor as MatMul takes it; None where its rank is not known."""
    flips, batch = (sketch.node.attributes.get_int(f"{name}{side}", 0) != 0 for name in ("trans", "transBatch"))
    shape = dimensions(value)
    if not flips and not batch:
        return value
    if shape is None:
        return None
    if len(shape) < 2:
        return value
    order = list(range(len(shape)))
    if batch:
        order.insert(len(order) - 2, order.pop(0))
    if flips:
        order[-2:] = reversed(order[-2:])
    if all(first < second for first, second in pairwise(order)):
        return value
    turned = [shape[axis] for axis in order]
    if read_weights(value) is not None and value.dtype is not None:
        return sketch.on_weights("Transpose", [value], value.dtype, turned, perm=order)
    return sketch.op("Transpose", [value], sketch.value("turned", value.dtype, turned), perm=order)


@dataclass(frozen=True)
class _Activation:
    """What follows a fused product: an operator and its parameters, or nothing."""

    operator: str
    parameters: Mapping[str, float]

    @staticmethod
    def of(node: ir.Node, scope: Scope) -> _Activation | Declined:
        """FusedConv lists its parameters, FusedGemm has an attribute for each."""
        operator = node.attributes.get_string("activation", "")
        if not operator:
            return _Activation("", {})
        if operator not in ACTIVATIONS:
            return Declined("its activation has no operator of its own in mho", f"'{operator}'", UNFUSED_REMEDY)
        oldest, names = ACTIVATIONS[operator]
        if scope.opset < oldest:
            detail = f"'{operator}' came with operator set {oldest}, the model has {scope.opset}"
            remedy = f"convert the model to operator set {oldest} or newer"
            return Declined("its activation is no operator of the model's operator set", detail, remedy)
        listed = dict(zip(names, node.attributes.get_floats("activation_params", ()), strict=False))
        each = {n: node.attributes[f"activation_{n}"].as_float() for n in names if f"activation_{n}" in node.attributes}
        return _Activation(operator, listed or each)

    def written(self, sketch: Sketch, values: list[ir.Value]) -> list[ir.Value]:
        """The values in front of the activation; the last is the node's result where there is none."""
        return values if self.operator else [*values[:-1], sketch.result()]

    def apply(self, sketch: Sketch, value: ir.Value) -> None:
        """The activation as a step that writes the node's result."""
        if not self.operator:
            return
        if self.operator != "Clip":
            attributes = [ir.AttrFloat32(name, number) for name, number in self.parameters.items()]
            sketch.op(self.operator, [value], sketch.result(), attributes=attributes)
            return
        dtype = (value.dtype or ir.DataType.FLOAT).numpy()
        bounds = [sketch.constant(np.array(number, dtype), name) for name, number in self.parameters.items()]
        sketch.op("Clip", [value, *bounds], sketch.result())

"""Gemm: alpha · A · B + beta · C with one constant factor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mho.passes.lower.layer import (
    WEIGHT_CONDITION,
    Glue,
    Product,
    analog_decision,
    batch_axis,
    column_bias,
    declined_input,
    lower_product,
    output_name,
    same_kind,
    type_of,
)
from mho.passes.lower.reasons.wording import no_constant_factor, two_constants
from mho.passes.lower.rule import Declined, Lowered, Scope, join, name_of, named
from mho.passes.lower.weights.read import Weights, read_weights
from mho.targets.unfolding import Dense


@dataclass(frozen=True)
class GemmRule:
    """Gemm, its rows along one axis of the factor that is computed at run time."""

    operators: tuple[str, ...] = ("Gemm",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "One of its factors is computed at run time, and it is float32, float16, bfloat16 or float64.",
        WEIGHT_CONDITION.replace("Its weights are", "The other factor is"),
        "The factor alpha is the layer's scale. A constant C of one number a column is its bias; any other C is added "
        "digitally.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        left, right = (read_weights(v) for v in node.inputs[:2])
        if left is not None and right is not None:
            return two_constants(node)
        if right is not None:
            product = _product(node, scope, right, constant=1)
        elif left is not None:
            product = _product(node, scope, left, constant=0)
        else:
            return no_constant_factor(node)
        if isinstance(product, Declined):
            return product
        return _with_addend(node, scope, product, constant=1 if right is not None else 0)


def _product(node: ir.Node, scope: Scope, weights: Weights, constant: int) -> Product | Declined:
    """The product where factor number `constant` is constant, the rows being the axis that both share."""
    value = node.inputs[1 - constant]
    declined = declined_input(node, 1 - constant)
    if declined is not None or value is None:
        return declined or Declined("one of its factors is left out")
    transposed = tuple(node.attributes.get_int(key, 0) != 0 for key in ("transA", "transB"))
    rows_first = constant == 1
    if transposed[constant] == rows_first:
        weights = weights.transpose(1, 0)
    axis = -1 if rows_first != transposed[1 - constant] else -2
    alpha = node.attributes.get_float("alpha", 1.0)
    weights = weights.reshape(1, *weights.shape)
    scale = None if alpha == 1 else np.full(weights.shape[2], alpha, np.float32)
    unfolding = Dense(axis=axis, output_axis=-1 if rows_first else -2)
    return Product(weights, unfolding, batch_axis(value, scope, axis), scale)


def _with_addend(node: ir.Node, scope: Scope, product: Product, constant: int) -> Lowered:
    source, target = name_of(node.inputs[1 - constant]), output_name(node)
    addend = node.inputs[2] if len(node.inputs) > 2 else None
    beta = node.attributes.get_float("beta", 1.0)
    if addend is None or named(addend) is None or beta == 0:
        bias = None
    else:
        bias = _bias(addend, product, beta, constant)
        if bias is None:
            return _added(node, scope, product, source, addend)
    layer = lower_product(replace(product, bias=bias), node, scope, source, target)
    return join((layer, Lowered(decisions=(analog_decision(node, layer),))))


def _bias(value: ir.Value, product: Product, beta: float, constant: int) -> NDArray[np.float32] | None:
    """C as a bias: columns run along the output's last axis, or along its first where A is the constant."""
    if constant == 1:
        return column_bias(value, product.columns, beta)
    read = read_weights(value)
    if read is None or (len(read.shape) == 1 and read.shape[0] != 1) or read.shape[1:] not in ((), (1,)):
        return None
    return np.array(np.broadcast_to(read.array().astype(np.float64).ravel() * beta, (product.columns,)), np.float32)


def _added(node: ir.Node, scope: Scope, product: Product, source: str, addend: ir.Value) -> Lowered:
    """The product, then the addition of beta · C as digital steps."""
    between = scope.values.fresh(f"{output_name(node)}/product")
    layer = lower_product(product, node, scope, source, between)
    glue = Glue(layer.steps[0].name, scope, type_of(node.outputs[0]))
    beta, other = node.attributes.get_float("beta", 1.0), name_of(addend)
    steps = [layer]
    if addend.const_value is not None:
        steps.append(Lowered(tensors={other: addend.const_value}))
    if beta != 1:
        dtype = (node.outputs[0].dtype or ir.DataType.FLOAT).numpy()
        factor, tensors = glue.constant(np.array(beta, dtype), "beta")
        other, scaled = glue.step("Mul", (other, factor))
        steps += [Lowered(tensors=tensors), scaled]
    steps.append(glue.step("Add", (between, other), output_name(node))[1])
    return join((*steps, same_kind(between, node), Lowered(decisions=(analog_decision(node, layer),))))

"""MatMul with a constant on one side."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from mho.passes.lower.factors import Factors, Side
from mho.passes.lower.layer import INPUT_CONDITION, WEIGHT_CONDITION, declined_input, lower_product, output_name
from mho.passes.lower.matmul_batched import declined_factor, lower_batched
from mho.passes.lower.reasons.wording import no_constant_factor, two_constants, unknown_rank
from mho.passes.lower.rule import Declined, Lowered, Scope, name_of
from mho.passes.lower.weights.read import read_weights


@dataclass(frozen=True)
class MatMulRule:
    """MatMul with a constant on the right, x · W, or on the left, W · x."""

    operators: tuple[str, ...] = ("MatMul",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "One of its factors is constant: a product of two activations, as in attention, has no weights.",
        INPUT_CONDITION,
        WEIGHT_CONDITION,
        "Where the constant is on the left or has batch axes, the rank of its input is known.",
        "Where the constant has batch axes, the sizes of its input's are known.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        left, right = (read_weights(v) for v in node.inputs)
        if left is not None and right is not None:
            return two_constants(node)
        if left is None and right is None:
            return no_constant_factor(node)
        side: Side = "right" if right is not None else "left"
        weights = right or left
        index = 0 if side == "right" else 1
        value, declined = node.inputs[index], declined_input(node, index)
        if declined is not None or value is None or weights is None:
            return declined or unknown_rank(node, index)
        return _lower(Factors(node, scope, weights, value, side))


def _lower(factors: Factors) -> Lowered | Declined:
    shape, batch = factors.shape, factors.weights.shape[:-2]
    left = factors.side == "left"
    declined = declined_factor(factors.node, 1 if left else 0, factors.weights, left)
    if declined is not None:
        return declined
    if shape is None or prod(batch) == 1:
        outer = len(shape) - 2 if shape is not None else 0
        return _single(factors, missing=max(0, len(batch) - max(0, outer)))
    return lower_batched(factors, shape)


def _single(factors: Factors, missing: int) -> Lowered:
    """One matrix; `missing` axes of one are put before the output's."""
    node, shape = factors.node, factors.shape
    rows_last = factors.side == "right" or (shape is not None and len(shape) == 1)
    axis = -1 if rows_last else -2
    product = factors.product(factors.stack, axis, axis)
    source, target = name_of(factors.value), output_name(node)
    if not factors.vector and not missing:
        return factors.done(lower_product(product, node, factors.scope, source, target))
    between = factors.between()
    layer = lower_product(product, node, factors.scope, source, between)
    if factors.vector:
        return factors.done(layer, *_without_axis(factors, between, axis, target))
    axes = list(range(missing))
    return factors.done(layer, *_axes_step(factors, "Unsqueeze", between, axes, target))


def _without_axis(factors: Factors, value: str, axis: int, target: str) -> tuple[Lowered, ...]:
    return _axes_step(factors, "Squeeze", value, [axis], target)


def _axes_step(factors: Factors, operator: str, value: str, axes: list[int], target: str) -> tuple[Lowered, ...]:
    """Squeeze or Unsqueeze, whose axes became an input in opset 13."""
    if factors.scope.opset < 13:
        return (factors.glue.step(operator, (value,), target, axes=axes)[1],)
    name, tensors = factors.glue.constant(np.array(axes, np.int64), "axes")
    return (Lowered(tensors=tensors), factors.glue.step(operator, (value, name), target)[1])

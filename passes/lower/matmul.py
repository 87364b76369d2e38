"""MatMul with a constant on one side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import dropwhile
from math import prod
from typing import Literal

import numpy as np
import onnx_ir as ir

from mho.passes.lower.layer import (
    INPUT_CONDITION,
    WEIGHT_CONDITION,
    Glue,
    Product,
    analog_decision,
    batch_axis,
    declined_input,
    lower_product,
    output_name,
    type_of,
)
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, join, name_of, node_name
from mho.passes.lower.weights import Weights, read_weights
from mho.passes.lower.wording import (
    SHAPE_REMEDY,
    input_called,
    no_constant_factor,
    shape_words,
    source_of,
    two_constants,
    unknown_rank,
)
from mho.targets.steps import Dimension
from mho.targets.unfolding import Dense

Side = Literal["left", "right"]


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
        "Where the constant has batch axes, its input has none, or the same ones with known sizes.",
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
        return _lower(_Factors(node, scope, weights, value, side))


@dataclass(frozen=True)
class _Factors:
    """A MatMul and what is known of its two factors.

    Attributes:
        weights: as the node has them; `value` is the other factor, and `side` says where the weights stand.
    """

    node: ir.Node
    scope: Scope
    weights: Weights
    value: ir.Value
    side: Side

    @property
    def shape(self) -> tuple[Dimension, ...] | None:
        return dimensions(self.value)

    @property
    def vector(self) -> bool:
        """Whether the weights are one vector, so that the output lacks the axis of the columns."""
        return len(self.weights.shape) == 1

    @property
    def stack(self) -> Weights:
        """The weights as [batch, rows, columns]; no batch axes give a batch of one."""
        rows = self.weights.shape[0] if self.vector else 0
        if self.side == "right":
            weights = self.weights.reshape(rows, 1) if self.vector else self.weights
            return weights.reshape(prod(weights.shape[:-2]), *weights.shape[-2:])
        weights = self.weights.reshape(1, rows) if self.vector else self.weights
        return weights.reshape(prod(weights.shape[:-2]), *weights.shape[-2:]).transpose(0, 2, 1)

    @property
    def glue(self) -> Glue:
        return Glue(node_name(self.node), self.scope, type_of(self.node.outputs[0]))

    def product(self, weights: Weights, axis: int, output_axis: int) -> Product:
        return Product(weights, Dense(axis=axis, output_axis=output_axis), batch_axis(self.value, self.scope, axis))

    def between(self) -> str:
        return self.scope.values.fresh(f"{output_name(self.node)}/product")

    def done(self, *parts: Lowered) -> Lowered:
        joined = join(parts)
        return join((joined, Lowered(decisions=(analog_decision(self.node, joined),))))


def _lower(factors: _Factors) -> Lowered | Declined:
    shape, batch = factors.shape, factors.weights.shape[:-2]
    if (factors.side == "left" and shape is None) or (batch and shape is None):
        return unknown_rank(factors.node, 0 if factors.side == "right" else 1)
    outer = len(shape) - 2 if shape is not None else 0
    if prod(batch) == 1:
        return _single(factors, missing=max(0, len(batch) - max(0, outer)))
    if outer <= 0:
        return _side_by_side(factors)
    return _grouped(factors)


def _single(factors: _Factors, missing: int) -> Lowered:
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


def _without_axis(factors: _Factors, value: str, axis: int, target: str) -> tuple[Lowered, ...]:
    return _axes_step(factors, "Squeeze", value, [axis], target)


def _side_by_side(factors: _Factors) -> Lowered:
    """The input has no batch axes: the batch of matrices is one matrix with all their columns."""
    node, shape, batch = factors.node, factors.shape, factors.weights.shape[:-2]
    stack = factors.stack
    count, rows, columns = stack.shape
    axis = -1 if factors.side == "right" or (shape is not None and len(shape) == 1) else -2
    product = factors.product(stack.transpose(1, 0, 2).reshape(1, rows, count * columns), axis, -1)
    layer = lower_product(product, node, factors.scope, name_of(factors.value), between := factors.between())
    target = output_name(node)
    if shape is not None and len(shape) == 1:
        return factors.done(layer, factors.glue.reshape(between, (*batch, columns), target)[1])
    split, reshaped = factors.glue.reshape(between, (0, *batch, columns))
    b = len(batch)
    order = (*range(1, b + 1), 0, b + 1) if factors.side == "right" else (*range(1, b + 2), 0)
    return factors.done(layer, reshaped, factors.glue.step("Transpose", (split,), target, perm=order)[1])


def _grouped(factors: _Factors) -> Lowered | Declined:
    """The input has the batch axes of the matrices: a block-diagonal matrix, one block a batch entry."""
    shape, batch = factors.shape or (), tuple(dropwhile(lambda size: size == 1, factors.weights.shape[:-2]))
    if len(batch) > len(shape) - 2 or shape[len(shape) - 2 - len(batch) : -2] != batch:
        return _other_batch(factors)
    lead, b = len(shape) - 2 - len(batch), len(batch)
    count, rows, columns = factors.stack.shape
    outer, groups = range(lead), range(lead, lead + b)
    free, contracted = (lead + b, lead + b + 1) if factors.side == "right" else (lead + b + 1, lead + b)
    glue = factors.glue
    moved, first = glue.step("Transpose", (name_of(factors.value),), perm=(*outer, free, *groups, contracted))
    flat, second = glue.reshape(moved, (*(0,) * (lead + 1), count * rows))
    axis = batch_axis(factors.value, factors.scope)
    product = Product(factors.stack, Dense(), axis if axis is not None and axis < lead else None)
    layer = lower_product(product, factors.node, factors.scope, flat, between := factors.between())
    split, third = glue.reshape(between, (*(0,) * (lead + 1), *batch, columns))
    back = (*outer, *range(lead + 1, lead + 1 + b))
    order = (*back, lead, lead + 1 + b) if factors.side == "right" else (*back, lead + 1 + b, lead)
    _, last = glue.step("Transpose", (split,), output_name(factors.node), perm=order)
    return factors.done(first, second, layer, third, last)


def _other_batch(factors: _Factors) -> Declined:
    index = 0 if factors.side == "right" else 1
    detail = f"{list(factors.weights.shape)} and {shape_words(factors.value)} of {source_of(factors.value)}"
    known = all(isinstance(d, int) for d in factors.shape or ())
    reason = (
        f"the batch axes of its constant and of {input_called(index)} differ{'' if known else ', or are not known'}"
    )
    return Declined(reason, detail, "" if known else SHAPE_REMEDY)


def _axes_step(factors: _Factors, operator: str, value: str, axes: list[int], target: str) -> tuple[Lowered, ...]:
    """Squeeze or Unsqueeze, whose axes became an input in opset 13."""
    if factors.scope.opset < 13:
        return (factors.glue.step(operator, (value,), target, axes=axes)[1],)
    name, tensors = factors.glue.constant(np.array(axes, np.int64), "axes")
    return (Lowered(tensors=tensors), factors.glue.step(operator, (value, name), target)[1])

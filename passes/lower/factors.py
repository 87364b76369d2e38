"""A matrix product with one constant factor, and what is known of the other."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import onnx_ir as ir

from mho.passes.lower.layer import Glue, Product, analog_decision, batch_axis, output_name, type_of
from mho.passes.lower.rule import Lowered, Scope, dimensions, join, node_name
from mho.passes.lower.weights.read import Weights
from mho.targets.steps import Dimension
from mho.targets.unfolding import Dense

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Factors:
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

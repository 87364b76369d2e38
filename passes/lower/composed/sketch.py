"""`Sketch`: plain operators that stand for one operator with weights: a layer, and digital steps around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Array, Matrix
from mho.passes.lower.digital import lower_digital
from mho.passes.lower.layer import Product, analog_decision, lower_product
from mho.passes.lower.rule import Declined, Lowered, Rule, Scope, dimensions, join, name_of, node_name
from mho.passes.simplify.constants import record_origins
from mho.targets.steps import Analog, Dimension

Shape = Sequence[Dimension] | None
Attribute = int | float | Sequence[int]


@dataclass(frozen=True)
class Sketch:
    """Collects what a node becomes. Values carry their types and shapes, because nothing infers them later."""

    node: ir.Node
    scope: Scope
    parts: list[Lowered] = field(default_factory=list)

    def constant(self, array: Array, what: str) -> ir.Value:
        """A constant under a new name."""
        name = self.scope.values.fresh(f"{node_name(self.node)}/{what}")
        tensor = ir.tensor(array, name=name)
        self.parts.append(Lowered(tensors={name: tensor}))
        return ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor)

    def value(self, what: str, dtype: ir.DataType | None, shape: Shape) -> ir.Value:
        """A value under a new name."""
        value = ir.Value(
            name=self.scope.values.fresh(f"{node_name(self.node)}/{what}"),
            type=None if dtype is None else ir.TensorType(dtype),
            shape=None if shape is None else ir.Shape(shape),
        )
        self._tell(value)
        return value

    def result(self, number: int = 0) -> ir.Value:
        """An output of the node, for another operator to write."""
        value = self.node.outputs[number]
        return ir.Value(name=name_of(value), type=value.type, shape=value.shape)

    def op(
        self,
        operator: str,
        inputs: Sequence[ir.Value | None],
        *outputs: ir.Value,
        domain: str = "",
        attributes: Iterable[ir.Attr] = (),
        **more: Attribute,
    ) -> ir.Value:
        """One digital step; its first output comes back."""
        name = self.scope.steps.fresh(f"{node_name(self.node)}/{operator}")
        node = ir.node(operator, inputs, _plain(more), domain=domain, outputs=outputs, name=name)
        for attribute in attributes:
            node.attributes.add(attribute)
        self.parts.append(replace(lower_digital(node, _ITS_PART), decisions=()))
        return outputs[0]

    def on_weights(
        self, operator: str, inputs: Sequence[ir.Value | None], dtype: ir.DataType, shape: Shape, **more: Attribute
    ) -> ir.Value:
        """An operator between an initializer and the layer, which becomes part of its recipe."""
        output = ir.Value(name=f"{node_name(self.node)}/weights", type=ir.TensorType(dtype))
        output.shape = None if shape is None else ir.Shape(shape)
        ir.node(operator, inputs, _plain(more), outputs=[output], name=node_name(self.node))
        return output

    def layer(
        self,
        rule: Rule,
        inputs: Sequence[ir.Value | None],
        output: ir.Value,
        attributes: Iterable[ir.Attr] = (),
        **more: Attribute,
    ) -> Declined | None:
        """The layer, lowered by the rule of a plain operator; the rule may decline it."""
        core = ir.node(rule.operators[0], inputs, _plain(more), outputs=[output], name=node_name(self.node))
        for attribute in attributes:
            core.attributes.add(attribute)
        record_origins(core, [self.node])
        lowered = rule.lower(core, self.scope)
        if isinstance(lowered, Declined):
            return lowered
        self.parts.append(lowered)
        return None

    def product(self, product: Product, source: ir.Value, output: ir.Value) -> None:
        """The layer, where no plain operator says what it is."""
        self.parts.append(lower_product(product, self.node, self.scope, name_of(source), name_of(output)))

    @property
    def matrix(self) -> Matrix:
        """The matrix of the layer."""
        return next(m for part in self.parts for m in part.matrices.values())

    def finish(self, scale: Array | None, bias: Array | None = None) -> None:
        """Gives the layer a scale and a bias: one number, one a column, or one a column of each of several groups."""
        place = next(i for i, part in enumerate(self.parts) if part.matrices)
        part, columns = self.parts[place], self.matrix.columns
        names: dict[str, str] = {}
        for what, numbers in (("scale", scale), ("bias", bias)):
            if numbers is not None:
                flat = numbers.reshape(-1)
                names[what] = name_of(self.constant(np.tile(flat, columns // flat.size), what))
        steps = tuple(
            replace(step, scale=names.get("scale", step.scale), bias=names.get("bias", step.bias))
            if isinstance(step, Analog)
            else step
            for step in part.steps
        )
        self.parts[place] = replace(part, steps=steps)

    def done(self, rest: str = "") -> Lowered:
        """Everything in order, and the decision on the node; `rest` says what of it stays digital."""
        joined = join(self.parts)
        decision = analog_decision(self.node, joined)
        if rest:
            decision = replace(decision, reason=f"{decision.reason}; {rest} is digital")
        origins = {name: replace(o, operator=self.node.op_type) for name, o in joined.origins.items()}
        return replace(joined, origins=origins, decisions=(decision,))

    def _tell(self, value: ir.Value) -> None:
        shape = dimensions(value)
        types = {} if value.type is None else {name_of(value): value.type}
        self.parts.append(Lowered(value_types=types, value_shapes={} if shape is None else {name_of(value): shape}))


_ITS_PART = Declined("part of what another operator computes")


def _plain(attributes: dict[str, Attribute]) -> dict[str, ir.Attr | int | float | list[int]]:
    return {key: list(value) if isinstance(value, Sequence) else value for key, value in attributes.items()}

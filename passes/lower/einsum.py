"""Einsum of two operands, one of them constant: a matrix product between transpositions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from string import ascii_letters

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
from mho.passes.lower.reasons.wording import (
    SHAPE_REMEDY,
    no_constant_factor,
    shape_words,
    source_of,
    two_constants,
    unknown_rank,
)
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, join, name_of, node_name
from mho.passes.lower.weights.read import Weights, read_weights
from mho.targets.steps import Dimension
from mho.targets.unfolding import Dense

_REWRITE = "write it as matmul, linear or a convolution before the export"


@dataclass(frozen=True)
class EinsumRule:
    """Einsum as a block-diagonal matrix: indices of both operands and the result are its groups."""

    operators: tuple[str, ...] = ("Einsum",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        "It has two operands, one of them constant.",
        INPUT_CONDITION,
        WEIGHT_CONDITION,
        "No index stands twice in one operand, each index of the constant is in the result or in the other operand, "
        "and each index of the other operand is in the result or in the constant.",
        "The rank of the other operand is known, and the sizes of the indices that both have. An ellipsis may stand in "
        "the other operand.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        if len(node.inputs) != 2:
            return Declined("it has not two operands", "", _REWRITE)
        first, second = (read_weights(value) for value in node.inputs)
        if first is not None and second is not None:
            return two_constants(node)
        weights, index = (first, 1) if first is not None else (second, 0)
        value = node.inputs[index]
        if weights is None or value is None:
            return no_constant_factor(node)
        declined = declined_input(node, index)
        indices = declined or _indices(node, index, weights, dimensions(value))
        return indices if isinstance(indices, Declined) else _Factors(node, scope, indices, weights, value).lower()


@dataclass(frozen=True)
class _Indices:
    """The letters of an equation, its ellipsis spelled out: of the constant, of the other operand, of the result."""

    weights: str
    value: str
    result: str

    @property
    def groups(self) -> str:
        return "".join(i for i in self.result if i in self.weights and i in self.value)

    @property
    def rows(self) -> str:
        return "".join(i for i in self.weights if i in self.value and i not in self.result)

    @property
    def columns(self) -> str:
        return "".join(i for i in self.result if i in self.weights and i not in self.value)

    @property
    def positions(self) -> str:
        return "".join(i for i in self.value if i not in self.weights)

    @property
    def inner(self) -> str:
        return self.groups + self.rows

    @property
    def outer(self) -> str:
        return self.groups + self.columns


def _indices(node: ir.Node, index: int, weights: Weights, shape: tuple[Dimension, ...] | None) -> _Indices | Declined:
    """The indices of the constant, of operand number `index` of that shape, and of the result."""
    if shape is None:
        return unknown_rank(node, index)
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    operands, arrow, result = equation.partition("->")
    terms = operands.split(",")
    if not arrow:
        counts = Counter(operands.replace(",", "").replace(".", ""))
        result = ("..." if "..." in operands else "") + "".join(sorted(i for i, n in counts.items() if n == 1))
    spare = [letter for letter in ascii_letters if letter not in equation]
    spelled = "".join(spare[: len(shape) - len(terms[index].replace("...", ""))])
    found = _Indices(terms[1 - index], terms[index].replace("...", spelled), result.replace("...", spelled))
    if not _fits(found, weights) or len(found.value) != len(shape):
        return Declined("its equation is no product with a matrix", f"'{equation}'", _REWRITE)
    sizes = dict(zip(found.weights, weights.shape, strict=True))
    if any(sizes.get(i, d) != d for i, d in zip(found.value, shape, strict=True)):
        detail = f"{shape_words(node.inputs[index])} of {source_of(node.inputs[index])}"
        return Declined("the sizes of what its operands share differ, or are not known", detail, SHAPE_REMEDY)
    return found


def _fits(indices: _Indices, weights: Weights) -> bool:
    terms = (indices.weights, indices.value, indices.result)
    return (
        all(len(set(term)) == len(term) and term.isalpha() | (term == "") for term in terms)
        and len(indices.weights) == len(weights.shape)
        and set(indices.weights) <= set(indices.value) | set(indices.result)
        and set(indices.value) <= set(indices.weights) | set(indices.result)
        and set(indices.result) <= set(indices.weights) | set(indices.value)
    )


@dataclass(frozen=True)
class _Factors:
    """A constant and the other operand `value` of an Einsum, and the steps around its layer."""

    node: ir.Node
    scope: Scope
    indices: _Indices
    weights: Weights
    value: ir.Value

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.indices.weights, self.weights.shape, strict=True))

    @property
    def glue(self) -> Glue:
        return Glue(node_name(self.node), self.scope, type_of(self.node.outputs[0]))

    def lower(self) -> Lowered:
        """The operand as [positions, groups · rows], the layer, its columns in the order of the result."""
        source, before = self._gathered()
        spread = self.indices.positions + self.indices.outer
        plain = spread == self.indices.result and len(self.indices.outer) == 1
        target = output_name(self.node)
        between = target if plain else self.scope.values.fresh(f"{target}/product")
        layer = lower_product(self._product(), self.node, self.scope, source, between)
        after = [] if plain else self._spread(between, spread, target)
        return join((*before, layer, *after, Lowered(decisions=(analog_decision(self.node, layer),))))

    def _product(self) -> Product:
        indices, sizes = self.indices, self.sizes
        parts = (indices.groups, indices.rows, indices.columns)
        stack = self.weights.transpose(*(indices.weights.index(i) for i in "".join(parts)))
        stack = stack.reshape(*(prod(sizes[i] for i in part) for part in parts))
        axis = batch_axis(self.value, self.scope)
        counted = -1 if axis is None else indices.positions.find(indices.value[axis])
        return Product(stack, Dense(), None if counted < 0 else counted)

    def _gathered(self) -> tuple[str, list[Lowered]]:
        source, steps = name_of(self.value), []
        wanted = self.indices.positions + self.indices.inner
        if wanted != self.indices.value:
            order = [self.indices.value.index(i) for i in wanted]
            source, step = self.glue.step("Transpose", (source,), perm=order)
            steps.append(step)
        if len(self.indices.inner) != 1:
            rows = prod(self.sizes[i] for i in self.indices.inner)
            source, step = self.glue.reshape(source, (*(0,) * len(self.indices.positions), rows))
            steps.append(step)
        return source, steps

    def _spread(self, between: str, spread: str, target: str) -> list[Lowered]:
        steps, ordered = [], spread == self.indices.result
        if len(self.indices.outer) != 1:
            shape = (*(0,) * len(self.indices.positions), *(self.sizes[i] for i in self.indices.outer))
            between, step = self.glue.reshape(between, shape, target if ordered else None)
            steps.append(step)
        if not ordered:
            order = [spread.index(i) for i in self.indices.result]
            steps.append(self.glue.step("Transpose", (between,), target, perm=order)[1])
        return steps

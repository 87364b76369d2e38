"""A MatMul whose constant has batch axes: all its matrices as one.

Axes that both factors have make groups, the blocks of a block-diagonal matrix. Axes that the constant alone has make
columns side by side. Axes that the input alone has make positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from mho.passes.lower.factors import Factors
from mho.passes.lower.layer import Product, batch_axis, lower_product, output_name
from mho.passes.lower.reasons.wording import SHAPE_REMEDY, input_called, shape_words, source_of, unknown_rank
from mho.passes.lower.rule import Declined, Lowered, dimensions, given, name_of
from mho.passes.lower.weights.read import Weights
from mho.targets.steps import Dimension
from mho.targets.unfolding import Dense


@dataclass(frozen=True)
class Axes:
    """Where every axis goes; batch axes are numbered as in the output, from the front.

    Attributes:
        batch: sizes of the constant's batch axes, 1 for those that only the input has.
        lacking: how many of the first batch axes the input lacks.
        free, groups, sides: the batch axes of each kind.
        vector: the input is one vector, without an axis beside its rows.
    """

    batch: tuple[int, ...]
    lacking: int
    free: tuple[int, ...]
    groups: tuple[int, ...]
    sides: tuple[int, ...]
    vector: bool

    def sizes(self, axes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.batch[axis] for axis in axes)

    @property
    def kept(self) -> int:
        """Axes of the layer's input before its rows."""
        return len(self.free) + (0 if self.vector else 1)


def declined_factor(node: ir.Node, index: int, weights: Weights, left: bool) -> Declined | None:
    """Why input number `index` does not fit a constant, on its left or right, as far as the shapes tell."""
    value, batch = given(node, index), weights.shape[:-2]
    shape = None if value is None else dimensions(value)
    if shape is None:
        return unknown_rank(node, index) if left or batch else None
    pairs = zip(reversed(batch), reversed(shape[:-2]), strict=False)
    if prod(batch) == 1 or all(1 in (size, other) or size == other for size, other in pairs):
        return None
    reason = f"its constant has batch axes, and the sizes of those of {input_called(index)} are not known"
    return Declined(reason, f"{source_of(value)}, of shape {shape_words(value)}", SHAPE_REMEDY)


def lower_batched(factors: Factors, shape: tuple[Dimension, ...]) -> Lowered:
    """The layer, with the digital steps that bring the rows of all groups together and the columns apart."""
    axes = _axes(factors.weights.shape[:-2], shape)
    order = _input_order(factors, axes)
    source, before = _gathered(factors, axes, order)
    counted = batch_axis(factors.value, factors.scope, order[-1])
    counts = order.index(counted) if counted in order[: axes.kept] else None
    product = Product(_matrix(factors, axes), Dense(), counts)
    layer = lower_product(product, factors.node, factors.scope, source, between := factors.between())
    return factors.done(*before, layer, *_spread(factors, axes, between))


def _axes(batch: tuple[int, ...], shape: tuple[Dimension, ...]) -> Axes:
    outer = shape[:-2]
    rank = max(len(batch), len(outer))
    sizes = (1,) * (rank - len(batch)) + batch
    lacking = rank - len(outer)
    mine: tuple[Dimension, ...] = (1,) * lacking + outer
    free, groups, sides = [], [], []
    for axis, (size, other) in enumerate(zip(sizes, mine, strict=True)):
        if size == 1 and axis >= lacking:
            free.append(axis)
        elif size == 1 or other == 1:
            sides.append(axis)
        else:
            groups.append(axis)
    return Axes(sizes, lacking, tuple(free), tuple(groups), tuple(sides), vector=len(shape) == 1)


def _input_order(factors: Factors, axes: Axes) -> tuple[int, ...]:
    """The input's axes as the layer wants them: those that stay, the groups, axes of one, the rows."""
    if axes.vector:
        return (0,)
    outer = len(axes.batch) - axes.lacking
    rows, other = (outer + 1, outer) if factors.side == "right" else (outer, outer + 1)
    ones = [axis - axes.lacking for axis in axes.sides if axis >= axes.lacking]
    moved = [axis - axes.lacking for axis in (*axes.free, *axes.groups)]
    return (*moved[: len(axes.free)], other, *moved[len(axes.free) :], *ones, rows)


def _gathered(factors: Factors, axes: Axes, order: tuple[int, ...]) -> tuple[str, list[Lowered]]:
    """The input with the rows of all groups on its last axis, and the steps that make it so."""
    value, steps = name_of(factors.value), []
    if order != tuple(range(len(order))):
        value, moved = factors.glue.step("Transpose", (value,), perm=order)
        steps.append(moved)
    if len(order) > axes.kept + 1:
        rows = prod(axes.sizes(axes.groups)) * factors.stack.shape[1]
        value, flat = factors.glue.reshape(value, (*(0,) * axes.kept, rows))
        steps.append(flat)
    return value, steps


def _matrix(factors: Factors, axes: Axes) -> Weights:
    """The constant as [groups, rows, columns of all sides]."""
    _, rows, columns = factors.stack.shape
    whole = factors.stack.reshape(*axes.batch, rows, columns)
    rank = len(axes.batch)
    ones = tuple(axis for axis in range(rank) if axis not in (*axes.groups, *axes.sides))
    moved = whole.transpose(*ones, *axes.groups, rank, *axes.sides, rank + 1)
    return moved.reshape(prod(axes.sizes(axes.groups)), rows, prod(axes.sizes(axes.sides)) * columns)


def _spread(factors: Factors, axes: Axes, value: str) -> list[Lowered]:
    """The steps from the layer's output to the node's: its columns apart, then every axis in its place."""
    columns = factors.stack.shape[2]
    parts = (*axes.groups, *axes.sides)
    shape = (*(0,) * axes.kept, *axes.sizes(parts), columns)
    found = (*axes.free, *(() if axes.vector else (-1,)), *parts, -2)
    last = (-2,) if axes.vector else (-1, -2) if factors.side == "right" else (-2, -1)
    order = tuple(found.index(axis) for axis in (*range(len(axes.batch)), *last))
    target = output_name(factors.node)
    if order == tuple(range(len(order))):
        return [factors.glue.reshape(value, shape, target)[1]]
    split, first = factors.glue.reshape(value, shape)
    return [first, factors.glue.step("Transpose", (split,), target, perm=order)[1]]

"""`Weights`: a constant of the model on its way to a layer, as a lazy recipe with a shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from mho.passes.levels.recipe import Array, Operand, Operation, Recipe, Reshape, Slice, Transpose, evaluate
from mho.passes.lower.rule import node_name


@dataclass(frozen=True)
class Weights:
    """A constant that nothing has materialised.

    Attributes:
        source: the initializer at the recipe's beginning.
        nodes: names of the ONNX nodes that the recipe stands for.
    """

    recipe: Recipe
    shape: tuple[int, ...]
    source: ir.TensorProtocol
    nodes: tuple[str, ...] = ()

    def reshape(self, *shape: int) -> Weights:
        return self if shape == self.shape else self.then(Reshape(shape), shape)

    def transpose(self, *axes: int) -> Weights:
        if axes == tuple(range(len(axes))):
            return self
        return self.then(Transpose(axes), tuple(self.shape[a] for a in axes))

    def flip(self, axis: int) -> Weights:
        """Backwards along one axis."""
        return self if self.shape[axis] <= 1 else self.then(Slice(axis, None, None, -1), self.shape)

    def part(self, axis: int, start: int, stop: int) -> Weights:
        """The half-open range of one axis."""
        if (start, stop) == (0, self.shape[axis]):
            return self
        return self.then(Slice(axis, start, stop), resized(self.shape, axis, stop - start))

    def then(self, operation: Operation, shape: tuple[int, ...], *others: Weights | None) -> Weights:
        """The same after an operation, which gives `shape` and may read `others`."""
        nodes = dict.fromkeys((*self.nodes, *(n for other in others if other is not None for n in other.nodes)))
        return replace(self, recipe=self.recipe.then(operation), shape=shape, nodes=tuple(nodes))

    def without_last(self) -> Weights:
        """The same before the last operation; its shape is that after it."""
        return replace(self, recipe=replace(self.recipe, operations=self.recipe.operations[:-1]))

    def through(self, node: ir.Node) -> Weights:
        """The same, with one more node to its origins."""
        return replace(self, nodes=(*self.nodes, node_name(node)))

    def operand(self) -> Operand:
        """As what an operation of another recipe reads."""
        return Operand(self.recipe, self.source)

    def array(self) -> Array:
        """The numbers; for small constants only."""
        return evaluate(self.recipe, self.source).reshape(self.shape)


Inputs = Sequence[Weights | None]
"""What lies at each input of a node, None where it is left out."""


def resized(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """A shape with another size of one axis."""
    return (*shape[:axis], size, *shape[axis:][1:])


def small_array(inputs: Inputs, index: int) -> Array | None:
    """The numbers at an input that may be left out."""
    read = inputs[index] if len(inputs) > index else None
    return None if read is None else read.array()


def whole_numbers(node: ir.Node, inputs: Inputs, index: int, name: str) -> tuple[int, ...] | None:
    """Whole numbers that older operator sets write as an attribute and newer ones as an input."""
    if name in node.attributes:
        return tuple(node.attributes.get_ints(name, ()))
    array = small_array(inputs, index)
    return None if array is None else tuple(int(a) for a in array.ravel())

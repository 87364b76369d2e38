"""Reads what lies between an initializer and a layer's weight input as a lazy recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import (
    Array,
    Cast,
    Dequantize,
    Operation,
    Parts,
    Recipe,
    Reshape,
    Slice,
    Transpose,
    evaluate,
)
from mho.passes.lower.rule import name_of, node_name


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
        return self if shape == self.shape else self._then(Reshape(shape), shape)

    def transpose(self, *axes: int) -> Weights:
        if axes == tuple(range(len(axes))):
            return self
        return self._then(Transpose(axes), tuple(self.shape[a] for a in axes))

    def flip(self, axis: int) -> Weights:
        """Backwards along one axis."""
        return self if self.shape[axis] <= 1 else self._then(Slice(axis, None, None, -1), self.shape)

    def part(self, axis: int, start: int, stop: int) -> Weights:
        """The half-open range of one axis."""
        if (start, stop) == (0, self.shape[axis]):
            return self
        return self._then(Slice(axis, start, stop), _resized(self.shape, axis, stop - start))

    def through(self, node: ir.Node) -> Weights:
        """The same, with one more node to its origins."""
        return replace(self, nodes=(*self.nodes, node_name(node)))

    def array(self) -> Array:
        """The numbers; for small constants only."""
        return evaluate(self.recipe, self.source).reshape(self.shape)

    def _then(self, operation: Operation, shape: tuple[int, ...]) -> Weights:
        return replace(self, recipe=self.recipe.then(operation), shape=shape)


def read_weights(value: ir.Value | None) -> Weights | None:
    """The recipe of a constant, or None where the value is computed at run time or by other operators."""
    if value is None:
        return None
    node = value.producer()
    if node is None:
        return _initializer(value)
    reader = READERS.get(node.op_type) if node.domain == "" else None
    read = reader(node) if reader is not None else None
    return read.through(node) if read is not None else None


def read_array(value: ir.Value | None) -> Array | None:
    """The numbers of a small constant, or None where it is not one."""
    read = read_weights(value)
    return None if read is None else read.array()


def _initializer(value: ir.Value) -> Weights | None:
    tensor = value.const_value
    if tensor is None or value.is_graph_input():
        return None
    return Weights(Recipe(name_of(value)), tuple(tensor.shape.numpy()), tensor)


def _resized(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis:][1:])


def _identity(node: ir.Node) -> Weights | None:
    return read_weights(node.inputs[0])


def _cast(node: ir.Node) -> Weights | None:
    read, to = read_weights(node.inputs[0]), ir.DataType(node.attributes.get_int("to", 1))
    if read is None or to not in (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16):
        return None
    through = to.name if to in (ir.DataType.FLOAT16, ir.DataType.BFLOAT16) else None
    return read._then(Cast(through), read.shape)


def _transpose(node: ir.Node) -> Weights | None:
    read = read_weights(node.inputs[0])
    if read is None:
        return None
    axes = node.attributes.get_ints("perm", tuple(reversed(range(len(read.shape)))))
    return read.transpose(*axes)


def _reshape(node: ir.Node) -> Weights | None:
    read, wanted = read_weights(node.inputs[0]), read_array(node.inputs[1])
    if read is None or wanted is None:
        return None
    copy = node.attributes.get_int("allowzero", 0) == 0
    shape = [read.shape[i] if copy and d == 0 else int(d) for i, d in enumerate(wanted)]
    if -1 in shape:
        shape[shape.index(-1)] = prod(read.shape) // max(1, prod(d for d in shape if d != -1))
    return read.reshape(*shape)


def _flatten(node: ir.Node) -> Weights | None:
    read = read_weights(node.inputs[0])
    if read is None:
        return None
    axis = node.attributes.get_int("axis", 1) % (len(read.shape) + 1)
    return read.reshape(prod(read.shape[:axis]), prod(read.shape[axis:]))


def _axes(node: ir.Node) -> tuple[int, ...] | None:
    if "axes" in node.attributes:
        return tuple(node.attributes.get_ints("axes", ()))
    array = read_array(node.inputs[1]) if len(node.inputs) > 1 else None
    return None if array is None else tuple(int(a) for a in array)


def _squeeze(node: ir.Node) -> Weights | None:
    read, axes = read_weights(node.inputs[0]), _axes(node)
    if read is None:
        return None
    rank = len(read.shape)
    drop = {a % rank for a in axes} if axes is not None else {i for i, d in enumerate(read.shape) if d == 1}
    return read.reshape(*(d for i, d in enumerate(read.shape) if i not in drop))


def _unsqueeze(node: ir.Node) -> Weights | None:
    read, axes = read_weights(node.inputs[0]), _axes(node)
    if read is None or axes is None:
        return None
    rank = len(read.shape) + len(axes)
    new, old = {a % rank for a in axes}, iter(read.shape)
    return read.reshape(*(1 if i in new else next(old) for i in range(rank)))


def _dequantize(node: ir.Node) -> Weights | None:
    read, scale = read_weights(node.inputs[0]), read_array(node.inputs[1])
    if read is None or not read.source.dtype.is_integer():
        return None
    if scale is None or scale.ndim > 1 or node.attributes.get_int("block_size", 0) != 0:
        return None
    zero = read_array(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros_like(scale)
    if zero is None:
        return None
    axis = 0 if scale.size == 1 else node.attributes.get_int("axis", 1) % len(read.shape)
    scales, zeros = tuple(float(s) for s in scale.ravel()), tuple(int(z) for z in zero.ravel())
    return read._then(Dequantize(scales, zeros, axis), read.shape)


def _slice(node: ir.Node) -> Weights | None:
    read = read_weights(node.inputs[0])
    starts, ends, axes, steps = (
        _slice_option(node, i, n) for i, n in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    if read is None or starts is None or ends is None:
        return None
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = (axes[number] if axes else number) % len(read.shape)
        first, last, step = slice(start, end, steps[number] if steps else 1).indices(read.shape[axis])
        shape = _resized(read.shape, axis, len(range(first, last, step)))
        if shape != read.shape or step != 1:
            read = read._then(Slice(axis, first, last if last >= 0 else None, step), shape)
    return read


def _slice_option(node: ir.Node, index: int, name: str) -> tuple[int, ...] | None:
    if name in node.attributes:
        return tuple(node.attributes.get_ints(name, ()))
    array = read_array(node.inputs[index]) if len(node.inputs) > index else None
    return None if array is None else tuple(int(a) for a in array)


def _concat(node: ir.Node) -> Weights | None:
    """Parts of one tensor in another order, as exporters write the gates of a recurrent cell."""
    parts = [read for v in node.inputs if (read := read_weights(v)) is not None and read.recipe.operations]
    cuts = [cut for p in parts if isinstance(cut := p.recipe.operations[-1], Slice) and cut.step == 1]
    before = {replace(p.recipe, operations=p.recipe.operations[:-1]) for p in parts}
    if not len(node.inputs) == len(parts) == len(cuts) or len(before) != 1:
        return None
    axis = node.attributes.get_int("axis", 0) % len(parts[0].shape)
    spans = tuple((c.start, c.stop) for c in cuts if c.start is not None and c.stop is not None and c.axis == axis)
    if len(spans) != len(parts):
        return None
    shape = _resized(parts[0].shape, axis, sum(stop - start for start, stop in spans))
    nodes = tuple(dict.fromkeys(n for p in parts for n in p.nodes))
    return Weights(before.pop().then(Parts(axis, spans)), shape, parts[0].source, nodes)


READERS: Mapping[str, Callable[[ir.Node], Weights | None]] = {
    "Identity": _identity,
    "Cast": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "DequantizeLinear": _dequantize,
    "Slice": _slice,
    "Concat": _concat,
}
"""The operators that may stand between an initializer and a layer's weights."""

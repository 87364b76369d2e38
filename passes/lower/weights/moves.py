"""Operators on constants that move or choose numbers and leave each as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import onnx_ir as ir

from mho.passes.levels.recipe import Append, Parts, Slice, Take
from mho.passes.lower.weights.constant import Inputs, Weights, resized, small_array, whole_numbers

INDICES_LIMIT = 1 << 16
"""The largest constant of indices that a recipe takes in."""


def _identity(node: ir.Node, inputs: Inputs) -> Weights | None:
    return inputs[0]


def _transpose(node: ir.Node, inputs: Inputs) -> Weights | None:
    read = inputs[0]
    if read is None:
        return None
    axes = node.attributes.get_ints("perm", tuple(reversed(range(len(read.shape)))))
    return read.transpose(*axes)


def _reshape(node: ir.Node, inputs: Inputs) -> Weights | None:
    read, wanted = inputs[0], small_array(inputs, 1)
    if read is None or wanted is None:
        return None
    copy = node.attributes.get_int("allowzero", 0) == 0
    shape = [read.shape[i] if copy and d == 0 else int(d) for i, d in enumerate(wanted)]
    if -1 in shape:
        shape[shape.index(-1)] = prod(read.shape) // max(1, prod(d for d in shape if d != -1))
    return read.reshape(*shape)


def _flatten(node: ir.Node, inputs: Inputs) -> Weights | None:
    read = inputs[0]
    if read is None:
        return None
    axis = node.attributes.get_int("axis", 1) % (len(read.shape) + 1)
    return read.reshape(prod(read.shape[:axis]), prod(read.shape[axis:]))


def _squeeze(node: ir.Node, inputs: Inputs) -> Weights | None:
    read, axes = inputs[0], whole_numbers(node, inputs, 1, "axes")
    if read is None:
        return None
    rank = len(read.shape)
    drop = {a % rank for a in axes} if axes is not None else {i for i, d in enumerate(read.shape) if d == 1}
    return read.reshape(*(d for i, d in enumerate(read.shape) if i not in drop))


def _unsqueeze(node: ir.Node, inputs: Inputs) -> Weights | None:
    read, axes = inputs[0], whole_numbers(node, inputs, 1, "axes")
    if read is None or axes is None:
        return None
    rank = len(read.shape) + len(axes)
    new, old = {a % rank for a in axes}, iter(read.shape)
    return read.reshape(*(1 if i in new else next(old) for i in range(rank)))


def _slice(node: ir.Node, inputs: Inputs) -> Weights | None:
    read = inputs[0]
    starts, ends, axes, steps = (
        whole_numbers(node, inputs, i, n) for i, n in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    if read is None or starts is None or ends is None:
        return None
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = (axes[number] if axes else number) % len(read.shape)
        first, last, step = slice(start, end, steps[number] if steps else 1).indices(read.shape[axis])
        shape = resized(read.shape, axis, len(range(first, last, step)))
        if shape != read.shape or step != 1:
            read = read.then(Slice(axis, first, last if last >= 0 else None, step), shape)
    return read


def read_split(node: ir.Node, inputs: Inputs, place: int) -> Weights | None:
    """Part number `place` of a Split: equal ones where no sizes are given, a smaller last one where they do not
    divide."""
    read, sizes = inputs[0], whole_numbers(node, inputs, 1, "split")
    if read is None:
        return None
    axis = node.attributes.get_int("axis", 0) % len(read.shape)
    if sizes is None:
        size = -(-read.shape[axis] // len(node.outputs))
        sizes = (size,) * (len(node.outputs) - 1) + (read.shape[axis] - size * (len(node.outputs) - 1),)
    return read.part(axis, sum(sizes[:place]), sum(sizes[: place + 1]))


def _gather(node: ir.Node, inputs: Inputs) -> Weights | None:
    read, chosen = inputs[0], inputs[1]
    if read is None or chosen is None or prod(chosen.shape) > INDICES_LIMIT:
        return None
    axis = node.attributes.get_int("axis", 0) % len(read.shape)
    indices = tuple(int(i) % read.shape[axis] for i in chosen.array().ravel())
    taken = read.then(Take(axis, indices), resized(read.shape, axis, len(indices)), chosen)
    return taken.reshape(*read.shape[:axis], *chosen.shape, *read.shape[axis + 1 :])


def _concat(node: ir.Node, inputs: Inputs) -> Weights | None:
    """Constants one behind the other, as exporters write the gates of a recurrent cell."""
    parts = [read for read in inputs if read is not None]
    axis = node.attributes.get_int("axis", 0) % len(parts[0].shape)
    shape = resized(parts[0].shape, axis, sum(part.shape[axis] for part in parts))
    reordered = _reordered(parts, axis, shape)
    if reordered is not None:
        return reordered
    first, *others = parts
    return first.then(Append(axis, tuple(other.operand() for other in others)), shape, *others) if others else first


def _reordered(parts: list[Weights], axis: int, shape: tuple[int, ...]) -> Weights | None:
    """Parts of one tensor in another order, if that is what they are."""
    cuts = [part.recipe.operations[-1] if part.recipe.operations else None for part in parts]
    spans = tuple(
        (cut.start, cut.stop)
        for cut in cuts
        if isinstance(cut, Slice) and (cut.step, cut.axis) == (1, axis) and None not in (cut.start, cut.stop)
    )
    before = {(part.recipe.tensor, part.recipe.operations[:-1]) for part in parts}
    if len(spans) != len(parts) or len(before) != 1:
        return None
    whole = tuple((start, stop) for start, stop in spans if start is not None and stop is not None)
    first, *others = parts
    return first.without_last().then(Parts(axis, whole), shape, *others)


MOVES: Mapping[str, Callable[[ir.Node, Inputs], Weights | None]] = {
    "Identity": _identity,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Gather": _gather,
    "Concat": _concat,
}

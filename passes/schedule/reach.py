"""Which rows of its inputs each row of a step needs: read off unfoldings, operators and shapes.

Where an operator or a shape does not tell, a step needs the whole of its inputs, which is never too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import onnx_ir as ir

from mho.passes.levels.network import Network
from mho.targets.rows import (
    ALONG_AN_AXIS,
    ELEMENTWISE,
    POOLS,
    REDUCTIONS,
    RESHAPES,
    ROW_BY_ROW,
    SAME,
    WHOLE,
    Reach,
    window_reach,
)
from mho.targets.steps import Analog, Digital, Dimension, Recurrent, Step
from mho.targets.unfolding import Dense, Window

Shape = tuple[Dimension, ...]


@dataclass(frozen=True)
class Rows:
    """Where the rows of a value lie: along `axis`, or nowhere, so that it is one row."""

    axis: int | None = None
    count: int = 1


@dataclass(frozen=True)
class Made:
    """What a step makes: the rows of its output, and what a row needs of each value that it reads."""

    rows: Rows = Rows()
    reaches: Mapping[str, Reach] = field(default_factory=dict)

    def reach(self, value: str) -> Reach:
        return self.reaches.get(value, WHOLE)


@dataclass(frozen=True)
class Reaches:
    """Follows rows through the steps of a network."""

    network: Network

    def made(self, step: Step, given: Mapping[str, Rows]) -> Made:
        """The rows that a step makes of values whose rows are given; values that are not there come as a whole."""
        match step:
            case Analog(unfolding=Window() as window):
                return self._window(step, window, given)
            case Analog(unfolding=Dense() as dense):
                return self._dense(step, dense, given)
            case Recurrent():
                return self._recurrent(step, given)
            case Digital() if len(step.operators) == 1 and len(step.outputs) >= 1:
                return self._digital(step, given)
            case _:
                return Made()

    def words(self, step: Digital) -> float | None:
        """Words that a digital step gives, or takes in where that is more; None where a shape is not known."""
        shapes = [self._shape(name) for name in (*step.inputs, *step.outputs)]
        sizes = [_sizes(shape) for shape in shapes]
        known = [size for size in sizes if size is not None]
        return float(max(known, default=0)) if len(known) == len(sizes) else None

    def _shape(self, name: str) -> Shape | None:
        shape = self.network.value_shapes.get(name)
        if shape is None and name in self.network.tensors:
            return tuple(int(size) for size in self.network.tensors[name].shape.numpy())
        return shape

    def _size(self, name: str, axis: int) -> int | None:
        """The size of a value along an axis where it is known."""
        shape = self._shape(name)
        size = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
        return size if isinstance(size, int) and size > 0 else None

    def _window(self, step: Analog, window: Window, given: Mapping[str, Rows]) -> Made:
        rows = self._size(step.output, 2)
        if rows is None:
            return Made()
        made = Rows(2, rows)
        read = given.get(step.input, Rows())
        reach = window_reach(window, rows, read.count) if read.axis == 2 else WHOLE
        return Made(made, {step.input: reach, **self._same((step.addend,), made, step.output, given)})

    def _dense(self, step: Analog, dense: Dense, given: Mapping[str, Rows]) -> Made:
        shape = self._shape(step.input)
        if shape is None:
            return Made()
        rank, row_axis, read = len(shape), dense.axis % len(shape), given.get(step.input, Rows())
        follows = read.axis is not None and read.axis != row_axis
        axis = read.axis if follows else self._positions(step, dense, shape)
        place = dense.position_axis(axis, rank)
        columns = dense.output_axis % rank
        if axis is None or place is None:
            return Made()
        out = place if place < columns else place + 1
        size = self._size(step.output, out)
        if size is None or (follows and size != read.count):
            return Made()
        made = Rows(out, size)
        return Made(
            made, {step.input: SAME if follows else WHOLE, **self._same((step.addend,), made, step.output, given)}
        )

    def _positions(self, step: Analog, dense: Dense, shape: Shape) -> int | None:
        """The first axis of positions that does not count samples and is longer than one."""
        batch = None if step.batch_axis is None else step.batch_axis % len(shape)
        axes = (axis for axis in range(len(shape)) if axis not in (batch, dense.axis % len(shape)) and shape[axis] != 1)
        return next(axes, None)

    def _recurrent(self, step: Recurrent, given: Mapping[str, Rows]) -> Made:
        """Time steps of one direction forwards; anything else gives its output at the end."""
        axis = step.layout
        trips = self._size(step.input, axis)
        if len(step.directions) != 1 or step.directions[0].reverse or step.output is None or trips is None:
            return Made()
        follows = given.get(step.input, Rows()) == Rows(axis, trips)
        return Made(Rows(axis, trips), {step.input: SAME if follows else WHOLE})

    def _digital(self, step: Digital, given: Mapping[str, Rows]) -> Made:
        nodes = self.network.graphs.get(step.graph, ())
        if len(nodes) != 1 or not any(given.get(name, Rows()).axis is not None for name in step.inputs):
            return Made()
        node, output = nodes[0], step.outputs[0]
        first = next((value.name for value in node.inputs if value is not None and value.name), "")
        read = given.get(first, Rows())
        operator = node.op_type
        if node.domain not in ("", "ai.onnx", "com.microsoft"):
            return Made()
        if operator in ELEMENTWISE or operator in ("Concat", "MatMul"):
            return self._together(step, node, output, given)
        if read.axis is None:
            return Made()
        if operator in POOLS:
            return self._pool(node, first, output, read)
        axis = self._moved(node, first, output, read.axis)
        if axis is None or any(self._size(name, axis) != read.count for name in step.outputs[:1]):
            return Made()
        return Made(Rows(axis, read.count), {first: SAME})

    def _moved(self, node: ir.Node, source: str, output: str, axis: int) -> int | None:
        """The axis of an operator's output along which the rows of its first input lie; None where they are mixed."""
        before, after = self._shape(source), self._shape(output)
        if before is None or after is None:
            return None
        operator = node.op_type
        if operator == "Transpose":
            order = _ints(node, "perm") or tuple(reversed(range(len(before))))
            return order.index(axis) if axis in order else None
        if operator in RESHAPES:
            return _same_place(before, after, axis)
        if operator in ALONG_AN_AXIS:
            return axis if axis < _int(node, "axis", self._last_axis(operator)) % len(before) else None
        if operator == "Split":
            return axis if axis != _int(node, "axis", 0) % len(before) else None
        kept = (operator in ROW_BY_ROW and (operator != "LRN" or axis > 1)) or (
            operator in REDUCTIONS and before[axis] != 1
        )
        return axis if kept and len(before) == len(after) and before[axis] == after[axis] else None

    def _last_axis(self, operator: str) -> int:
        """The default of an operator's axis: before opset 13 a softmax took all axes from the second on."""
        old = self.network.opset_imports.get("", 13) < 13
        return 1 if old and operator in ("Hardmax", "LogSoftmax", "Softmax") else -1

    def _pool(self, node: ir.Node, source: str, output: str, read: Rows) -> Made:
        rows = self._size(output, 2)
        window = pool_window(node)
        if read.axis != 2 or rows is None or window is None:
            return Made()
        return Made(Rows(2, rows), {source: window_reach(window, rows, read.count)})

    def _together(self, step: Digital, node: ir.Node, output: str, given: Mapping[str, Rows]) -> Made:
        """Operators on several inputs whose rows meet: row by row of the longest, as broadcasting aligns them."""
        after = self._shape(output)
        if after is None:
            return Made()
        along = _int(node, "axis", 0) % max(len(after), 1) if node.op_type == "Concat" else None
        left = step.inputs[0] if node.op_type == "MatMul" else None
        for name in step.inputs:
            rows, shape = given.get(name, Rows()), self._shape(name)
            if rows.axis is None or shape is None:
                continue
            axis = rows.axis + len(after) - len(shape)
            mixed = axis == along or (node.op_type == "MatMul" and axis >= len(after) - (1 if name == left else 2))
            if not mixed and 0 <= axis < len(after) and after[axis] == rows.count and len(shape) >= 1:
                made = Rows(axis, rows.count)
                inputs = step.inputs if node.op_type != "MatMul" else (name,)
                return Made(made, self._same(inputs, made, output, given))
        return Made()

    def _same(
        self, names: tuple[str | None, ...], made: Rows, output: str, given: Mapping[str, Rows]
    ) -> dict[str, Reach]:
        """Row by row for the values whose rows lie where those of the output do."""
        after = self._shape(output)
        found: dict[str, Reach] = {}
        for name in names:
            shape = None if name is None else self._shape(name)
            if name is None or shape is None or after is None or made.axis is None:
                continue
            rows = given.get(name, Rows())
            if rows.axis is not None and rows.axis + len(after) - len(shape) == made.axis and rows.count == made.count:
                found[name] = SAME
        return found


def pool_window(node: ir.Node) -> Window | None:
    """The window of a pooling operator; None where its attributes are not all there."""
    kernel = _ints(node, "kernel_shape")
    if not kernel:
        return None
    axes = len(kernel)
    pads = _ints(node, "pads") or (0,) * (2 * axes)
    automatic = node.attributes.get_string("auto_pad", "NOTSET") or "NOTSET"
    explicit = automatic in ("NOTSET", "VALID")
    if len(pads) != 2 * axes or (automatic == "VALID" and any(pads)):
        return None
    return Window(
        kernel=kernel,
        strides=_ints(node, "strides") or (1,) * axes,
        dilations=_ints(node, "dilations") or (1,) * axes,
        spread=(1,) * axes,
        pads=tuple((pads[i], pads[axes + i]) for i in range(axes)) if explicit else None,
        auto_pad="explicit" if explicit else "same_upper" if automatic == "SAME_UPPER" else "same_lower",
    )


def _ints(node: ir.Node, name: str) -> tuple[int, ...]:
    return tuple(int(i) for i in node.attributes.get_ints(name, ()) or ())


def _int(node: ir.Node, name: str, default: int) -> int:
    found = node.attributes.get_int(name, default)
    return default if found is None else int(found)


def _sizes(shape: Shape | None) -> int | None:
    """The number of words of a value of one sample; None where a dimension is not a number, the first one aside."""
    if shape is None:
        return None
    sizes = [size if isinstance(size, int) else None for size in shape]
    if sizes and sizes[0] is None:
        sizes[0] = 1
    return prod(size for size in sizes if size is not None) if None not in sizes else None


def _same_place(before: Shape, after: Shape, axis: int) -> int | None:
    """Where an axis is after a reshape: the axis of its size with as many entries before it; None where it is cut."""
    ahead = _product(before[:axis])
    if ahead is None:
        return None
    places = (i for i, size in enumerate(after) if size == before[axis] and _product(after[:i]) == ahead)
    return next(places, None)


def _product(sizes: Shape) -> tuple[int, tuple[str, ...]] | None:
    """The product of known sizes and the symbols beside it; None where a size has neither."""
    if any(size is None for size in sizes):
        return None
    symbols = tuple(sorted(size for size in sizes if isinstance(size, str)))
    return prod(size for size in sizes if isinstance(size, int)), symbols

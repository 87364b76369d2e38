"""Builds what rules give back: an analog layer with its matrix, constants of a column each, digital steps around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from mho.passes.levels.matrix import Array, Matrix
from mho.passes.levels.network import LayerOrigin
from mho.passes.lower.reasons.wording import input_called, source_of
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, join, name_of, node_name
from mho.passes.lower.weights.read import Weights, read_array
from mho.passes.simplify.constants import origins
from mho.targets.program import Decision
from mho.targets.steps import Analog, Digital, Dimension
from mho.targets.unfolding import Unfolding

ANALOG_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)

INPUT_CONDITION = "Its input is float32, float16, bfloat16 or float64."
WEIGHT_CONDITION = (
    "Its weights are an initializer, perhaps behind Cast, Transpose, Reshape, Flatten, Squeeze, Unsqueeze, Slice, "
    "Split, Gather, Concat, Add, Sub, Mul, Div, ReduceL2, QuantizeLinear or DequantizeLinear of constants."
)


def declined_input(node: ir.Node, index: int) -> Declined | None:
    """Why an input of a node cannot be the input of a layer, or None where it can."""
    value, which = node.inputs[index], input_called(index)
    if value is None or value.dtype is None:
        return Declined(f"the type of {which} is not known", source_of(value), "export the model with types")
    if value.dtype not in ANALOG_TYPES:
        kind = value.dtype.name.lower()
        remedy = "cast that input to float32 in front of the node; float32 holds whole numbers to 2^24 exactly"
        return Declined(
            f"{which} is {kind}, and only floating-point numbers meet a converter", source_of(value), remedy
        )
    return None


def batch_axis(value: ir.Value, scope: Scope, rows: int | None = None) -> int | None:
    """The axis of a layer's input that counts the samples, which is never the axis of the rows.

    Where nothing is known of the shape it is the first axis, as the operators have it.
    """
    shape = dimensions(value)
    if shape == () or scope.batch is None:
        return None
    if shape is None:
        return None if rows == -2 else 0
    if scope.batch in shape and isinstance(scope.batch, str):
        axis = shape.index(scope.batch)
    elif shape[0] == scope.batch or _is_open(shape[0], scope):
        axis = 0
    else:
        return None
    return None if rows is not None and axis == rows % len(shape) else axis


def _is_open(dimension: Dimension, scope: Scope) -> bool:
    """Whether shape inference lost track of a dimension: behind a Reshape, a first axis like that counts
    samples, alone or with an axis that was folded into them."""
    return isinstance(scope.batch, str) and not isinstance(dimension, int) and dimension not in scope.symbols


@dataclass(frozen=True)
class Product:
    """A product with constant weights, before it has names.

    Attributes:
        weights: of shape [groups, rows / groups, columns / groups].
        scale, bias: numbers a column, or None.
    """

    weights: Weights
    unfolding: Unfolding
    batch_axis: int | None
    scale: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None

    @property
    def rows(self) -> int:
        return self.weights.shape[0] * self.weights.shape[1]

    @property
    def columns(self) -> int:
        return self.weights.shape[0] * self.weights.shape[2]


def lower_product(product: Product, node: ir.Node, scope: Scope, source: str, target: str) -> Lowered:
    """The layer of a node that multiplies the value `source` and defines the value `target`."""
    name = node_name(node)
    scale, scales = _column_constant(product.scale, f"{name}/scale", scope)
    bias, biases = _column_constant(product.bias, f"{name}/bias", scope)
    step = Analog(
        name=name,
        matrix=name,
        input=source,
        output=target,
        unfolding=product.unfolding,
        scale=scale,
        bias=bias,
        batch_axis=product.batch_axis,
    )
    kind = node.outputs[0].type
    return Lowered(
        steps=(step,),
        value_types={} if kind is None else {target: kind},
        matrices={name: matrix_of(name, node, product.weights)},
        tensors={product.weights.recipe.tensor: product.weights.source, **scales, **biases},
        origins={name: LayerOrigin(node.op_type, origins(node))},
    )


def matrix_of(name: str, node: ir.Node, weights: Weights) -> Matrix:
    """A matrix of weights [groups, rows / groups, columns / groups]."""
    groups, rows, columns = weights.shape
    origins = (weights.recipe.tensor, *weights.nodes, node_name(node))
    return Matrix(name, weights.recipe, groups * rows, groups * columns, groups, tuple(dict.fromkeys(origins)))


def analog_decision(node: ir.Node, parts: Lowered) -> Decision:
    """That a node runs on tiles, and with how many weights."""
    sizes = " and ".join(f"{m.rows} × {m.columns}" for m in parts.matrices.values())
    return Decision(node=node_name(node), operator=node.op_type, unit="analog", reason="constant weights", detail=sizes)


def _column_constant(
    numbers: NDArray[np.float32] | None, wanted: str, scope: Scope
) -> tuple[str | None, dict[str, ir.TensorProtocol]]:
    if numbers is None:
        return None, {}
    name = scope.values.fresh(wanted)
    return name, {name: ir.tensor(numbers, name=name)}


def column_bias(value: ir.Value | None, columns: int, factor: float = 1.0) -> NDArray[np.float32] | None:
    """A constant as one number a column, times a factor; None where it is not constant or of another shape."""
    array = read_array(value)
    if array is None or any(d != 1 for d in array.shape[:-1]) or array.size not in (1, columns):
        return None
    flat = np.asarray(array, np.float64).ravel() * factor
    return np.array(np.broadcast_to(flat, (columns,)), np.float32)


@dataclass(frozen=True)
class Glue:
    """Digital steps that a rule puts around a layer; each is one ONNX operator on named values."""

    layer: str
    scope: Scope
    type: ir.TypeProtocol | None

    def step(
        self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: int | Sequence[int]
    ) -> tuple[str, Lowered]:
        """The name of the operator's output (a new one where `output` is None), and the step."""
        name = self.scope.steps.fresh(f"{self.layer}/{operator}")
        target = output if output is not None else self.scope.values.fresh(f"{self.layer}/{operator}")
        node = ir.node(
            operator,
            [ir.Value(name=n) for n in inputs],
            {k: list(v) if isinstance(v, Sequence) else v for k, v in attributes.items()},
            outputs=[ir.Value(name=target, type=self.type)],
            name=name,
        )
        digital = Digital(name=name, operators=(operator,), inputs=tuple(inputs), outputs=(target,), graph=name)
        types = {target: self.type} if self.type is not None else {}
        return target, Lowered(steps=(digital,), graphs={name: (node,)}, value_types=types)

    def reshape(self, value: str, shape: Sequence[int], output: str | None = None) -> tuple[str, Lowered]:
        """A Reshape to a constant shape; 0 keeps an axis, −1 takes what remains."""
        wanted, tensors = self.constant(np.array(shape, np.int64), "shape")
        target, lowered = self.step("Reshape", (value, wanted), output)
        return target, join((Lowered(tensors=tensors), lowered))

    def constant(self, array: Array, what: str) -> tuple[str, dict[str, ir.TensorProtocol]]:
        """A constant under a new name."""
        name = self.scope.values.fresh(f"{self.layer}/{what}")
        return name, {name: ir.tensor(array, name=name)}


def same_kind(name: str, node: ir.Node) -> Lowered:
    """That the new value `name` has the type and shape of a node's output."""
    value = node.outputs[0]
    types = {} if value.type is None else {name: value.type}
    shape = dimensions(value)
    return Lowered(value_types=types, value_shapes={} if shape is None else {name: shape})


def type_of(value: ir.Value | None) -> ir.TypeProtocol | None:
    return value.type if value is not None else None


def output_name(node: ir.Node) -> str:
    """The name of a node's only output."""
    return name_of(node.outputs[0])

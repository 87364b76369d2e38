"""What a weight expansion does to a node: its input is multiplied by a random matrix, its weights by the inverse."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from mho.passes.lower.rule import Names
from mho.passes.lower.weights.read import Weights, read_weights
from mho.passes.simplify.constants import DIGITAL_KEY
from mho.targets.arrays import Floats
from mho.targets.errors import plain

REASON = "the random matrix of a weight expansion"

OPERATORS = ("Conv", "GRU", "Gemm", "LSTM", "MatMul", "RNN")
_WINDOW = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")


@dataclass(frozen=True)
class Expandable:
    """A node with constant weights that can be spread over more rows.

    Attributes:
        index: of the input that has the weights.
        rows: numbers of the input that meet one column of the weights.
        rows_last: whether the weights' last axis, or their last but one, is the rows'.
    """

    node: ir.Node
    weights: Weights
    index: int
    rows: int
    rows_last: bool


def expandable(node: ir.Node) -> Expandable | str:
    """The node to expand, or why it cannot be, as a clause."""
    if node.domain or node.op_type not in OPERATORS:
        return f"it is a {plain(node.op_type)}; weights of {', '.join(OPERATORS)} are expanded"
    constants = [read_weights(value) for value in node.inputs[:2]]
    if node.op_type == "MatMul" and constants[1] is None and constants[0] is not None:
        return _layer(node, constants[0], 0, rows_last=True)
    weights = constants[1]
    if weights is None or constants[0] is not None:
        return f"the weights of this {node.op_type} are not constant, or are not its second input"
    if node.op_type == "Gemm" and node.attributes.get_int("transA", 0) != 0:
        return "its first factor is transposed (transA)"
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) != 0
    return _layer(node, weights, 1, rows_last=transposed or node.op_type not in ("Gemm", "MatMul"))


def _layer(node: ir.Node, weights: Weights, index: int, rows_last: bool) -> Expandable | str:
    if len(weights.shape) < 2:
        return "its weights are a vector"
    rows = prod(weights.shape[1:]) if node.op_type == "Conv" else weights.shape[-1 if rows_last else -2]
    return Expandable(node, weights, index, rows, rows_last) if rows else "its weights are empty"


def expand(layer: Expandable, spread: Floats, back: Floats, names: Names, graph: ir.Graph) -> None:
    """Rewrites a node in place, with a node of its own before it.

    Args:
        spread: [rows, wide]. back: [wide, rows], its pseudo-inverse.
        graph: the main graph, which has the constants.
    """
    node = layer.node
    source = node.inputs[1 - layer.index if node.op_type == "MatMul" else 0]
    body = node.graph
    if source is None or body is None:
        return
    dtype = source.dtype or ir.DataType.FLOAT
    before = (_convolution if node.op_type == "Conv" else _product)(layer, source, spread, names, graph)
    before.metadata_props[DIGITAL_KEY] = REASON
    body.insert_before(node, before)
    weights = constant(_weights(layer, back), dtype, names.fresh(f"{node.name}/expanded_weights"), graph)
    node.replace_input_with(layer.index, weights)
    node.replace_input_with(1 - layer.index, before.outputs[0])


def _weights(layer: Expandable, back: Floats) -> Floats:
    """The weights with `wide` rows for `rows`; a convolution's kernel becomes 1."""
    old = layer.weights.array().astype(np.float64)
    if layer.node.op_type == "Conv":
        flat = old.reshape(len(old), layer.rows) @ back.T
        return flat.reshape(*flat.shape, *(1 for _ in old.shape[2:]))
    new: Floats = old @ back.T if layer.rows_last else back @ old
    return new


def _product(layer: Expandable, source: ir.Value, spread: Floats, names: Names, graph: ir.Graph) -> ir.Node:
    """x · M, or Mᵀ · x before weights that stand on the left."""
    left = layer.index == 0
    name = names.fresh(f"{layer.node.name}/expand")
    matrix = constant(spread.T if left else spread, source.dtype, names.fresh(f"{name}/matrix"), graph)
    output = ir.Value(name=names.fresh(f"{name}/output"), type=source.type, shape=source.shape)
    if source.shape is not None:
        dimensions = list(source.shape)
        dimensions[-2 if left and len(dimensions) > 1 else -1] = spread.shape[1]
        output.shape = ir.Shape(dimensions)
    return ir.Node("", "MatMul", [matrix, source] if left else [source, matrix], name=name, outputs=[output])


def _convolution(layer: Expandable, source: ir.Value, spread: Floats, names: Names, graph: ir.Graph) -> ir.Node:
    """The windows times M: a convolution of `wide` kernels a group; the node itself becomes one of kernel 1."""
    node, shape = layer.node, layer.weights.shape
    groups = node.attributes.get_int("group", 1)
    kernels = np.tile(spread.T.reshape(-1, *shape[1:]), (groups, *(1 for _ in shape[1:])))
    name = names.fresh(f"{node.name}/expand")
    weights = constant(kernels, source.dtype, names.fresh(f"{name}/matrix"), graph)
    output = ir.Value(name=names.fresh(f"{name}/output"), type=source.type)
    if node.outputs[0].shape is not None:
        dimensions = list(node.outputs[0].shape)
        output.shape = ir.Shape([dimensions[0], len(kernels), *dimensions[2:]])
    before = ir.Node("", "Conv", [source, weights], list(node.attributes.values()), name=name, outputs=[output])
    for key in _WINDOW:
        node.attributes.pop(key, None)
    return before


def constant(array: Floats, dtype: ir.DataType | None, name: str, graph: ir.Graph) -> ir.Value:
    """An initializer."""
    kind = dtype or ir.DataType.FLOAT
    numbers = np.ascontiguousarray(array, dtype=kind.numpy())
    value = ir.Value(
        name=name,
        type=ir.TensorType(kind),
        shape=ir.Shape(numbers.shape),
        const_value=ir.Tensor(numbers, dtype=kind, name=name),
    )
    graph.register_initializer(value)
    return value

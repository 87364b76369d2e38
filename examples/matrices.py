"""Lists the weight matrices of a network as crossbars hold them."""

from __future__ import annotations

import math

import onnx


def matrices(model: onnx.ModelProto) -> list[tuple[int, int]]:
    """(rows, columns) of every weight matrix, in the order of the graph's nodes.

    A convolution counts as its im2col matrix, an LSTM as its input and its hidden matrix. Tables that are only
    looked up and biases do not count.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found: list[tuple[int, int]] = []
    for node in model.graph.node:
        if node.op_type == "Transpose" and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]][::-1]
        elif node.op_type in ("Conv", "Gemm", "MatMul", "LSTM"):
            weights = [shapes[name] for name in node.input[1:3] if len(shapes.get(name, ())) > 1]
            found.extend(_matrix(node.op_type, shape) for shape in weights)
    return found


def _matrix(kind: str, shape: tuple[int, ...]) -> tuple[int, int]:
    if kind == "Conv":
        return math.prod(shape[1:]), shape[0]
    return (shape[2], shape[1]) if kind == "LSTM" else (shape[0], shape[1])

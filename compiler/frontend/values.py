"""Checks of a typed graph that onnxruntime makes only when it runs, or never."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from mho.targets.errors import plain

_WEIGHT_INPUT = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}
_MAX_INDICES = 2**20


def value_problems(graph: ir.Graph) -> list[str]:
    """One sentence for each node that cannot compute what its constants and shapes say."""
    return [
        f"node '{plain(node.name or '')}' ({plain(node.op_type)}): {problem}"
        for node in graph.all_nodes()
        for problem in (*_shape_problems(node, graph), *_kernel_problems(node), *_index_problems(node))
    ]


def _shape_problems(node: ir.Node, graph: ir.Graph) -> Iterator[str]:
    """Shapes that cannot be; a node of a body may belong to a branch that is never taken."""
    if node.graph is not graph:
        return
    for value in node.outputs:
        if value.shape is not None and any(isinstance(dim, int) and dim < 0 for dim in value.shape):
            yield f"its output would have the shape {_text(value.shape)}: its kernel or slice is larger than its input"


def _kernel_problems(node: ir.Node) -> Iterator[str]:
    position = _WEIGHT_INPUT.get(node.op_type)
    weight = node.inputs[position] if position is not None and node.domain == "" else None
    if weight is None or weight.shape is None or not weight.shape.is_static():
        return
    shape = weight.shape.numpy()
    if math.prod(shape) == 0:
        yield f"its weight '{plain(weight.name or '')}' of shape {_text(weight.shape)} has no elements"
    kernel = tuple(node.attributes.get_ints("kernel_shape", shape[2:]))
    if kernel != shape[2:]:
        yield f"its kernel_shape is {list(kernel)}, but its weight has the kernel {list(shape[2:])}"


def _index_problems(node: ir.Node) -> Iterator[str]:
    if node.op_type != "Gather" or node.domain != "" or node.inputs[0] is None or node.inputs[1] is None:
        return
    shape, indices = node.inputs[0].shape, ir.convenience.get_const_tensor(node.inputs[1])
    axis = node.attributes.get_int("axis", 0)
    if shape is None or indices is None or indices.size > _MAX_INDICES or not -len(shape) <= axis < len(shape):
        return
    rows, numbers = shape[axis], indices.numpy()
    if isinstance(rows, int) and numbers.size and not -rows <= int(np.min(numbers)) <= int(np.max(numbers)) < rows:
        yield f"its constant indices reach from {np.min(numbers)} to {np.max(numbers)}, but axis {axis} has {rows} rows"


def _text(shape: ir.Shape) -> str:
    dims = (str(dim) if isinstance(dim, int) else plain(str(dim.value or "?")) for dim in shape)
    return "[" + ", ".join(dims) + "]"

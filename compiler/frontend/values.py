"""Checks of a typed graph that onnxruntime makes only when it runs, or never."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from mho.targets.errors import brief

_CONSTANT_OPERANDS = {"MatMul": (0, 1), "Gemm": (0, 1), "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2)}
_WEIGHT_INPUT = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}
_SCALE_INPUTS = {
    "DequantizeLinear": (1,),
    "QuantizeLinear": (1,),
    "QLinearConv": (1, 4, 6),
    "QLinearMatMul": (1, 4, 6),
}
_DIVIDES_BY = {"QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6}
_MAX_NUMBERS = 2**20


def value_problems(graph: ir.Graph) -> list[str]:
    """One sentence for each input and each node that cannot be what its constants and shapes say."""
    return [
        *(f"input '{brief(value.name or '')}' {p}" for value in graph.inputs for p in _input_problems(value)),
        *(
            f"node '{brief(node.name or '')}' ({brief(node.op_type)}): {problem}"
            for node in graph.all_nodes()
            for problem in (*_shape_problems(node, graph), *(p for check in _CHECKS for p in check(node)))
        ),
    ]


def _input_problems(value: ir.Value) -> Iterator[str]:
    if value.shape is not None and any(isinstance(dim, int) and dim < 0 for dim in value.shape):
        yield f"has the shape {_text(value.shape)}: a dimension is negative"


def _shape_problems(node: ir.Node, graph: ir.Graph) -> Iterator[str]:
    """Shapes that cannot be; a node of a body may belong to a branch that is never taken."""
    if node.graph is not graph:
        return
    for value in node.outputs:
        if value.shape is not None and any(isinstance(dim, int) and dim < 0 for dim in value.shape):
            yield f"its output would have the shape {_text(value.shape)}: its kernel or slice is larger than its input"


def _empty_problems(node: ir.Node) -> Iterator[str]:
    """Weights without elements, of which no crossbar holds any."""
    for position in _CONSTANT_OPERANDS.get(node.op_type, ()) if node.domain == "" else ():
        value = node.inputs[position] if position < len(node.inputs) else None
        if value is not None and value.const_value is not None and value.const_value.size == 0:
            shape = list(value.const_value.shape.numpy())
            yield f"its weight '{brief(value.name or '')}' of shape {shape} has no elements"


def _kernel_problems(node: ir.Node) -> Iterator[str]:
    position = _WEIGHT_INPUT.get(node.op_type)
    weight = node.inputs[position] if position is not None and node.domain == "" else None
    if weight is None or weight.shape is None or not weight.shape.is_static():
        return
    shape = weight.shape.numpy()
    if len(shape) < 3:
        yield f"its weight '{brief(weight.name or '')}' has {len(shape)} dimensions; it needs at least 3"
        return
    if math.prod(shape) == 0:
        yield f"its weight '{brief(weight.name or '')}' of shape {_text(weight.shape)} has no elements"
        return
    kernel = tuple(node.attributes.get_ints("kernel_shape", shape[2:]))
    if kernel != shape[2:]:
        yield f"its kernel_shape is {list(kernel)}, but its weight has the kernel {list(shape[2:])}"
    yield from _number_problems(node)
    yield from _group_problems(node, shape)


def _number_problems(node: ir.Node) -> Iterator[str]:
    for name in ("strides", "dilations", "pads", "output_padding"):
        numbers = node.attributes.get_ints(name, ())
        if any(abs(number) >= 2**31 for number in numbers):
            yield f"its {name} are {list(numbers[:8])}; the limit is 2,147,483,647"


def _group_problems(node: ir.Node, weight: tuple[int, ...]) -> Iterator[str]:
    groups = node.attributes.get_int("group", 1)
    if groups < 1 or weight[0] % groups:
        yield f"its group is {groups}, which does not divide the {weight[0]} of its weight's shape {list(weight)}"
        return
    source = node.inputs[0]
    channels = source.shape[1] if source is not None and source.shape is not None and len(source.shape) > 1 else None
    needed = weight[0] if node.op_type == "ConvTranspose" else weight[1] * groups
    if isinstance(channels, int) and channels != needed:
        yield f"its input has {channels} channels, but its weight of shape {list(weight)} in {groups} groups {needed}"


def _index_problems(node: ir.Node) -> Iterator[str]:
    if node.op_type != "Gather" or node.domain != "" or node.inputs[0] is None or node.inputs[1] is None:
        return
    shape, numbers = node.inputs[0].shape, _numbers(node.inputs[1])
    axis = node.attributes.get_int("axis", 0)
    if shape is None or numbers is None or not -len(shape) <= axis < len(shape):
        return
    rows = shape[axis]
    if isinstance(rows, int) and numbers.size and not -rows <= int(np.min(numbers)) <= int(np.max(numbers)) < rows:
        yield f"its constant indices reach from {np.min(numbers)} to {np.max(numbers)}, but axis {axis} has {rows} rows"


def _scale_problems(node: ir.Node) -> Iterator[str]:
    """Scales by which no number can be rounded; a scale of 0 makes a quantised tensor 0, as some exporters mean."""
    for position in _SCALE_INPUTS.get(node.op_type, ()) if node.domain == "" else ():
        value = node.inputs[position] if position < len(node.inputs) else None
        numbers = _numbers(value)
        if value is None or numbers is None or numbers.dtype.kind != "f":
            continue
        if not np.isfinite(numbers).all():
            yield f"its scale '{brief(value.name or '')}' is NaN or infinite"
        elif position == _DIVIDES_BY.get(node.op_type) and not numbers.all():
            yield f"its scale '{brief(value.name or '')}' is 0, and nothing can be divided by it"


def _finite_problems(node: ir.Node) -> Iterator[str]:
    """Constants that ride with a matrix; a mask, which another operator adds, may be infinite."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "BatchNormalization") or node.domain != "":
        return
    for value in node.inputs[1:] if node.op_type == "BatchNormalization" else node.inputs[2:]:
        numbers = _numbers(value)
        if value is not None and numbers is not None and not np.isfinite(numbers.astype(np.float64)).all():
            yield f"its constant '{brief(value.name or '')}' holds NaN or infinity: export the model again"
    variance = _numbers(node.inputs[4]) if node.op_type == "BatchNormalization" else None
    if variance is not None and np.any(variance < -node.attributes.get_float("epsilon", 1e-5)):
        yield "its variance is negative"


def _numbers(value: ir.Value | None) -> np.ndarray | None:
    """The elements of a constant of bounded size, or None."""
    tensor = None if value is None or value.is_graph_input() else ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.size > _MAX_NUMBERS or tensor.dtype is ir.DataType.STRING:
        return None
    return tensor.numpy()


def _text(shape: ir.Shape) -> str:
    dims = (str(dim) if isinstance(dim, int) else brief(str(dim.value or "?")) for dim in shape)
    return "[" + ", ".join(dims) + "]"


_CHECKS = (_empty_problems, _kernel_problems, _index_problems, _scale_problems, _finite_problems)

"""Computes what depends on small constants and known shapes alone.

onnxscript's folder was not used: it computes a result before it looks at its size, folds large transposes whatever
the limit, and holds Bernoulli for deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from mho.passes.levels.history import Gone
from mho.passes.levels.model import Model
from mho.passes.simplify.constants import constant_array, draws_or_branches
from mho.passes.simplify.infer_shapes import InferShapes
from mho.passes.simplify.record import rewritten
from mho.runtime.inspect import evaluate

Array = npt.NDArray[np.generic]

# Quantised weights stay quantised, because programs store them so; a small Einsum can take unbounded time.
NEVER_FOLDED = frozenset({"DequantizeLinear", "Dropout", "Einsum", "QuantizeLinear"})
# ConstantOfShape only makes data larger; the paddings and shapes that are built with it are short.
_FILLED_LIMIT = 64


@dataclass(frozen=True)
class FoldConstants:
    """Turns Constant nodes into initializers of the main graph and computes nodes whose inputs are small constants.

    Chains from large weights stay, so that nothing large materialises, and so does the Transpose of a table that is
    also looked up. Random operators, control flow and nodes
    that write a graph's output stay too. Shape, Size, and Gather or Slice of a Shape are computed where they ask
    for known dimensions only. Shapes are inferred again at the end.

    Attributes:
        size_limit: the largest number of elements of an input or a result.
    """

    size_limit: int = 4096

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        folded = 0
        for node in list(graph_model.graph.all_nodes()):
            tensors = self._results(node, graph_model)
            if tensors is not None:
                _replace_by_initializers(node, tensors, graph_model.graph)
                folded += 1
        return InferShapes().run(rewritten(model, graph_model, _computed)) if folded else model

    def _results(self, node: ir.Node, model: ir.Model) -> list[ir.TensorProtocol] | None:
        if any(output.is_graph_output() for output in node.outputs) or node.domain != "":
            return None
        if node.op_type == "Constant":
            tensor = ir.convenience.get_const_tensor(node.outputs[0])
            return None if tensor is None else [tensor]
        if (dims := _asked_dimensions(node, self.size_limit)) is not None:
            return [ir.tensor(dims)]
        if node.op_type in NEVER_FOLDED or draws_or_branches(node) or not node.inputs or _is_tied(node):
            return None
        arrays = {value: constant_array(value, self.size_limit) for value in node.inputs if value is not None}
        if any(array is None for array in arrays.values()):
            return None
        constants = {value.name or "": array for value, array in arrays.items() if array is not None}
        limit = min(self.size_limit, _FILLED_LIMIT) if node.op_type == "ConstantOfShape" else self.size_limit
        results = evaluate(_single_node_model(node, constants, model), limit)
        return None if results is None else [ir.tensor(result) for result in results]


def _is_tied(node: ir.Node) -> bool:
    """Whether a node transposes an initializer that others read as it is: as one tensor it is one matrix."""
    source = node.inputs[0]
    return node.op_type == "Transpose" and source is not None and source.producer() is None and len(source.uses()) > 1


def _computed(node: ir.Node) -> Gone:
    if node.op_type == "Constant":
        return Gone("constant", "a constant")
    if node.op_type in ("Shape", "Size"):
        return Gone("constant", "the shape that it asks for is known")
    return Gone("constant", "its inputs are known while compiling")


def _single_node_model(node: ir.Node, constants: dict[str, Array], model: ir.Model) -> onnx.ModelProto:
    graph = onnx.GraphProto(name="constant", node=[ir.to_proto(node)])
    graph.initializer.extend(ir.to_proto(ir.Tensor(array, name=name)) for name, array in constants.items())
    graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in node.outputs if value.name)
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    return onnx.ModelProto(ir_version=model.ir_version, graph=graph, opset_import=opsets)


def _replace_by_initializers(node: ir.Node, tensors: list[ir.TensorProtocol], graph: ir.Graph) -> None:
    """Puts initializers of the main graph in the place of the named outputs of `node`."""
    for old, tensor in zip((value for value in node.outputs if value.name), tensors, strict=True):
        value = ir.Value(
            name=old.name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape.numpy()), const_value=tensor
        )
        old.replace_all_uses_with(value)
        old.name = None
        graph.register_initializer(value)
    if node.graph is not None:
        node.graph.remove(node, safe=True)


def _asked_dimensions(node: ir.Node, size_limit: int) -> Array | None:
    """What Shape, Size, or Gather or Slice of a Shape gives where it depends on known dimensions only, int64."""
    if node.op_type == "Shape":
        return _known(_shape_slice(node))
    if node.op_type == "Size":
        dims = _shape_slice(node)
        known = None if dims is None else _known(dims)
        return None if known is None else np.array(np.prod(known), dtype=np.int64)
    shape_node = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
    if shape_node is None or shape_node.op_type != "Shape" or shape_node.domain != "":
        return None
    dims = _shape_slice(shape_node)
    positions = None if dims is None else _positions(node, len(dims), size_limit)
    if dims is None or positions is None:
        return None
    picked = _known([dims[i] for i in positions.reshape(-1)])
    return None if picked is None else picked.reshape(positions.shape)


def _shape_slice(node: ir.Node) -> list[int | None] | None:
    """The dimensions that a Shape or Size node reads, None for those unknown; None where the rank is."""
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if shape is None:
        return None
    dims = [dim if isinstance(dim, int) else None for dim in shape]
    return dims[node.attributes.get_int("start", 0) : node.attributes.get_int("end", len(dims))]


def _known(dims: list[int | None] | None) -> npt.NDArray[np.int64] | None:
    if dims is None or any(dim is None for dim in dims):
        return None
    return np.array([dim for dim in dims if dim is not None], dtype=np.int64)


def _positions(node: ir.Node, rank: int, size_limit: int) -> npt.NDArray[np.int64] | None:
    """Which of `rank` dimensions a Gather or a Slice with constant arguments picks, in the shape of its result."""
    arguments = [constant_array(value, size_limit) for value in node.inputs[1:]]
    if any(argument is None for argument in arguments):
        return None
    numbers = [np.asarray(argument, dtype=np.int64) for argument in arguments]
    if node.op_type == "Gather" and np.all((numbers[0] >= -rank) & (numbers[0] < rank)):
        return numbers[0] % rank
    if node.op_type == "Slice" and len(numbers) >= 2 and numbers[0].size == 1:
        step = int(numbers[3].item()) if len(numbers) > 3 else 1
        return np.arange(rank)[slice(int(numbers[0].item()), int(numbers[1].item()), step)]
    return None

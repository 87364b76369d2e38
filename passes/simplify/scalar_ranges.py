"""Gives Range the scalars that it asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from mho.passes.levels.model import Model
from mho.passes.simplify.constants import constant_array


@dataclass(frozen=True)
class ScalarRanges:
    """Makes constants of one element scalars where Range reads them.

    onnxruntime takes vectors of one element there while it computes, but refuses constants of that shape: what a
    branch or an Identity hid from it must not stop the model once they are gone.
    """

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        for node in list(graph_model.graph.all_nodes()):
            if node.op_type == "Range" and node.domain == "":
                _make_scalar(node, graph_model.graph)
        return replace(model, ir=graph_model)


def _make_scalar(node: ir.Node, graph: ir.Graph) -> None:
    for index, value in enumerate(node.inputs):
        array = constant_array(value, size_limit=1)
        if value is None or array is None or array.ndim == 0:
            continue
        name = f"{node.name}/scalar_{index}"
        tensor = ir.tensor(array.reshape(()), name=name)
        scalar = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(()), const_value=tensor)
        graph.register_initializer(scalar)
        node.replace_input_with(index, scalar)

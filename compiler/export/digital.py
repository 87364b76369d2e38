"""Digital steps: their graphs taken up node by node, under the names that they have."""

from __future__ import annotations

import onnx

from mho.export.graph import Graph
from mho.export.kinds import declared
from mho.runtime.digital import checked_graph
from mho.runtime.inspect import inspect_model
from mho.targets.errors import plain
from mho.targets.program import Program
from mho.targets.steps import Digital


def digital_model(program: Program, step: Digital) -> onnx.ModelProto:
    """The graph of a digital step as a model.

    Raises:
        ProgramError: it is none, or names files.
    """
    model = onnx.ModelProto()
    model.ParseFromString(checked_graph(step.graph, program.tensors[f"graph/{step.graph}"].tobytes()))
    return model


def write_digital(graph: Graph, step: Digital, program: Program) -> None:
    """The nodes of a digital step; its small constants become constants of the model.

    Raises:
        ModelError: onnxruntime refuses the graph.
    """
    model = digital_model(program, step)
    found = inspect_model(model, f"digital step {plain(step.name)}")
    for info in model.graph.input:
        kind = declared(info)
        if kind is not None:
            graph.kinds[info.name] = kind
    graph.kinds |= {name: kind for name, kind in found.items() if name in step.outputs}
    for tensor in model.graph.initializer:
        graph.store.constants.setdefault(tensor.name, tensor)
    graph.nodes.extend(model.graph.node)

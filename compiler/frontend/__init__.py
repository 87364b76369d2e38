"""Imports ONNX models: everything that onnxruntime loads becomes a `Model`, everything else a `ModelError`."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
import onnx_ir.passes.common

from mho.frontend.external import locate_external_tensors
from mho.frontend.functions import remove_unused_functions
from mho.frontend.inline import inline_functions
from mho.frontend.names import name_nodes
from mho.frontend.source import ModelSource, Source, model_bytes, read_source
from mho.frontend.sparse import densify, sparse_problems
from mho.frontend.structure import structure_problems
from mho.frontend.tensors import remove_unused_initializers, tensor_problems
from mho.frontend.values import value_problems
from mho.passes.levels.history import History
from mho.passes.levels.model import Model
from mho.passes.simplify.bind_dimensions import bind_dimensions, symbolic_dimensions
from mho.passes.simplify.infer_shapes import InferShapes
from mho.runtime.inspect import inspect_model
from mho.targets.errors import ModelError, plain

__all__ = ["ModelSource", "bind_dimensions", "load_model", "model_bytes", "symbolic_dimensions"]

OLDEST_IR_VERSION = 8


def load_model(source: ModelSource, *, keep_inputs: bool = False) -> Model:
    """Imports an ONNX model of opset 7 or newer.

    Functions are inlined, sparse tensors are dense, external data stays mapped, every node and value has a name of
    its own, and every value a type. Nothing of the model is run, and nothing outside its folder is read.

    Args:
        source: a file, or a model in memory, which is copied; external data is for files and for onnx_ir.
        keep_inputs: whether an initializer that is also a graph input is an input, whose default is dropped,
            instead of a constant.

    Raises:
        ModelError: the file is not an ONNX model that onnxruntime loads; one sentence for each problem.
    """
    origin = read_source(source)
    name_nodes(origin.proto)
    problems = (*structure_problems(origin.proto), *tensor_problems(origin.proto, origin.folders))
    _refuse(origin, (*problems, *sparse_problems(origin.proto)))
    densify(origin.proto)
    remove_unused_functions(origin.proto)
    remove_unused_initializers(origin.proto)
    inspect_model(origin.proto, origin.label, origin.folder)
    graph, history = _build(origin, keep_inputs)
    model = Model(graph, origin.name, origin.digest, origin.path, history)
    typed = InferShapes().run(model)
    _refuse(origin, value_problems(typed.ir.graph))
    return typed


def _refuse(origin: Source, problems: Sequence[str]) -> None:
    if problems:
        raise ModelError(f"{origin.label}: {problem}" for problem in problems)


def _build(origin: Source, keep_inputs: bool) -> tuple[ir.Model, History]:
    try:
        model = ir.from_proto(origin.proto)
        locate_external_tensors(model.graph, origin.folders)
        history = inline_functions(model)
    except (ir.serde.SerdeError, ir.passes.PassError, ValueError) as error:
        raise ModelError(f"{origin.label}: its graph cannot be read: {plain(str(error))}") from error
    model.ir_version = max(model.ir_version, OLDEST_IR_VERSION)
    _settle_inputs(model.graph, keep_inputs)
    ir.passes.common.LiftSubgraphInitializersToMainGraphPass()(model)
    return model, history


def _settle_inputs(graph: ir.Graph, keep_inputs: bool) -> None:
    """An initializer that is also an input becomes one or the other."""
    for value in list(graph.inputs):
        if value.name is None or value.name not in graph.initializers:
            continue
        if keep_inputs:
            del graph.initializers[value.name]
            value.const_value = None
        else:
            graph.inputs.remove(value)

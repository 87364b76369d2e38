"""Models of one node, compiled and run in ideal mode beside onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import mho
from mho.frontend import load_model
from mho.passes.lower import Lower
from mho.passes.simplify import Simplify
from mho.runtime.effects import Effects
from mho.targets.program import Decision
from tests.compilations import pipeline

Array = NDArray[Any]


def model_of(
    operator: str,
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array],
    order: Sequence[str],
    outputs: Sequence[str] = ("y",),
    opset: int | None = 20,
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node; `order` names its inputs, "" leaves one out; without an opset only the domain's is there."""
    node = helper.make_node(operator, order, outputs, name="layer", domain=domain, **attributes)
    return model_of_nodes([node], inputs, constants, [o for o in outputs if o], opset)


def model_of_nodes(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array],
    outputs: Sequence[str],
    opset: int | None = 20,
) -> onnx.ModelProto:
    """A model of several nodes."""
    ports = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    domains = {node.domain for node in nodes if node.domain}
    opsets = [] if opset is None else [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, 1) for domain in sorted(domains)]
    graph = helper.make_graph(nodes, "g", ports, results, tensors)
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


def onnxruntime_outputs(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Without optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def compile_one(model: onnx.ModelProto, feeds: Mapping[str, Array], fold: int = 4096) -> mho.Compiled:
    """The model on a machine, calibrated on what it is fed; chains of constants above `fold` elements stay."""
    options = replace(pipeline(tiles=None), simplify=Simplify(fold_size_limit=fold))
    return mho.compile(model, "ideal256", feeds, pipeline=options)


def check_exact(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> mho.Compiled:
    """Compiles; every output equals onnxruntime's in every element."""
    compiled = compile_one(model, feeds)
    found = compiled.run(dict(feeds), effects=Effects.ideal())
    for name, wanted in onnxruntime_outputs(model, feeds).items():
        assert found[name].dtype == wanted.dtype
        np.testing.assert_array_equal(found[name].reshape(wanted.shape), wanted)
    return compiled


def check_close(
    model: onnx.ModelProto, feeds: Mapping[str, Array], tolerance: float = 1e-5, fold: int = 4096
) -> mho.Compiled:
    """Compiles; every output equals onnxruntime's to a tolerance relative to its largest number."""
    compiled = compile_one(model, feeds, fold)
    found = compiled.run(dict(feeds), effects=Effects.ideal())
    for name, wanted in onnxruntime_outputs(model, feeds).items():
        assert found[name].dtype == wanted.dtype, name
        wide, other = wanted.astype(np.float64), found[name].reshape(wanted.shape).astype(np.float64)
        assert np.abs(wide - other).max(initial=0) <= tolerance * np.abs(wide).max(initial=1e-30), name
    return compiled


def decide(model: onnx.ModelProto) -> dict[str, tuple[str, str]]:
    """Where each node of a model runs and why, without data."""
    network = Lower().run(Simplify().run(load_model(model)))
    return {decision.node: (decision.unit, decision.reason) for decision in network.decisions}


def decision_on_layer(model: onnx.ModelProto) -> Decision:
    """The decision on the node `layer`, without data."""
    network = Lower().run(Simplify().run(load_model(model)))
    return next(decision for decision in network.decisions if decision.node == "layer")


def analog(compiled: mho.Compiled) -> list[str]:
    """The operators of the layers that run on tiles."""
    return [layer.operator for layer in compiled.program.layers]

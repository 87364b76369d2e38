"""Digital graphs run by onnxruntime, and what they may not be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mho.runtime.digital import DigitalUnit, checked_graph, open_session
from mho.targets.errors import ProgramError

FLOAT = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])


def model_of(*nodes: onnx.NodeProto, outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
    infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(list(nodes), "g", [FLOAT], infos)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def unit_of(model: onnx.ModelProto) -> DigitalUnit:
    return DigitalUnit({"graph/g": np.frombuffer(model.SerializeToString(), np.uint8)})


def test_outputs_in_the_order_that_is_asked_for() -> None:
    unit = unit_of(model_of(helper.make_node("Split", ["x"], ["y", "z"], num_outputs=2), outputs=("y", "z")))
    values: dict[str, NDArray[np.float32]] = {"x": np.arange(4, dtype=np.float32), "other": np.zeros(1, np.float32)}
    z, y = unit.run("g", values, ("z", "y"))
    assert (y.tolist(), z.tolist()) == ([0, 1], [2, 3])


def test_a_graph_that_fails_is_named() -> None:
    unit = unit_of(model_of(helper.make_node("MatMul", ["x", "x"], ["m"]), helper.make_node("Add", ["m", "x"], ["y"])))
    with pytest.raises(ProgramError, match="digital step g failed"):
        unit.run("g", {"x": np.zeros((2, 3), np.float32)}, ("y",))


def test_an_operator_that_does_not_exist() -> None:
    with pytest.raises(ProgramError, match="onnxruntime refuses a digital graph"):
        unit_of(model_of(helper.make_node("Nonsense", ["x"], ["y"]))).run("g", {}, ("y",))


def test_bytes_that_are_no_graph() -> None:
    with pytest.raises(ProgramError, match="graph of digital step g is not an ONNX model"):
        checked_graph("g", b"\xff\xff\xff")


def test_compiled_graphs_of_onnxruntime_are_refused(tmp_path: Path) -> None:
    """Bytes as such are no ONNX model, and a file name does not change what is read."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "g.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    model = model_of(helper.make_node("Relu", ["x"], ["y"])).SerializeToString()
    ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    compiled = tmp_path / "g.ort"
    for graph in (compiled.read_bytes(), str(compiled)):
        with pytest.raises(ProgramError, match="onnxruntime refuses"):
            open_session(graph)


def external() -> onnx.TensorProto:
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/hostname")
    return tensor


def in_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external())


def in_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external()))


def in_a_branch_without_nodes(model: onnx.ModelProto) -> None:
    branch = onnx.GraphProto(name="b", initializer=[external()])
    branch.output.add(name="t")
    model.graph.node.append(helper.make_node("If", ["x"], ["c"], then_branch=branch, else_branch=branch))


def in_a_list(model: onnx.ModelProto) -> None:
    node = helper.make_node("Custom", [], ["c"])
    node.attribute.append(onnx.AttributeProto(name="a", type=onnx.AttributeProto.TENSORS, tensors=[external()]))
    model.graph.node.append(node)


def in_a_sparse_initializer(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external())


def in_a_function(model: onnx.ModelProto) -> None:
    function = model.functions.add(name="f", domain="d")
    function.node.append(helper.make_node("Constant", [], ["c"], value=external()))


@pytest.mark.parametrize(
    "hide",
    [in_initializer, in_attribute, in_a_branch_without_nodes, in_a_list, in_a_sparse_initializer, in_a_function],
)
def test_external_data_is_found_wherever_it_hides(hide: Callable[[onnx.ModelProto], None]) -> None:
    model = model_of(helper.make_node("Relu", ["x"], ["y"]))
    assert checked_graph("g", model.SerializeToString())
    hide(model)
    with pytest.raises(ProgramError, match="names external data"):
        checked_graph("g", model.SerializeToString())

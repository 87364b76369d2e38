"""What an imported model looks like."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from mho.frontend import load_model, symbolic_dimensions
from mho.passes.levels.model import Model


def _parse(text: str, header: str = 'ir_version: 8, opset_import: ["" : 17]') -> onnx.ModelProto:
    return onnx.parser.parse_model(f"<{header}>\n{text}")


def _nodes(model: Model) -> list[ir.Node]:
    return list(model.ir.graph.all_nodes())


LINEAR = "g (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 2, 3, 4}> { a = MatMul(x, w) y = Relu(a) }"


def test_a_model_in_memory() -> None:
    proto = _parse(LINEAR)
    model = load_model(proto)
    assert (model.name, model.path) == ("g", None)
    assert model.digest == hashlib.sha256(proto.SerializeToString()).hexdigest()
    assert [node.name for node in _nodes(model)] == ["MatMul_a", "Relu_y"]
    assert [node.outputs[0].dtype for node in _nodes(model)] == [ir.DataType.FLOAT, ir.DataType.FLOAT]
    assert [str(node.outputs[0].shape) for node in _nodes(model)] == ["[N,2]", "[N,2]"]


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "linear.onnx"
    onnx.save(_parse(LINEAR), str(path))
    model = load_model(str(path))
    assert (model.name, model.path) == ("linear", path)
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_given_proto_is_not_changed() -> None:
    proto = _parse(LINEAR)
    before = proto.SerializeToString()
    load_model(proto)
    assert proto.SerializeToString() == before


def _overridable() -> onnx.ModelProto:
    proto = _parse(LINEAR)
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [2, 2]))
    return proto


def test_an_initializer_that_is_an_input_is_a_constant() -> None:
    graph = load_model(_overridable()).ir.graph
    assert [value.name for value in graph.inputs] == ["x"]
    assert list(graph.initializers) == ["w"]


def test_keep_inputs() -> None:
    graph = load_model(_overridable(), keep_inputs=True).ir.graph
    assert [value.name for value in graph.inputs] == ["x", "w"]
    assert not graph.initializers
    assert graph.inputs[1].const_value is None


def test_names_are_unique_and_the_users_names_win() -> None:
    model = load_model(
        _parse("""
        g (float[N] x, bool c) => (float[N] y) {
            a = Relu(x)
            [Relu_a] b = Neg(a)
            d = If(c) <
                then_branch = t () => (float[N] p) { [If_d] v = Relu(b) [twin] p = Neg(v) },
                else_branch = e () => (float[N] p) { v = Abs(b) [twin] p = Neg(v) }
            >
            y = Identity(d)
        }
        """)
    )
    assert [node.name for node in _nodes(model)] == [
        "Relu_a_2",
        "Relu_a",
        "If_d_2",
        "If_d",
        "twin",
        "Abs_v",
        "twin_2",
        "Identity_y",
    ]
    names = [node.outputs[0].name for node in _nodes(model)]
    assert names == ["a", "b", "d", "v", "p", "v_2", "p_2", "y"]


def test_values_in_branches_have_types_and_shapes() -> None:
    model = load_model(
        _parse("""
        g (float[N, 3] x, bool c) => (y) {
            y = If(c) <
                then_branch = t () => (p) { v = Transpose(x) p = Transpose(v) },
                else_branch = e () => (q) { q = Relu(x) }
            >
        }
        """)
    )
    assert all(value.dtype is ir.DataType.FLOAT for node in _nodes(model) for value in node.outputs)
    assert {value.name: str(value.shape) for node in _nodes(model) for value in node.outputs} == {
        "y": "[N,3]",
        "v": "[3,N]",
        "p": "[N,3]",
        "q": "[N,3]",
    }


def test_initializers_of_a_branch_move_to_the_main_graph() -> None:
    branch = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["p"])],
        "branch",
        [],
        [helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.array([2], np.float32), "w")],
    )
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        "g",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N"])],
    )
    model = load_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert sorted(model.ir.graph.initializers) == ["w", "w_2"]


def test_functions_are_inlined() -> None:
    model = load_model(
        _parse(
            """
            g (float[N, 4] x) => (float[N, 4] y) { z = local.leak<a = 0.1>(x) y = local.leak<a = 0.2>(z) }
            <domain: "local", opset_import: ["" : 17]>
            leak <a>(x) => (y) { b = LeakyRelu<alpha: float = @a>(x) y = Neg(b) }
            """,
            'ir_version: 8, opset_import: ["" : 17, "local" : 1]',
        )
    )
    assert [node.op_type for node in _nodes(model)] == ["LeakyRelu", "Neg", "LeakyRelu", "Neg"]
    assert len({node.name for node in _nodes(model)}) == 4
    alphas = [node.attributes.get_float("alpha", 0) for node in _nodes(model)[::2]]
    assert alphas == pytest.approx([0.1, 0.2])
    assert all(str(node.outputs[0].shape) == "[N,4]" for node in _nodes(model))


def _sparse(indices: object, dims: tuple[int, ...]) -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.array([5, 7], np.float32), "w")
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices, np.int64)), dims)


@pytest.mark.parametrize("indices", [[1, 2], [[0, 1], [1, 0]]], ids=["flat", "by axis"])
def test_sparse_initializers_are_dense(indices: object) -> None:
    proto = _parse(LINEAR)
    del proto.graph.initializer[:]
    proto.graph.sparse_initializer.append(_sparse(indices, (2, 2)))
    weight = load_model(proto).ir.graph.initializers["w"].const_value
    assert weight is not None
    assert weight.numpy().tolist() == [[0, 5], [7, 0]]


def test_a_sparse_constant_is_dense() -> None:
    proto = _parse("g (float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=_sparse([1, 2], (2, 2))))
    constant = _nodes(load_model(proto))[0]
    assert constant.attributes["value"].as_tensor().numpy().tolist() == [[0, 5], [7, 0]]


def test_external_data_stays_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    proto = _parse(LINEAR)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([[1, 2], [3, 4]], np.float32), "w"))
    onnx.save(proto, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    weight = load_model(path).ir.graph.initializers["w"].const_value
    assert isinstance(weight, ir.ExternalTensor)
    assert weight.numpy().tolist() == [[1, 2], [3, 4]]


def test_contrib_operators_have_types() -> None:
    proto = _parse(
        "g (float[N, 8] x) => (y) { a = com.microsoft.BiasGelu(x, b) y = Relu(a) }",
        'ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]',
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(8, np.float32), "b"))
    assert [str(node.outputs[0].shape) for node in _nodes(load_model(proto))] == ["[N,8]", "[N,8]"]


@pytest.mark.parametrize("opset", [7, 9, 13, 18, 22])
def test_opsets(opset: int) -> None:
    header = f'ir_version: 8, opset_import: ["" : {opset}]'
    assert len(_nodes(load_model(_parse(LINEAR, header)))) == 2


@pytest.mark.shared
def test_trained_networks(shared: Path) -> None:
    resnet = load_model(shared / "models" / "resnet20-cifar10" / "model.onnx")
    assert symbolic_dimensions(resnet) == ("N",)
    assert len(_nodes(resnet)) == 55
    digits = load_model(shared / "models" / "mnist-cnn" / "model.onnx")
    assert len(digits.ir.graph.inputs) == 1
    external = load_model(shared / "models" / "resnet20-cifar10-external-data" / "model.onnx")
    tensors = [value.const_value for value in external.ir.graph.initializers.values()]
    assert any(isinstance(tensor, ir.ExternalTensor) for tensor in tensors)
    typed = [value for model in (resnet, digits, external) for node in _nodes(model) for value in node.outputs]
    assert all(value.type is not None and value.shape is not None for value in typed)

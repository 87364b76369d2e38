"""The verdict of onnxruntime, in plain sentences."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from mho.runtime.inspect import ValueType, evaluate, inspect_model, unknown_operators
from mho.runtime.messages import explain
from mho.targets.errors import ModelError

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 900] x) => (y) { a = MatMul(x, w) y = Relu(a) }'


def _model(rows: int) -> onnx.ModelProto:
    model = onnx.parser.parse_model(TEXT)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((rows, 3), np.float32), "w"))
    return model


def test_every_value_has_a_type_and_a_shape() -> None:
    model = _model(900)
    before = model.SerializeToString()
    expected = ValueType("tensor(float)", ("N", 3))
    assert inspect_model(model, "m") == {"a": expected, "y": expected}
    assert model.SerializeToString() == before


def test_a_scalar_is_told_from_an_unknown_rank() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (float x, float[N] v, int64[M] shape) => (y, z) {
        y = Neg(x)
        z = Reshape(v, shape)
        u = Relu(z)
    }"""
    )
    found = inspect_model(model, "m")
    assert {name: value.shape for name, value in found.items()} == {"y": (), "z": None, "u": None}


def test_a_refusal_names_source_node_and_cause() -> None:
    model = _model(901)
    model.graph.node[0].name = "first"
    with pytest.raises(ModelError, match=r"^m: node 'first' \(MatMul\): Incompatible dimensions"):
        inspect_model(model, "m")


def test_operators() -> None:
    asked = {("", "Conv"), ("ai.onnx", "Relu"), ("com.microsoft", "BiasGelu"), ("", "Quant"), ("my", "Relu")}
    assert unknown_operators(asked) == {("", "Quant"), ("my", "Relu")}


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Node (a\nb) Op (Conv) [ShapeInferenceError] Bad strides.\n",
            "node 'a\\nb' (Conv): Bad strides.",
        ),
        ("[ONNXRuntimeError] : 1 : FAIL : parse_string.h:116 Parse Failed to parse.", "Failed to parse."),
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : No kernel for X(1)", "No kernel for X(1)."),
    ],
)
def test_sentences(message: str, sentence: str) -> None:
    assert explain(message) == sentence


def _constant(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')


def test_evaluate() -> None:
    model = _constant("g () => (float[2] y) <float[2] c = {1, 2}> { y = Add(c, c) }")
    result = evaluate(model, size_limit=2)
    assert result is not None
    assert result[0].tolist() == [2, 4]
    assert evaluate(model, size_limit=1) is None


def test_evaluate_declines_what_fails() -> None:
    model = _constant("g () => (y) <float[2] c = {1, 2}, int64 far = {5}> { y = Gather<axis = 0>(c, far) }")
    assert evaluate(model, size_limit=10) is None

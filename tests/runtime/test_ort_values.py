"""Number formats that NumPy lacks go to onnxruntime and come back bit by bit."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mho.runtime.digital import open_session, run_session
from mho.runtime.ort_values import FORMATS, Format

CASTS = ("bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4")
"""Formats between which and float32 onnxruntime casts."""


def _session(operator: str, source: int, result: int, **attributes: Any) -> Any:
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", source, ["n"])],
        [helper.make_tensor_value_info("y", result, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return open_session(model.SerializeToString())


def _every_pattern(form: Format) -> Any:
    """One element of each bit pattern, and one more so that the last byte is not full."""
    if form.bits == 16:
        return np.arange(2**16, dtype=np.uint16).view(form.dtype)
    return np.append(np.arange(2**form.bits, dtype=np.uint8), np.uint8(1)).view(form.dtype)


@pytest.mark.parametrize("name", CASTS)
def test_to_float_and_back(name: str) -> None:
    form = FORMATS[f"tensor({name})"]
    values = _every_pattern(form)
    wide = run_session(_session("Cast", form.element, TensorProto.FLOAT, to=TensorProto.FLOAT), {"x": values}, ["y"])[0]
    np.testing.assert_array_equal(wide, values.astype(np.float32))
    finite = np.where(np.isfinite(wide), wide, np.float32(0))
    session = _session("Cast", TensorProto.FLOAT, form.element, to=form.element)
    (narrow,) = run_session(session, {"x": finite}, ["y"])
    assert narrow.dtype == form.dtype
    np.testing.assert_array_equal(narrow.astype(np.float32), finite)


def test_beside_text() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT),
            helper.make_node("Identity", ["s"], ["t"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.BFLOAT16, ["n"]),
            helper.make_tensor_value_info("s", TensorProto.STRING, ["n"]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("t", TensorProto.STRING, ["n"]),
        ],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    values = {"x": np.array([1.5, -2], ml_dtypes.bfloat16), "s": np.array(["a", "b"], np.object_)}
    found, text = run_session(open_session(model.SerializeToString()), values, ["y", "t"])
    assert found.tolist() == [1.5, -2]
    assert text.tolist() == ["a", "b"]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    form = FORMATS["tensor(bfloat16)"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", form.element, shape)],
        [helper.make_tensor_value_info("y", form.element, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    values = np.ones(shape, form.dtype)
    (found,) = run_session(open_session(model.SerializeToString()), {"x": values}, ["y"])
    assert (found.shape, found.dtype) == (shape, form.dtype)
    np.testing.assert_array_equal(found, values)

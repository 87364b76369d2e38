"""Integer products run on tiles and give onnxruntime's integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import mho
from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.interpreter import Interpreter
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.sequencer import Sequencer
from mho.targets.errors import ModelError
from tests.passes.lower.single import (
    analog,
    check_close,
    check_exact,
    compile_one,
    decide,
    model_of,
    model_of_nodes,
    onnxruntime_outputs,
)

INT8, UINT8 = np.int8, np.uint8


def codes(dtype: Any, *shape: int, bits: int = 8) -> Any:
    """Codes of a format, the extreme ones among them."""
    low = np.iinfo(dtype).min // 2 ** (8 - bits)
    return np.random.default_rng(sum(shape)).integers(low, low + 2**bits, shape).astype(dtype)


def weights(dtype: Any, *shape: int) -> Any:
    """Codes of 7 bits where they are signed.

    onnxruntime multiplies uint8 by int8 with an instruction that saturates sums of two products at 16 bits on
    processors without VNNI, so that its own results are wrong beyond that.
    """
    return codes(dtype, *shape, bits=7 if dtype is INT8 else 8)


@pytest.mark.parametrize("opset", [10, 20])
@pytest.mark.parametrize(("x_type", "w_type"), [(UINT8, INT8), (UINT8, UINT8), (INT8, INT8)])
@pytest.mark.parametrize("zeros", ["none", "scalars", "a column"])
def test_matmul_integer(x_type: Any, w_type: Any, zeros: str, opset: int) -> None:
    x, w = codes(x_type, 3, 300), weights(w_type, 300, 20)
    constants = {"w": w}
    order = ["x", "w"]
    if zeros != "none":
        constants |= {"a": np.array(7, x_type), "b": np.array(3, w_type)}
        order += ["a", "b"]
    if zeros == "a column":
        constants["b"] = weights(w_type, 20)
    compiled = check_exact(model_of("MatMulInteger", {"x": x}, constants, order, opset=opset), {"x": x})
    assert analog(compiled) == ["MatMulInteger"]
    stored = compiled.program.tensors["matrix/layer"]
    assert stored.dtype.kind in "iu" and stored.dtype.itemsize == (1 if zeros == "none" else 2)


def test_matmul_integer_of_4096_rows_at_the_limits() -> None:
    """Sums of 4096 · 255 · 255 have 28 bits: more than float32 holds, and every one is right."""
    x = np.full((4, 4096), 255, UINT8)
    x[1] = codes(UINT8, 4096)
    x[2, ::2] = 254
    w = np.full((4096, 5), 255, UINT8)
    w[:, 1] = codes(UINT8, 4096, 1)[:, 0]
    compiled = check_exact(model_of("MatMulInteger", {"x": x}, {"w": w}, ["x", "w"]), {"x": x})
    assert analog(compiled) == ["MatMulInteger"]


def test_sums_are_exact_where_onnxruntime_saturates() -> None:
    x, w = codes(UINT8, 4, 300), codes(INT8, 300, 20)
    model = model_of("MatMulInteger", {"x": x}, {"w": w, "b": np.array(-7, INT8)}, ["x", "w", "", "b"])
    found = compile_one(model, {"x": x}).run(x, effects=Effects.ideal())["y"]
    np.testing.assert_array_equal(found, x.astype(np.int64) @ (w.astype(np.int64) + 7))


@pytest.mark.parametrize("shape", [(4, 3, 30), (2, 4, 3, 30)])
def test_batched_matmul_integer(shape: tuple[int, ...]) -> None:
    x, w = codes(UINT8, *shape), weights(INT8, 30, 20)
    order, constants = ["x", "w", "a"], {"w": w, "a": np.array(128, UINT8)}
    assert analog(check_exact(model_of("MatMulInteger", {"x": x}, constants, order), {"x": x})) == ["MatMulInteger"]


def test_matmul_integer_with_the_constant_on_the_left() -> None:
    x, w = weights(INT8, 30, 20), codes(UINT8, 5, 30)
    constants = {"w": w, "a": np.array(7, UINT8), "b": np.array(-3, INT8)}
    compiled = check_exact(model_of("MatMulInteger", {"x": x}, constants, ["w", "x", "a", "b"]), {"x": x})
    assert analog(compiled) == ["MatMulInteger"]


def test_a_zero_point_that_data_decides() -> None:
    """DynamicQuantizeLinear writes the zero point, so the range of x − x₀ is chosen from the data."""
    x, w = np.random.default_rng(1).standard_normal((3, 30)).astype(np.float32), weights(INT8, 30, 20)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["y"], name="layer"),
    ]
    compiled = check_exact(model_of_nodes(nodes, {"x": x}, {"w": w}, ["y"]), {"x": x})
    assert analog(compiled) == ["MatMulInteger"]
    (layer,) = compiled.program.layers
    codes_seen = onnxruntime_outputs(model_of_nodes(nodes[:1], {"x": x}, {}, ["q", "z"]), {"x": x})
    largest = np.abs(codes_seen["q"].astype(int) - int(codes_seen["z"])).max()
    assert 0.5 * largest < layer.input_range <= largest


def test_matmul_integer_without_a_constant_stays_digital() -> None:
    x, w = codes(UINT8, 3, 30), weights(INT8, 30, 20)
    assert decide(model_of("MatMulInteger", {"x": x, "w": w}, {}, ["x", "w"])) == {
        "layer": (
            "digital",
            "both of its factors are computed at run time, as in attention, and a crossbar holds constants",
        )
    }


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_conv_integer(zeros: int) -> None:
    x, w = codes(UINT8, 2, 6, 9, 9), weights(INT8 if zeros < 2 else UINT8, 8, 3, 3, 3)
    constants = {"w": w, "a": np.array(100, UINT8), "b": np.array(60, w.dtype)}
    order = ["x", "w", "a", "b"][: 2 + zeros]
    options: dict[str, Any] = {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 2}
    model = model_of("ConvInteger", {"x": x}, {n: constants[n] for n in order[1:]}, order, **options)
    assert analog(check_exact(model, {"x": x})) == ["ConvInteger"]


@pytest.mark.parametrize("columns", [(), (20,)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
def test_matmul_integer_to_float(columns: tuple[int, ...], bias: bool, zeros: bool) -> None:
    x, w = codes(UINT8, 3, 30), weights(INT8, 30, 20)
    rng = np.random.default_rng(1)
    constants = {"w": w, "as": np.array(0.02, np.float32), "bs": rng.uniform(0.01, 0.1, columns).astype(np.float32)}
    order = ["x", "w", "as", "bs", "", "", ""]
    if zeros:
        constants |= {"az": np.array(100, UINT8), "bz": weights(INT8, *columns) if columns else np.array(3, INT8)}
        order[4:6] = ["az", "bz"]
    if bias:
        constants["c"] = rng.standard_normal(20).astype(np.float32)
        order[6] = "c"
    model = model_of("MatMulIntegerToFloat", {"x": x}, constants, order, domain="com.microsoft")
    assert analog(check_close(model, {"x": x}, 1e-6)) == ["MatMulIntegerToFloat"]


@pytest.mark.parametrize("opset", [20, None])
@pytest.mark.parametrize("bias", [False, True])
def test_dynamic_quantize_matmul(bias: bool, opset: int | None) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((3, 30)).astype(np.float32), weights(INT8, 30, 20)
    constants = {"w": w, "bs": np.array([0.02], np.float32), "bz": np.array([5], INT8)}
    order = ["x", "w", "bs", "bz"]
    if bias:
        constants["c"] = rng.standard_normal(20).astype(np.float32)
        order.append("c")
    model = model_of("DynamicQuantizeMatMul", {"x": x}, constants, order, opset=opset, domain="com.microsoft")
    compiled = check_close(model, {"x": x}, 1e-6)
    assert analog(compiled) == ["DynamicQuantizeMatMul"]
    (layer,) = compiled.program.layers
    assert 100 < layer.input_range <= 255


def scales(*shape: int) -> Any:
    return np.random.default_rng(9).uniform(0.001, 0.02, shape).astype(np.float32)


@pytest.mark.parametrize("dtype", [UINT8, INT8])
@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_qlinear_conv(dtype: Any, per_column: bool, bias: bool) -> None:
    x, w = codes(dtype, 2, 6, 9, 9), weights(INT8, 8, 3, 3, 3)
    columns = (8,) if per_column else ()
    constants = {
        "xs": np.array(0.05, np.float32), "xz": np.array(10, dtype), "w": w, "ws": scales(*columns),
        "wz": np.zeros(columns, INT8), "ys": np.array(1.3, np.float32), "yz": np.array(20, dtype),
    }  # fmt: skip
    order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    if bias:
        constants["b"] = np.random.default_rng(3).integers(-(2**20), 2**20, 8).astype(np.int32)
        order.append("b")
    options: dict[str, Any] = {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 2}
    compiled = check_exact(model_of("QLinearConv", {"x": x}, constants, order, opset=13, **options), {"x": x})
    assert analog(compiled) == ["QLinearConv"]
    (layer,) = compiled.program.layers
    assert layer.input_range == (138 if dtype is INT8 else 245)


def test_qlinear_conv_with_the_channels_last() -> None:
    x, w = codes(UINT8, 2, 9, 9, 6), weights(INT8, 8, 6, 3, 3)
    constants = {
        "xs": np.array(0.05, np.float32), "xz": np.array(10, UINT8), "w": w, "ws": scales(), "wz": np.array(0, INT8),
        "ys": np.array(1.3, np.float32), "yz": np.array(20, UINT8),
    }  # fmt: skip
    order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    model = model_of("QLinearConv", {"x": x}, constants, order, domain="com.microsoft", channels_last=1)
    assert analog(check_exact(model, {"x": x})) == ["QLinearConv"]


@pytest.mark.parametrize("dtype", [UINT8, INT8])
@pytest.mark.parametrize("columns", [(), (20,)])
def test_qlinear_matmul(dtype: Any, columns: tuple[int, ...]) -> None:
    x, w = codes(dtype, 4, 300), weights(INT8, 300, 20)
    constants = {
        "xs": np.array(0.05, np.float32), "xz": np.array(10, dtype), "w": w, "ws": scales(*columns),
        "wz": np.zeros(columns, INT8), "ys": np.array(3.1, np.float32), "yz": np.array(20, dtype),
    }  # fmt: skip
    order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    assert analog(check_exact(model_of("QLinearMatMul", {"x": x}, constants, order), {"x": x})) == ["QLinearMatMul"]


@pytest.mark.parametrize("flips", [(0, 0), (0, 1), (1, 0)])
@pytest.mark.parametrize("columns", [(), (20,)])
@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_qgemm(flips: tuple[int, int], columns: tuple[int, ...], quantised: bool, bias: bool) -> None:
    x, w = codes(UINT8, *((30, 4) if flips[0] else (4, 30))), weights(INT8, *((20, 30) if flips[1] else (30, 20)))
    constants = {
        "xs": np.array(0.05, np.float32), "xz": np.array(10, UINT8), "w": w, "ws": scales(*columns),
        "wz": np.zeros(columns, INT8),
    }  # fmt: skip
    order = ["x", "xs", "xz", "w", "ws", "wz", ""]
    if bias:
        constants["c"] = np.random.default_rng(3).integers(-(2**20), 2**20, 20).astype(np.int32)
        order[6] = "c"
    if quantised:
        constants |= {"ys": np.array(1.1, np.float32), "yz": np.array(3, UINT8)}
        order += ["ys", "yz"]
    model = model_of(
        "QGemm", {"x": x}, constants, order, domain="com.microsoft", transA=flips[0], transB=flips[1], alpha=0.5
    )
    compiled = (check_exact if quantised else check_close)(model, {"x": x})
    assert analog(compiled) == ["QGemm"]


def test_scales_that_data_decides_stay_digital() -> None:
    x, w = codes(UINT8, 4, 30), weights(INT8, 30, 20)
    constants = {"xz": np.array(10, UINT8), "w": w, "ws": scales(), "wz": np.array(0, INT8)}
    constants |= {"ys": np.array(1.1, np.float32), "yz": np.array(3, UINT8)}
    order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    model = model_of("QLinearMatMul", {"x": x, "xs": np.array(0.5, np.float32)}, constants, order)
    assert decide(model) == {
        "layer": ("digital", "its second input, the scale of the activations, is an input and no constant")
    }


def test_integer_products_in_a_loop() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20]>
        g (uint8[N, 4] x, int64 n) => (int32[T, N, 3] y)
        <int8[4, 3] w = {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, 11, 12}, uint8 z = {3}, bool go = {1}, uint8 one = {1}> {
            last, y = Loop(n, go, x) <
                body = b (int64 i, bool c, uint8[N, 4] v) => (bool d, uint8[N, 4] u, int32[N, 3] s)
                { d = Identity(c) u = BitShift<direction = "RIGHT">(v, one) [m] s = MatMulInteger(v, w, z) }>
        }"""
    )
    feeds = {"x": codes(UINT8, 2, 4), "n": np.array(3)}
    assert analog(check_exact(model, feeds)) == ["MatMulInteger"]


def test_a_saved_program_keeps_its_integers(tmp_path: Path) -> None:
    x, w = codes(UINT8, 3, 300), weights(INT8, 300, 20)
    compiled = compile_one(model_of("MatMulInteger", {"x": x}, {"w": w}, ["x", "w"]), {"x": x})
    compiled.save(tmp_path / "model.mho")
    loaded = mho.Compiled.load(tmp_path / "model.mho")
    assert loaded.program.tensors["matrix/layer"].dtype == INT8
    wanted = x.astype(np.int64) @ w.astype(np.int64)
    np.testing.assert_array_equal(loaded.run(x, effects=Effects.ideal())["y"], wanted)


def test_the_interpreter_agrees() -> None:
    x, w = codes(UINT8, 3, 300), weights(INT8, 300, 20)
    program = compile_one(model_of("MatMulInteger", {"x": x}, {"w": w}, ["x", "w"]), {"x": x}).program
    unit = Interpreter(program, Conditions(effects=Effects.ideal()))
    found = run_samples(
        match_samples({"x": x}, program.inputs), Sequencer(program, unit, DigitalUnit(program.tensors)).run
    )
    wanted = x.astype(np.int64) @ w.astype(np.int64)
    np.testing.assert_allclose(found["y"], wanted, atol=2e-6 * np.abs(wanted).max() + 1)


def test_a_result_of_scale_zero_is_refused() -> None:
    x, w = codes(UINT8, 4, 30), weights(INT8, 30, 20)
    constants = {
        "xs": np.array(1, np.float32),
        "xz": np.array(10, UINT8),
        "w": w,
        "ws": scales(),
        "wz": np.array(0, INT8),
    }
    constants |= {"ys": np.array(0, np.float32), "yz": np.array(3, UINT8)}
    model = model_of("QLinearMatMul", {"x": x}, constants, ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"])
    with pytest.raises(ModelError, match="its scale 'ys' is 0, and nothing can be divided by it"):
        decide(model)

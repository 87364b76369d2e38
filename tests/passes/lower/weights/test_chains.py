"""Constants that reach a layer through chains of operators, in every number format, compiled and run."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mho.frontend import load_model
from mho.passes.lower import Lower
from mho.passes.simplify import Simplify
from mho.targets.steps import Analog, Step, bodies
from tests.passes.lower.single import analog, check_close, model_of_nodes, onnxruntime_outputs

RNG = np.random.default_rng(6)
X = RNG.standard_normal((3, 32)).astype(np.float32)
W = RNG.standard_normal((32, 20)).astype(np.float32)


def numbers(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), output.split(), name=f"{operator} {output}", **attributes)


CODES = RNG.integers(-8, 8, (32, 20)).astype(np.int8)
CHAINS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
    "split": ([node("Split", "w s", "a t b", axis=1)], {"w": numbers(32, 60), "s": np.array([20, 20, 20])}),
    "split evenly": ([node("Split", "w", "a t", axis=1, num_outputs=2)], {"w": numbers(32, 40)}),
    "gather": ([node("Gather", "w i", "t", axis=1)], {"w": numbers(32, 30), "i": RNG.permutation(30)[:20]}),
    "gather one": ([node("Gather", "w i", "t", axis=0)], {"w": numbers(3, 32, 20), "i": np.array(-1)}),
    "cast of integers": ([node("Cast", "w", "t", to=TensorProto.FLOAT)], {"w": CODES}),
    "scaled": ([node("Mul", "w s", "u"), node("Sub", "u z", "t")], {"w": W, "s": numbers(20), "z": numbers()}),
    "integers scaled": (
        [
            node("Cast", "w", "f", to=TensorProto.FLOAT),
            node("Cast", "z", "g", to=TensorProto.FLOAT),
            node("Sub", "f g", "u"),
            node("Mul", "s u", "t"),
        ],
        {"w": RNG.integers(0, 256, (32, 20)).astype(np.uint8), "z": np.array(128, np.uint8), "s": numbers(20)},
    ),
    "divided": ([node("Div", "w n", "t")], {"w": W, "n": np.linalg.norm(W, axis=0, keepdims=True)}),
    "divided by its norm": (
        [node("ReduceL2", "w a", "n"), node("Div", "w n", "u"), node("Mul", "u g", "t")],
        {"w": numbers(320, 20)[:32], "a": np.array([0]), "g": numbers(20)},
    ),
    "divided by its whole norm": (
        [node("ReduceL2", "w", "n", keepdims=0), node("Div", "w n", "t")],
        {"w": W},
    ),
    "sum of two": ([node("Add", "v w", "t")], {"v": W, "w": numbers(32, 20)}),
    "concatenated": ([node("Concat", "v w", "t", axis=1)], {"v": W[:, :8], "w": numbers(32, 12)}),
    "quantised and back": (
        [node("QuantizeLinear", "w s z", "q", axis=1), node("DequantizeLinear", "q s z", "t", axis=1)],
        {"w": W, "s": np.full(20, 0.02, np.float32), "z": np.arange(20).astype(np.int8)},
    ),
    "quantised and back, one scale": (
        [node("QuantizeLinear", "w s", "q"), node("DequantizeLinear", "q s", "t")],
        {"w": W, "s": np.array(0.02, np.float32)},
    ),
    "blocks": (
        [node("DequantizeLinear", "w s z", "t", axis=0, block_size=8)],
        {"w": CODES, "s": numbers(4, 20), "z": RNG.integers(-3, 3, (4, 20)).astype(np.int8)},
    ),
    "blocks that do not divide": (
        [node("DequantizeLinear", "w s", "t", axis=1, block_size=16)],
        {"w": CODES, "s": numbers(32, 2)},
    ),
    "int16": (
        [node("DequantizeLinear", "w s z", "t")],
        {"w": CODES.astype(np.int16) * 1000, "s": np.array(0.001, np.float32), "z": np.array(77, np.int16)},
    ),
    "onnxruntime's own form": (
        [node("DequantizeLinear", "w s z", "t", domain="com.microsoft", axis=1)],
        {"w": CODES, "s": numbers(20), "z": np.arange(20).astype(np.int8)},
    ),
    "int32": (
        [node("DequantizeLinear", "w s", "t")],
        {"w": CODES.astype(np.int32) * 10**6, "s": np.array(1e-6, np.float32)},
    ),
    "float16 scale": (
        [node("DequantizeLinear", "w s", "h"), node("Cast", "h", "t", to=TensorProto.FLOAT)],
        {"w": CODES, "s": np.array(0.013, np.float16)},
    ),
    "float16 sum": (
        [node("Add", "v w", "h"), node("Cast", "h", "t", to=TensorProto.FLOAT)],
        {"v": W.astype(np.float16), "w": numbers(32, 20).astype(np.float16)},
    ),
    "bfloat16": ([node("Cast", "w", "t", to=TensorProto.FLOAT)], {"w": W.astype(ml_dtypes.bfloat16)}),
    "float64": ([node("Cast", "w", "t", to=TensorProto.FLOAT)], {"w": W.astype(np.float64)}),
}
for name in ("int4", "uint4", "float8_e4m3fn", "float8_e5m2"):
    CHAINS[name] = (
        [node("DequantizeLinear", "w s", "t", axis=1)],
        {"w": np.abs(CODES).astype(getattr(ml_dtypes, name)), "s": numbers(20)},
    )


def model_of_chain(name: str, opset: int = 21) -> onnx.ModelProto:
    nodes, constants = CHAINS[name]
    tensors = [numpy_helper.from_array(a, n) for n, a in constants.items()]
    product = helper.make_node("MatMul", ["x", "t"], ["y"], name="layer")
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 32])]
    outputs = [helper.make_empty_tensor_value_info("y")]
    graph = helper.make_graph([*nodes, product], "g", ports, outputs, tensors)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=imports)


@pytest.mark.parametrize("fold", [0, 4096])
@pytest.mark.parametrize("name", CHAINS)
def test_chain(name: str, fold: int) -> None:
    # onnxruntime adds float16 in float32 and may leave out the rounding between.
    compiled = check_close(model_of_chain(name), {"x": X}, 1e-3 if name == "float16 sum" else 1e-5, fold)
    assert analog(compiled) == ["MatMul"]
    assert [type(step) for step in compiled.program.sequence] == [Analog]
    units = {decision.node: decision.unit for decision in compiled.program.decisions}
    assert units.pop("layer") == "analog"
    assert set(units.values()) == {"constant"}


def test_codes_are_stored_as_codes() -> None:
    """Integers of which only the format was changed stay in 8 bits in the program."""
    x, w = numbers(2, 80), RNG.integers(-128, 128, (80, 80)).astype(np.int8)
    nodes = [node("Cast", "w", "t", to=TensorProto.FLOAT), helper.make_node("MatMul", ["x", "t"], ["y"], name="layer")]
    compiled = check_close(model_of_nodes(nodes, {"x": x}, {"w": w}, ["y"]), {"x": x})
    np.testing.assert_array_equal(compiled.program.tensors["matrix/layer"], w[None], strict=True)


CONSTANTS = {
    "value_floats": helper.make_node("Constant", [], ["t"], value_floats=[1.0, 2.0, 3.0, 4.0]),
    "value": helper.make_node("Constant", [], ["t"], value=numpy_helper.from_array(numbers(4))),
    "value_ints": helper.make_node("Constant", [], ["t"], value_ints=[1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constant_nodes(name: str) -> None:
    nodes = [CONSTANTS[name], helper.make_node("Cast", ["t"], ["f"], to=TensorProto.FLOAT)]
    nodes += [
        helper.make_node("Reshape", ["f", "shape"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
    ]
    x = numbers(3, 4)
    model = model_of_nodes(nodes, {"x": x}, {"shape": np.array([4, 1])}, ["y"])
    assert analog(check_close(model, {"x": x})) == ["MatMul"]


def test_a_constant_that_is_an_output_too() -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W)),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
    ]
    network = Lower().run(Simplify().run(load_model(model_of_nodes(nodes, {"x": X}, {}, ["y", "w"]))))
    assert [layer.name for layer in _layers(network.steps)] == ["layer"]


def _layers(steps: tuple[Step, ...]) -> list[Analog]:
    found = [step for step in steps if isinstance(step, Analog)]
    return found + [layer for step in steps for body in bodies(step) for layer in _layers(body.steps)]


def test_a_chain_that_a_branch_captures() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20]>
        g (float[N, 4] x, bool c) => (float[N, 3] y)
        <int8[3, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float s = {0.25}> {
            d = DequantizeLinear(w, s)
            t = Transpose(d)
            y = If(c) <
                then_branch = a () => (float[N, 3] p) { h = Mul(t, s) [m] p = MatMul(x, h) },
                else_branch = b () => (float[N, 3] q) { [n] u = MatMul(x, t) q = Neg(u) }
            >
        }"""
    )
    x = numbers(2, 4)
    for condition in (True, False):
        compiled = check_close(model, {"x": x, "c": np.array(condition)})
        assert len(analog(compiled)) == 2


def test_a_long_chain_of_values_is_no_constant() -> None:
    """A thousand sums of run-time values are looked through without recursion, and once."""
    nodes = [helper.make_node("Add", [f"v{i}", f"v{i}"], [f"v{i + 1}"]) for i in range(1500)]
    nodes.append(helper.make_node("MatMul", ["v1500", "w"], ["y"], name="layer"))
    model = model_of_nodes(nodes, {"v0": X}, {"w": W}, ["y"])
    network = Lower().run(load_model(model))
    assert [layer.name for layer in _layers(network.steps)] == ["layer"]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("operator", ["MatMul", "Gemm", "FusedMatMul"])
def test_layers_in_other_formats(dtype: Any, operator: str) -> None:
    x, w = X.astype(dtype), W.astype(dtype)
    domain = "com.microsoft" if operator == "FusedMatMul" else ""
    nodes = [helper.make_node(operator, ["x", "w"], ["y"], name="layer", domain=domain)]
    model = model_of_nodes(nodes, {"x": x}, {"w": w}, ["y"])
    compiled = check_close(model, {"x": x}, tolerance=1e-3 if dtype == np.float16 else 1e-6)
    assert analog(compiled) == [operator]
    assert compiled.program.tensors["matrix/layer"].dtype == dtype


def test_bfloat16_weights_of_a_bfloat16_product() -> None:
    """onnxruntime multiplies no bfloat16, so such models cast their weights."""
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=TensorProto.BFLOAT16),
        helper.make_node("Cast", ["b"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "v"], ["y"], name="layer"),
    ]
    model = model_of_nodes(nodes, {"x": X}, {"w": W.astype(ml_dtypes.bfloat16)}, ["y"])
    assert analog(check_close(model, {"x": X})) == ["MatMul"]
    assert onnxruntime_outputs(model, {"x": X})["y"].shape == (3, 20)

"""onnxruntime's fused operators run on tiles, and what was fused follows the layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mho.targets.program import Program
from mho.targets.steps import Digital
from tests.passes.lower.single import analog, check_close, compile_one, decide, model_of

MICROSOFT = "com.microsoft"


def numbers(*shape: int) -> Any:
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape).astype(np.float32)


def digital(program: Program) -> list[str]:
    return [operator for step in program.sequence if isinstance(step, Digital) for operator in step.operators]


@pytest.mark.parametrize(
    ("activation", "parameters"),
    [
        ("", []),
        ("Relu", []),
        ("Tanh", []),
        ("Sigmoid", []),
        ("LeakyRelu", [0.2]),
        ("Clip", [-0.5, 0.9]),
        ("HardSigmoid", [0.3, 0.4]),
        ("HardSwish", []),
    ],
)
@pytest.mark.parametrize("addend", [False, True])
def test_fused_conv(activation: str, parameters: list[float], addend: bool) -> None:
    inputs = {"x": numbers(2, 4, 8, 8)}
    order = ["x", "w", "b"]
    if addend:
        inputs["z"] = numbers(2, 6, 4, 4)
        order.append("z")
    constants = {"w": numbers(6, 4, 3, 3), "b": numbers(6)}
    options: dict[str, Any] = {"pads": [1, 1, 1, 1], "strides": [2, 2]}
    if activation:
        options["activation"] = activation
    if parameters:
        options["activation_params"] = parameters
    model = model_of("FusedConv", inputs, constants, order, domain=MICROSOFT, **options)
    compiled = check_close(model, inputs)
    assert analog(compiled) == ["FusedConv"]
    rides = activation in ("", "Relu", "LeakyRelu", "Clip")
    assert digital(compiled.program) == ([] if rides else [activation])


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("Relu", {}),
        ("Elu", {"activation_alpha": 0.3}),
        ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.6}),
        ("Selu", {"activation_alpha": 1.3, "activation_gamma": 1.1}),
        ("ThresholdedRelu", {"activation_alpha": 0.3}),
        ("Softsign", {}),
    ],
)
@pytest.mark.parametrize("opset", [20, None])
def test_fused_gemm(activation: str, options: dict[str, Any], opset: int | None) -> None:
    x = numbers(3, 10)
    constants = {"w": numbers(7, 10), "c": numbers(7)}
    model = model_of(
        "FusedGemm", {"x": x}, constants, ["x", "w", "c"], opset=opset, domain=MICROSOFT,
        activation=activation, transB=1, alpha=0.5, beta=2.0, **options,
    )  # fmt: skip
    assert analog(check_close(model, {"x": x})) == ["FusedGemm"]


def test_an_activation_without_a_plain_operator_stays_digital() -> None:
    x, constants = numbers(3, 10), {"w": numbers(10, 7), "c": numbers(7)}
    model = model_of(
        "FusedGemm", {"x": x}, constants, ["x", "w", "c"], domain=MICROSOFT,
        activation="ScaledTanh", activation_alpha=0.5, activation_beta=0.5,
    )  # fmt: skip
    assert decide(model) == {"layer": ("digital", "its activation has no operator of its own in mho")}
    assert analog(check_close(model, {"x": x})) == []


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"),
    [
        ((3, 4), (4, 5), {}),
        ((4, 3), (4, 5), {"transA": 1}),
        ((2, 4, 3), (5, 4), {"transA": 1, "transB": 1, "alpha": 0.5}),
        ((2, 3, 4), (4, 5), {"alpha": -2.0}),
        ((2, 3, 4), (4, 2, 5), {"transBatchB": 1}),
        ((2, 3, 4), (5, 2, 4), {"transBatchB": 1, "transB": 1, "alpha": 3.0}),
        ((3, 2, 4), (2, 4, 5), {"transBatchA": 1}),
        ((4,), (5, 4), {"transA": 1, "transB": 1}),
    ],
)
@pytest.mark.parametrize("constant", ["w", "x"])
@pytest.mark.parametrize("opset", [20, None])
def test_fused_matmul(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any], constant: str, opset: int | None
) -> None:
    if x_shape == (4,) and constant == "x":
        options = {"transB": 1}
    factors = {"x": numbers(*x_shape), "w": numbers(*w_shape)}
    constants = {constant: factors.pop(constant)}
    model = model_of("FusedMatMul", factors, constants, ["x", "w"], opset=opset, domain=MICROSOFT, **options)
    compiled = check_close(model, factors)
    assert analog(compiled) == ["FusedMatMul"]
    assert compiled.program.layers[0].origins == ("layer",)


def test_fused_matmul_of_values_stays_digital() -> None:
    factors = {"x": numbers(3, 4), "w": numbers(3, 5)}
    model = model_of("FusedMatMul", factors, {}, ["x", "w"], domain=MICROSOFT, transA=1)
    reason = "both of its factors are computed at run time, as in attention, and a crossbar holds constants"
    assert decide(model) == {"layer": ("digital", reason)}


def test_the_alpha_is_the_layers_scale() -> None:
    x = numbers(3, 4)
    model = model_of("FusedMatMul", {"x": x}, {"w": numbers(4, 5)}, ["x", "w"], domain=MICROSOFT, alpha=0.25)
    compiled = compile_one(model, {"x": x})
    assert digital(compiled.program) == []
    np.testing.assert_array_equal(compiled.program.tensors["constant/layer/scale"], np.full(5, 0.25, np.float32))

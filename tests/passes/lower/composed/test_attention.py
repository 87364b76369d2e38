"""onnxruntime's Attention and QAttention: the projection runs on tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.passes.lower.single import analog, check_close, decide, model_of

MICROSOFT = "com.microsoft"
BATCH, LENGTH, WIDTH, HEADS = 2, 3, 8, 2
RNG = np.random.default_rng(4)


def numbers(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


X, PAST = numbers(BATCH, LENGTH, WIDTH), numbers(2, BATCH, HEADS, 4, WIDTH // HEADS)
MASK = np.array([[1, 1, 0], [1, 0, 0]], np.int32)
PROJECTION = {"w": numbers(WIDTH, 3 * WIDTH), "b": numbers(3 * WIDTH)}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "unidirectional": ({}, {"unidirectional": 1}),
    "scale": ({}, {"scale": 0.3}),
    "mask": ({"m": MASK}, {"mask_filter_value": -5.0}),
    "mask of lengths": ({"m": np.array([2, 3], np.int32)}, {}),
    "mask of packed samples": ({"m": np.array([2, 3, 0, 2, 5, 0, 2, 5], np.int32)}, {}),
    "mask of pairs": ({"m": RNG.integers(0, 2, (BATCH, LENGTH, LENGTH)).astype(np.int32)}, {}),
    "bias of pairs": ({"a": numbers(BATCH, HEADS, LENGTH, LENGTH)}, {}),
    "past": ({"p": PAST}, {"unidirectional": 1}),
    "past and mask": ({"p": PAST, "m": RNG.integers(0, 2, (BATCH, LENGTH + 4)).astype(np.int32)}, {}),
}


def attention(inputs: dict[str, Any], attributes: dict[str, Any], opset: int | None = 20) -> Any:
    """A model of one Attention with its optional inputs as constants."""
    order = ["x", "w", "b", *(name if name in inputs else "" for name in ("m", "p", "a"))]
    outputs = ("y", "present") if "p" in inputs else ("y",)
    return model_of(
        "Attention", {"x": X}, PROJECTION | inputs, order, outputs,
        opset=opset, domain=MICROSOFT, num_heads=HEADS, **attributes,
    )  # fmt: skip


@pytest.mark.parametrize("opset", [12, 20, None])
@pytest.mark.parametrize("case", CASES)
def test_attention(case: str, opset: int | None) -> None:
    compiled = check_close(attention(*CASES[case], opset), {"x": X})
    assert analog(compiled) == ["Attention"]
    (decision,) = compiled.program.decisions
    assert (decision.unit, decision.reason) == ("analog", "constant weights; the attention is digital")
    assert decision.detail == "8 × 24"


def test_values_of_another_width() -> None:
    constants = {"w": numbers(WIDTH, 8 + 8 + 12), "b": numbers(8 + 8 + 12)}
    model = model_of(
        "Attention",
        {"x": X},
        constants,
        ["x", "w", "b"],
        domain=MICROSOFT,
        num_heads=HEADS,
        qkv_hidden_sizes=[8, 8, 12],
    )
    assert analog(check_close(model, {"x": X})) == ["Attention"]


@pytest.mark.parametrize(
    ("inputs", "attributes", "reason"),
    [
        ({"m": np.array([2, 3, 1, 0], np.int32)}, {}, "its fourth input, the mask, tells where samples begin and end"),
        ({}, {"do_rotary": 1}, "it rotates queries and keys itself"),
    ],
)
def test_what_stays_digital(inputs: dict[str, Any], attributes: dict[str, Any], reason: str) -> None:
    assert decide(attention(inputs, attributes)) == {"layer": ("digital", reason)}


@pytest.mark.parametrize("columns", [(), (3 * WIDTH,)])
@pytest.mark.parametrize("past", [False, True])
def test_qattention(columns: tuple[int, ...], past: bool) -> None:
    x = RNG.integers(0, 256, (BATCH, LENGTH, WIDTH)).astype(np.uint8)
    constants = {
        "w": RNG.integers(-64, 64, (WIDTH, 3 * WIDTH)).astype(np.int8), "b": PROJECTION["b"],
        "xs": np.array(0.02, np.float32), "ws": RNG.uniform(0.005, 0.02, columns).astype(np.float32),
        "xz": np.array(120, np.uint8), "wz": np.zeros(columns, np.int8),
    }  # fmt: skip
    order = ["x", "w", "b", "xs", "ws", "", "xz", "wz"]
    if past:
        constants["p"] = PAST
        order.append("p")
    outputs = ("y", "present") if past else ("y",)
    model = model_of(
        "QAttention", {"x": x}, constants, order, outputs, domain=MICROSOFT, num_heads=HEADS, unidirectional=1
    )
    compiled = check_close(model, {"x": x})
    assert analog(compiled) == ["QAttention"]
    assert compiled.program.layers[0].input_range == 135

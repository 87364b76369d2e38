"""What users read about the rules, and the names that lowering gives out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from mho.passes.lower import explain_rules
from mho.passes.lower.digital import digital_reason
from mho.passes.lower.rule import Names


def test_every_rule_explains_itself_in_sentences() -> None:
    supports = explain_rules()
    operators = [support.operator for support in supports]
    plain = (
        "Conv ConvTranspose Einsum Gemm MatMul LSTM GRU RNN If Loop Scan "
        "ConvInteger MatMulInteger QLinearConv QLinearMatMul"
    )
    microsoft = (
        "Attention DynamicQuantizeMatMul FusedConv FusedGemm FusedMatMul MatMulBnb4 MatMulIntegerToFloat MatMulNBits "
        "QAttention QGemm QLinearConv TransposeMatMul"
    )
    assert {*plain.split(), *(f"com.microsoft.{name}" for name in microsoft.split())} == set(operators)
    assert len(operators) == len(set(operators))
    for support in supports:
        assert support.where in ("analog", "control")
        assert support.conditions
        assert all(text[0].isupper() and text.endswith(".") for text in support.conditions)


def test_names_are_given_once() -> None:
    names = Names({"a", "a_2"})
    assert [names.fresh("a"), names.fresh("a"), names.fresh("b")] == ["a_3", "a_4", "b"]


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("y = Relu(x)", "no weights: elementwise operator"),
        ("y = Transpose(x)", "no weights: data movement"),
        ("y = Softmax(x)", "no matrix: normalisation"),
        (
            "y = MatMul(x, x)",
            "both of its factors are computed at run time, as in attention, and a crossbar holds constants",
        ),
        (
            'y = Einsum<equation = "ij,jk->ik">(x, x)',
            "both of its factors are computed at run time, as in attention, and a crossbar holds constants",
        ),
    ],
)
def test_reasons_of_digital_steps(bench: Any, node: str, reason: str) -> None:
    model = bench.parse(f"agraph (float[3, 3] x) => (float[3, 3] y) {{ {node} }}")
    network = bench.check(model, {"x": np.eye(3, dtype=np.float32)})
    (decision,) = network.decisions
    assert (decision.unit, decision.reason) == ("digital", reason)


def test_ports_have_the_names_of_onnxruntime(bench: Any) -> None:
    model = bench.parse(
        "agraph (double[N, 3] a, int64[2] b, bool c) => (double[N, 3] y) { y = Identity(a) z = Add(b, b) u = Not(c) }"
    )
    ports = bench.lower(model).inputs
    assert [port.type for port in ports] == ["tensor(double)", "tensor(int64)", "tensor(bool)"]
    assert [port.shape for port in ports] == [("N", 3), (2,), ()]


@pytest.mark.parametrize(
    ("domain", "operator", "reason"),
    [
        ("", "Attention", "a product of activations with each other, as in attention, and a crossbar holds constants"),
        (
            "com.microsoft",
            "GroupQueryAttention",
            "a product of activations with each other, as in attention, and a crossbar holds constants",
        ),
        ("com.microsoft", "SkipLayerNormalization", "no matrix: normalisation"),
        ("com.microsoft", "QuickGelu", "no weights: elementwise operator"),
        ("com.microsoft", "QMoE", "a router chooses its weights at run time"),
        ("com.microsoft", "Inverse", "a transform or decomposition, computed exactly"),
        ("my.own", "Gelu", "mho has no rule for this operator"),
    ],
)
def test_reasons_of_other_domains(domain: str, operator: str, reason: str) -> None:
    assert digital_reason(ir.node(operator, [], domain=domain)).reason == reason

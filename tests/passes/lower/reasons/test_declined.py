"""Quantised and fused operators that stay digital: which input keeps them so, where it comes from, what to do."""

from __future__ import annotations

import onnx
import pytest

from tests.passes.lower.single import decision_on_layer

CODES = "int8[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}"
SCALES = "float s = {0.5}, float[2] ss = {1, 2}"
ZEROS = "uint8 z = {3}, int8 wz = {0}, uint8[2] zz = {1, 2}, int8[4, 3] many = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}"
KERNEL = "int8[3, 2, 1, 1] k = {1, 2, 3, 4, 5, 6}"
FLOATS = "float[4, 3] f = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}"
BYTES = ", ".join(map(str, range(24)))
BITS = f"uint8[3, 1, 8] p = {{{BYTES}}}, float[3, 1] ps = {{1, 2, 3}}"
PROJECTION = "float[2, 6] a = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[6] b = {1, 2, 3, 4, 5, 6}"
CONSTANTS = ", ".join((CODES, SCALES, ZEROS, KERNEL, FLOATS, BITS, PROJECTION))

Q = "uint8[2, 4] x, float r, int8 rz"
CASES = {
    "QLinearMatMul of a scale": (
        Q,
        "y = QLinearMatMul(x, r, z, w, s, wz, s, z)",
        ("its second input, the scale of the activations, is an input and no constant", "'r', an input", "initializer"),
    ),
    "QLinearMatMul of a result's scale": (
        Q,
        "[n] q = Abs(r) [layer] y = QLinearMatMul(x, s, z, w, s, wz, q, z)",
        (
            "its seventh input, the scale of the result, is computed at run time",
            "'q' from node 'n' (Abs)",
            "does not depend on the inputs",
        ),
    ),
    "QLinearMatMul of several scales": (
        Q,
        "y = QLinearMatMul(x, ss, z, w, s, wz, s, z)",
        (
            "its second input, the scale of the activations, is not one number",
            "'ss', an initializer, of shape [2]",
            "one scale and one zero point",
        ),
    ),
    "QLinearMatMul of two values": (
        "uint8[2, 4] x, int8[4, 3] v",
        "y = QLinearMatMul(x, s, z, v, s, wz, s, z)",
        ("both of its factors are computed at run time, as in attention", "'x', an input and 'v', an input", ""),
    ),
    "QLinearConv of kernels": (
        "uint8[1, 2, 3, 3] x, int8[3, 2, 1, 1] v",
        "[n] q = Identity(v) [layer] y = QLinearConv(x, s, z, q, s, wz, s, z)",
        ("its fourth input, the weights, is an input and no constant", "'v', an input", "initializer"),
    ),
    "QLinearConv of a bias": (
        "uint8[1, 2, 3, 3] x, int32[3] v",
        "y = QLinearConv(x, s, z, k, s, wz, s, z, v)",
        ("its 9th input, the bias, is an input and no constant", "'v', an input", "initializer"),
    ),
    "MatMulInteger of a zero point": (
        Q,
        "y = MatMulInteger(x, w, z, rz)",
        ("its fourth input, the zero points of the weights, is an input and no constant", "'rz', an input", "init"),
    ),
    "MatMulInteger of several zero points": (
        Q,
        "y = MatMulInteger(x, w, zz)",
        (
            "its third input, the zero point of the activations, is not one number",
            "'zz', an initializer, of shape [2]",
            "one scale and one zero point",
        ),
    ),
    "MatMulInteger of a zero point each": (
        Q,
        "y = MatMulInteger(x, w, z, many)",
        (
            "its fourth input, the zero points of the weights, is not one number a column",
            "'many', an initializer, of shape [4, 3]",
            "one zero point for each column",
        ),
    ),
    "ConvInteger of kernels": (
        "uint8[1, 2, 3, 3] x, int8[3, 2, 1, 1] v",
        "y = ConvInteger(x, v)",
        ("its second input, the weights, is an input and no constant", "'v', an input", "initializer"),
    ),
    "DynamicQuantizeMatMul of a scale": (
        "float[2, 4] x, float r",
        "y = com.microsoft.DynamicQuantizeMatMul(x, w, r)",
        ("its third input, the scale of the weights, is an input and no constant", "'r', an input", "initializer"),
    ),
    "MatMulIntegerToFloat of weights": (
        "uint8[2, 4] x, int8[4, 3] v",
        "y = com.microsoft.MatMulIntegerToFloat(x, v, s, s)",
        ("both of its factors are computed at run time, as in attention", "'x', an input and 'v', an input", ""),
    ),
    "FusedMatMul of sizes": (
        "float[a, 2, 4] x",
        "[n] e = Concat<axis = 0>(f, f) [r] g = Reshape(e, t) [layer] y = com.microsoft.FusedMatMul<alpha = 2.0>(x, g)",
        (
            "its constant has batch axes, and the sizes of those of its first input are not known",
            "'x', an input, of shape [a, 2, 4]",
            "--dim NAME=N",
        ),
    ),
    "FusedGemm of an activation": (
        "float[2, 4] x",
        'y = com.microsoft.FusedGemm<activation = "ScaledTanh", activation_alpha = 0.5, activation_beta = 0.5>(x, f)',
        ("its activation has no operator of its own in mho", "'ScaledTanh'", "before an optimiser fused"),
    ),
    "FusedConv of kernels": (
        "float[1, 2, 3, 3] x, float[3, 2, 1, 1] v",
        "y = com.microsoft.FusedConv(x, v)",
        ("its second input, the weights, is an input and no constant", "'v', an input", "initializer"),
    ),
    "MatMulNBits of scales": (
        "float[2, 16] x, float[3, 1] r",
        "y = com.microsoft.MatMulNBits<K = 16, N = 3, bits = 4, block_size = 16>(x, p, r)",
        ("its third input, the scales of the weights, is an input and no constant", "'r', an input", "initializer"),
    ),
    "MatMulBnb4 of weights": (
        "float[2, 16] x, uint8[24] v",
        "y = com.microsoft.MatMulBnb4<K = 16, N = 3, quant_type = 1, block_size = 16>(x, v, ps)",
        ("its second input, the packed weights, is an input and no constant", "'v', an input", "initializer"),
    ),
    "Attention of weights": (
        "float[1, 3, 2] x, float[2, 6] v",
        "y = com.microsoft.Attention<num_heads = 1>(x, v, b)",
        ("its second input, the weights, is an input and no constant", "'v', an input", "initializer"),
    ),
    "Attention of a mask": (
        "float[B, 3, 2] x, int32[M] l",
        "y = com.microsoft.Attention<num_heads = 1>(x, a, b, l)",
        (
            "its fourth input, the mask, tells where samples begin and end",
            "'l', an input, of shape [M]",
            "a mask of [batch, length]",
        ),
    ),
    "QAttention of a scale": (
        "uint8[1, 3, 4] x, float r",
        "y = com.microsoft.QAttention<num_heads = 1>(x, w, ss, s, r)",
        ("its fifth input, the scale of the weights, is an input and no constant", "'r', an input", "initializer"),
    ),
}


def model_of_text(ports: str, nodes: str) -> onnx.ModelProto:
    text = nodes if "[layer]" in nodes else f"[layer] {nodes}"
    graph = f"g ({ports}) => (y) <{CONSTANTS}, int64[3] t = {{2, 4, 3}}> {{ {text} }}"
    header = '<ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>'
    model: onnx.ModelProto = onnx.parser.parse_model(f"{header} {graph}")
    return model


@pytest.mark.parametrize("case", CASES)
def test_declined(case: str) -> None:
    ports, nodes, (reason, detail, remedy) = CASES[case]
    decision = decision_on_layer(model_of_text(ports, nodes))
    assert decision.unit == "digital"
    assert decision.reason.startswith(reason) and detail in decision.detail
    assert remedy in decision.remedy and bool(remedy) == bool(decision.remedy)

"""What onnxruntime's operators become, as text: the layer, and the digital steps around it."""

from __future__ import annotations

from typing import Protocol

import onnx
import pytest

from mho.frontend import load_model
from mho.passes.levels.dump import level_text
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.passes.simplify import Simplify

MODELS = {
    "qlinear_conv": """
        g (uint8[N, 2, 4, 4] x) => (uint8[N, 3, 4, 4] y)
        <int8[3, 2, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[3] ws = {0.5, 1, 2}, int8[3] wz = {0, 0, 0}, float s = {0.25},
         uint8 z = {128}, int32[3] b = {1, 2, 3}> {
            [conv] y = QLinearConv(x, s, z, w, ws, wz, s, z, b)
        }""",
    "matmul_integer": """
        g (uint8[N, 4] x) => (int32[N, 3] y) <int8[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, uint8 z = {3}> {
            [product] y = MatMulInteger(x, w, z)
        }""",
    "dynamic_quantize_matmul": """
        g (float[N, 4] x) => (float[N, 3] y)
        <int8[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[3] s = {0.5, 1, 2}, int8[3] z = {1, 2, 3},
         float[3] b = {1, 2, 3}> {
            [product] y = com.microsoft.DynamicQuantizeMatMul(x, w, s, z, b)
        }""",
    "fused_conv": """
        g (float[2, 2, 4, 4] x, float[2, 3, 4, 4] z) => (float[2, 3, 4, 4] y)
        <float[3, 2, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[3] b = {1, 2, 3}> {
            [conv] y = com.microsoft.FusedConv<activation = "Tanh">(x, w, b, z)
        }""",
    "attention": """
        g (float[N, S, 2] x, int32[N, S] m) => (float[N, S, 2] y)
        <float[2, 6] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[6] b = {1, 2, 3, 4, 5, 6}> {
            [attend] y = com.microsoft.Attention<num_heads = 1>(x, w, b, m)
        }""",
}


class Golden(Protocol):
    """Compares a text with a kept one."""

    def check(self, name: str, text: str) -> None: ...


def parse(text: str) -> onnx.ModelProto:
    header = '<ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>'
    model: onnx.ModelProto = onnx.parser.parse_model(header + text)
    return model


def lower(text: str) -> Network:
    return Lower().run(Simplify().run(load_model(parse(text))))


@pytest.mark.parametrize("name", MODELS)
def test_steps(name: str, golden: Golden) -> None:
    network = lower(MODELS[name])
    golden.check(f"lower/{name}.txt", level_text(network))
    (node, *others) = {name for origin in network.origins.values() for name in origin.nodes}
    assert not others and [decision.node for decision in network.decisions] == [node]


def test_equal_weights_are_one_matrix() -> None:
    """Two products of the same integers share their matrix where their zero points are the same too."""
    graph = """
        g (uint8[N, 2] x) => (int32[N, 2] p, int32[N, 2] q, int32[N, 2] r)
        <int8[2, 2] w = {1, 2, 3, 4}, uint8 z = {3}, int8 one = {1}> {
            [p] p = MatMulInteger(x, w, z) [q] q = MatMulInteger(x, w) [r] r = MatMulInteger(x, w, z, one)
        }"""
    network = lower(graph)
    assert [matrix.origins for matrix in network.matrices.values()] == [("w", "p", "q"), ("w", "r")]

"""GPT-2 small (Radford et al., 2019) with random weights.

Layer normalisation stands before each part. The table that embeds the tokens is also the matrix of the last product:
one initializer, looked up by Gather and multiplied after a Transpose.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from mho.examples.attention import TransformerSize, attend, embedding, gelu_tanh
from mho.examples.builder import Builder

SMALL = TransformerSize(vocabulary=50257, positions=1024)


def gpt2(seed: int = 0, size: TransformerSize = SMALL) -> onnx.ModelProto:
    """Input `input_ids` [N, S] int64, output `logits` [N, S, vocabulary].

    Of the small size, the projections hold 84,934,656 weights and the tied table 38,597,376.
    """
    net = Builder("gpt2", seed)
    x, table = embedding(net, net.input("input_ids", ["N", "S"], TensorProto.INT64), size)
    mask = _causal_mask(net, "positions")
    for index in range(size.layers):
        x = _layer(net, f"layer{index}", x, mask, size)
    x = net.layer_norm("last_norm", x, size.width)
    columns = net.op("Transpose", "output.weight", table, perm=[1, 0])
    net.output(net.op("MatMul", "logits", x, columns), ["N", "S", size.vocabulary])
    return net.model


def _causal_mask(net: Builder, positions: str) -> str:
    """0 where a token (row) may look at another (column), itself or earlier, and -10,000 elsewhere, as [S, S]."""
    columns = net.op("Unsqueeze", "mask.columns", positions, net.constant("mask.first_axis", np.array([0])))
    rows = net.op("Unsqueeze", "mask.rows", positions, net.constant("mask.last_axis", np.array([1])))
    later = net.op("Cast", "mask.later", net.op("Greater", "mask.greater", columns, rows), to=TensorProto.FLOAT)
    return net.op("Mul", "mask", later, net.constant("mask.lowest", np.float32(-1e4)))


def _layer(net: Builder, name: str, x: str, mask: str, size: TransformerSize) -> str:
    width = size.width
    normal = net.layer_norm(f"{name}.attention_norm", x, width)
    qkv = net.linear(f"{name}.qkv", normal, width, 3 * width)
    query, key, value = (f"{name}.{part}" for part in ("query", "key", "value"))
    widths = net.constant(f"{name}.widths", np.array([width] * 3))
    net.ops("Split", f"{name}.split", qkv, widths, outputs=[query, key, value], axis=-1)
    attended = attend(net, f"{name}.attention", (query, key, value), mask, size)
    x = net.op("Add", f"{name}.attention_sum", x, net.linear(f"{name}.attention_output", attended, width, width))
    normal = net.layer_norm(f"{name}.inner_norm", x, width)
    inner = gelu_tanh(net, f"{name}.gelu", net.linear(f"{name}.up", normal, width, size.inner))
    return net.op("Add", f"{name}.sum", x, net.linear(f"{name}.down", inner, size.inner, width))

"""The encoder of BERT-base (Devlin et al., arXiv 1810.04805) with random weights.

Every token is of segment 0. Layer normalisation stands after each sum, Gelu is exact, and there is no pooler.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from mho.examples.attention import TransformerSize, attend, embedding, gelu
from mho.examples.builder import Builder

BASE = TransformerSize(vocabulary=30522, positions=512)


def bert(seed: int = 0, size: TransformerSize = BASE) -> onnx.ModelProto:
    """Inputs `input_ids` and `attention_mask` [N, S] int64, output `last_hidden_state` [N, S, width].

    The projections of the base size hold 84,934,656 weights.
    """
    net = Builder("bert", seed)
    tokens = net.input("input_ids", ["N", "S"], TensorProto.INT64)
    mask = _mask(net, net.input("attention_mask", ["N", "S"], TensorProto.INT64))
    words, _ = embedding(net, tokens, size)
    segmented = net.op("Add", "embedding.segmented", words, net.bias("embedding.segment", size.width))
    x = net.layer_norm("embedding", segmented, size.width)
    for index in range(size.layers):
        last = "last_hidden_state" if index == size.layers - 1 else f"layer{index}"
        x = _layer(net, f"layer{index}", last, x, mask, size)
    net.output(x, ["N", "S", size.width])
    return net.model


def _mask(net: Builder, kept: str) -> str:
    """0 where a token is kept and -10,000 where it is padding, as [N, 1, 1, S]."""
    wide = net.op("Unsqueeze", "mask.wide", kept, net.constant("mask.axes", np.array([1, 2])))
    ones = net.op("Cast", "mask.ones", wide, to=TensorProto.FLOAT)
    dropped = net.op("Sub", "mask.dropped", net.constant("mask.one", np.float32(1)), ones)
    return net.op("Mul", "mask", dropped, net.constant("mask.lowest", np.float32(-1e4)))


def _layer(net: Builder, name: str, result: str, x: str, mask: str, size: TransformerSize) -> str:
    width = size.width
    query, key, value = (net.linear(f"{name}.{part}", x, width, width) for part in ("query", "key", "value"))
    attended = attend(net, f"{name}.attention", (query, key, value), mask, size)
    mixed = net.linear(f"{name}.attention_output", attended, width, width)
    x = net.layer_norm(f"{name}.attention_norm", net.op("Add", f"{name}.attention_sum", mixed, x), width)
    inner = gelu(net, f"{name}.gelu", net.linear(f"{name}.up", x, width, size.inner))
    outer = net.linear(f"{name}.down", inner, size.inner, width)
    return net.layer_norm(result, net.op("Add", f"{name}.sum", outer, x), width)

"""The character LSTM for the Penn Treebank that ran on the chip of Le Gallo et al., Nature Electronics 6 (2023).

Published are its matrices: 128 × 2016 and 504 × 2016 for the LSTM, 504 × 50 for the output. The embedding of 50
characters to 128 values is looked up digitally. Weights are random.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto

from mho.examples.builder import Builder

CHARACTERS, EMBEDDING, HIDDEN = 50, 128, 504


def ptb_lstm(seed: int = 0) -> onnx.ModelProto:
    """Input `characters` [N, T] int64 below 50, output `logits` [N, T, 50]; 1,299,312 weights in matrices."""
    net = Builder("ptb-lstm", seed)
    characters = net.input("characters", ["N", "T"], TensorProto.INT64)
    table = net.weight("embedding.weight", CHARACTERS, EMBEDDING, fan_in=1)
    x = net.op("Gather", "embedding", table, characters)
    x = net.op("Transpose", "time_first", x, perm=[1, 0, 2])
    x = net.lstm("lstm", x, EMBEDDING, HIDDEN)
    x = net.op("Transpose", "batch_first", x, perm=[1, 0, 2])
    net.output(net.linear("logits", x, HIDDEN, CHARACTERS), ["N", "T", CHARACTERS])
    return net.model

"""The RNN-T of MLPerf inference for LibriSpeech, which ran on five chips in Ambrogio et al., Nature 620 (2023).

Its three networks are apart, as a speech recogniser calls them at different rates. The encoder reads 80 log-mel
features of 3 frames at a time (240), stacks two time steps between its second and third LSTM, and has five LSTMs of
1,024. The prediction network reads the letters so far through an embedding of 320 and two LSTMs of 320. The joint
network adds both up to 29 letters: 1344 × 512, Relu, 512 × 29. Weights are random.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from mho.examples.builder import Builder

LETTERS = 29


def encoder(seed: int = 0, features: int = 240, hidden: int = 1024) -> onnx.ModelProto:
    """Input `features` [N, T, 240] with an even T, output `encoding` [N, T_half, 1024]; 42,926,080 weights."""
    net = Builder("rnnt-encoder", seed)
    x = net.input("features", ["N", "T", features])
    x = net.op("Transpose", "time_first", x, perm=[1, 0, 2])
    x = net.lstm("lstm0", x, features, hidden)
    x = net.lstm("lstm1", x, hidden, hidden)
    x = _stacked(net, x, hidden)
    x = net.lstm("lstm2", x, 2 * hidden, hidden)
    x = net.lstm("lstm3", x, hidden, hidden)
    x = net.lstm("lstm4", x, hidden, hidden)
    net.output(net.op("Transpose", "encoding", x, perm=[1, 0, 2]), ["N", "T_half", hidden])
    return net.model


def _stacked(net: Builder, x: str, hidden: int) -> str:
    """Two time steps side by side: from [T, N, hidden] to [T/2, N, 2 · hidden]."""
    batch_first = net.op("Transpose", "stack.batch_first", x, perm=[1, 0, 2])
    pairs = net.op("Reshape", "stack.pairs", batch_first, net.constant("stack.shape", np.array([0, -1, 2 * hidden])))
    return net.op("Transpose", "stack", pairs, perm=[1, 0, 2])


def prediction(seed: int = 0, hidden: int = 320) -> onnx.ModelProto:
    """Input `letters` [N, U] int64 below 29, output `prediction` [N, U, 320]; 1,638,400 weights in matrices."""
    net = Builder("rnnt-prediction", seed)
    letters = net.input("letters", ["N", "U"], TensorProto.INT64)
    x = net.op("Gather", "embedding", net.weight("embedding.weight", LETTERS, hidden, fan_in=1), letters)
    x = net.op("Transpose", "time_first", x, perm=[1, 0, 2])
    x = net.lstm("lstm0", x, hidden, hidden)
    x = net.lstm("lstm1", x, hidden, hidden)
    net.output(net.op("Transpose", "prediction", x, perm=[1, 0, 2]), ["N", "U", hidden])
    return net.model


def joint(seed: int = 0) -> onnx.ModelProto:
    """Inputs `encoding` [N, 1024] and `prediction` [N, 320], output `logits` [N, 29]; 702,976 weights."""
    net = Builder("rnnt-joint", seed)
    both = net.input("encoding", ["N", 1024]), net.input("prediction", ["N", 320])
    x = net.op("Concat", "both", *both, axis=1)
    x = net.op("Relu", "hidden.relu", net.gemm("hidden", x, 1344, 512, gain=2))
    net.output(net.gemm("logits", x, 512, LETTERS), ["N", LETTERS])
    return net.model

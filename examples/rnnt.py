"""The RNN-T of MLPerf inference for LibriSpeech, which ran on five chips in Ambrogio et al., Nature 620 (2023).

Its three networks are apart, as a speech recogniser calls them at different rates; `transducer` is all of them in one
graph, as a toolkit exports it that trains them together. The encoder reads 80 log-mel
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
    net.output(_encoder(net, features, hidden, "", "encoding"), ["N", "T_half", hidden])
    return net.model


def _encoder(net: Builder, features: int, hidden: int, prefix: str, output: str) -> str:
    """The encoder's nodes, from an input `features` of its own."""
    x = net.input("features", ["N", "T", features])
    x = net.op("Transpose", f"{prefix}time_first", x, perm=[1, 0, 2])
    x = net.lstm(f"{prefix}lstm0", x, features, hidden)
    x = net.lstm(f"{prefix}lstm1", x, hidden, hidden)
    x = _stacked(net, x, hidden, prefix)
    x = net.lstm(f"{prefix}lstm2", x, 2 * hidden, hidden)
    x = net.lstm(f"{prefix}lstm3", x, hidden, hidden)
    x = net.lstm(f"{prefix}lstm4", x, hidden, hidden)
    return net.op("Transpose", output, x, perm=[1, 0, 2])


def _stacked(net: Builder, x: str, hidden: int, prefix: str) -> str:
    """Two time steps side by side: from [T, N, hidden] to [T/2, N, 2 · hidden]."""
    batch_first = net.op("Transpose", f"{prefix}stack.batch_first", x, perm=[1, 0, 2])
    shape = net.constant(f"{prefix}stack.shape", np.array([0, -1, 2 * hidden]))
    pairs = net.op("Reshape", f"{prefix}stack.pairs", batch_first, shape)
    return net.op("Transpose", f"{prefix}stack", pairs, perm=[1, 0, 2])


def prediction(seed: int = 0, hidden: int = 320) -> onnx.ModelProto:
    """Input `letters` [N, U] int64 below 29, output `prediction` [N, U, 320]; 1,638,400 weights in matrices."""
    net = Builder("rnnt-prediction", seed)
    net.output(_prediction(net, hidden, "", "prediction"), ["N", "U", hidden])
    return net.model


def _prediction(net: Builder, hidden: int, prefix: str, output: str) -> str:
    """The prediction network's nodes, from an input `letters` of its own."""
    letters = net.input("letters", ["N", "U"], TensorProto.INT64)
    table = net.weight(f"{prefix}embedding.weight", LETTERS, hidden, fan_in=1)
    x = net.op("Gather", f"{prefix}embedding", table, letters)
    x = net.op("Transpose", f"{prefix}time_first", x, perm=[1, 0, 2])
    x = net.lstm(f"{prefix}lstm0", x, hidden, hidden)
    x = net.lstm(f"{prefix}lstm1", x, hidden, hidden)
    return net.op("Transpose", output, x, perm=[1, 0, 2])


def joint(seed: int = 0) -> onnx.ModelProto:
    """Inputs `encoding` [N, 1024] and `prediction` [N, 320], output `logits` [N, 29]; 702,976 weights."""
    net = Builder("rnnt-joint", seed)
    both = net.input("encoding", ["N", 1024]), net.input("prediction", ["N", 320])
    x = net.op("Concat", "both", *both, axis=1)
    x = net.op("Relu", "hidden.relu", net.gemm("hidden", x, 1344, 512, gain=2))
    net.output(net.gemm("logits", x, 512, LETTERS), ["N", LETTERS])
    return net.model


def transducer(seed: int = 0, features: int = 240, hidden: int = 1024, predicted: int = 320) -> onnx.ModelProto:
    """All three in one graph; the joint network sees each time step with each letter so far.

    Inputs `features` [N, T, 240] with an even T and `letters` [N, U] int64, output `logits` [N, T_half, U, 29].
    45,267,456 weights in matrices: the encoder's and the prediction network's as above, and 702,976 of the joint
    network's nodes `joint.hidden.product` and `joint.logits.product`.
    """
    net = Builder("rnnt", seed)
    encoding = _encoder(net, features, hidden, "encoder.", "encoder")
    states = _prediction(net, predicted, "prediction.", "prediction")
    x = _paired(net, encoding, states)
    x = net.op("Relu", "joint.hidden.relu", net.linear("joint.hidden", x, hidden + predicted, 512))
    net.output(net.linear("joint.logits", x, 512, LETTERS), ["N", "T_half", "U", LETTERS])
    return net.model


def _paired(net: Builder, encoding: str, states: str) -> str:
    """[N, T, E] and [N, U, P] side by side for each pair of T and U: [N, T, U, E + P]."""
    axes = {name: net.constant(f"joint.{name}", np.array([axis])) for name, axis in (("times", 1), ("letters", 2))}
    unit, two = net.constant("joint.one", np.array([1])), net.constant("joint.two", np.array([2]))
    count = [
        net.op("Slice", f"joint.count_{name}", net.op("Shape", f"joint.shape_{name}", value), unit, two)
        for name, value in (("times", encoding), ("letters", states))
    ]
    across = net.op("Concat", "joint.across", unit, unit, count[1], unit, axis=0)
    down = net.op("Concat", "joint.down", unit, count[0], unit, unit, axis=0)
    encoded = net.op("Expand", "joint.encoding", net.op("Unsqueeze", "joint.frames", encoding, axes["letters"]), across)
    said = net.op("Expand", "joint.prediction", net.op("Unsqueeze", "joint.said", states, axes["times"]), down)
    return net.op("Concat", "joint.both", encoded, said, axis=3)

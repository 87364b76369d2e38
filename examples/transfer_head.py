"""The largest layer that was trained on cells of a capacitor and two PCM devices (Ambrogio et al., Nature 558, 2018).

Transfer learning: 2,048 features of a network that stays as it is, and one more input that is always 1 and whose
weights are the biases, to 100 classes: (2048 + 1) × 100 = 204,900 weights. Weights are random.
"""

from __future__ import annotations

import numpy as np
import onnx

from mho.examples.builder import Builder

FEATURES, CLASSES = 2048, 100


def transfer_head(seed: int = 0) -> onnx.ModelProto:
    """Input `features` [N, 2048] float32, output `logits` [N, 100]; 204,900 weights, the biases among them."""
    net = Builder("transfer-head", seed)
    features = net.input("features", ["N", FEATURES])
    ends, one = net.constant("ends", np.array([0, 0, 0, 1])), net.constant("one", np.float32(1))
    inputs = net.op("Pad", "with_one", features, ends, one)
    weight = net.weight("weight", FEATURES + 1, CLASSES, fan_in=FEATURES + 1)
    net.output(net.op("MatMul", "logits", inputs, weight), ["N", CLASSES])
    return net.model

"""MobileNetV2: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018, table 2, width 1.

Batch normalisation is folded into the convolutions. Weights are random.
"""

from __future__ import annotations

import numpy as np
import onnx

from mho.examples.builder import Builder

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, columns, blocks and stride of the first block."""

LAST = 1280
CLASSES = 1000


def mobilenet_v2(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 3,469,760 weights, biases not counted."""
    net = Builder("mobilenet-v2", seed)
    bounds = net.constant("zero", np.float32(0)), net.constant("six", np.float32(6))

    def conv(name: str, x: str, incoming: int, outgoing: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        pads = [kernel // 2] * 4
        x = net.convolution(name, x, incoming, outgoing, kernel, stride, pads, groups)
        return net.op("Clip", f"{name}.relu6", x, *bounds)

    def block(name: str, x: str, incoming: int, outgoing: int, expansion: int, stride: int) -> str:
        width = incoming * expansion
        y = x if expansion == 1 else conv(f"{name}.expand", x, incoming, width, 1)
        y = conv(f"{name}.depthwise", y, width, width, 3, stride, groups=width)
        y = net.convolution(f"{name}.project", y, width, outgoing, 1, gain=1.0)
        return net.op("Add", f"{name}.add", y, x) if stride == 1 and incoming == outgoing else y

    x = conv("stem", net.input("image", ["N", 3, 224, 224]), 3, 32, 3, 2)
    channels = 32
    for stage, (expansion, outgoing, blocks, first) in enumerate(STAGES):
        for index in range(blocks):
            x = block(f"block{stage + 1}.{index}", x, channels, outgoing, expansion, 1 if index else first)
            channels = outgoing
    x = net.op("GlobalAveragePool", "pool", conv("last", x, channels, LAST, 1))
    net.gemm("logits", net.op("Flatten", "flatten", x), LAST, CLASSES)
    net.output("logits", ["N", CLASSES])
    return net.model

"""SqueezeNet 1.1: Iandola et al., arXiv 1602.07360, in the smaller version of its authors' repository.

Sizes are those of the onnx package's `light_squeezenet.onnx`. Weights are random.
"""

from __future__ import annotations

import onnx

from mho.examples.builder import Builder

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Columns of the squeezing convolution and of each of the two expanding ones."""

POOLED = (0, 2, 4)
"""Fire modules before which the picture is halved."""

CLASSES = 1000


def squeezenet(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 1,231,552 weights, biases not counted."""
    net = Builder("squeezenet", seed)

    def conv(name: str, x: str, incoming: int, outgoing: int, kernel: int) -> str:
        return net.op("Relu", f"{name}.relu", net.convolution(name, x, incoming, outgoing, kernel))

    x = net.convolution("conv1", net.input("image", ["N", 3, 224, 224]), 3, 64, 3, 2, pads=[0] * 4)
    x, width = net.op("Relu", "conv1.relu", x), 64
    for index, (squeezed, expanded) in enumerate(FIRES):
        if index in POOLED:
            x = net.op("MaxPool", f"pool{index}", x, kernel_shape=[3, 3], strides=[2, 2])
        name = f"fire{index + 2}"
        x = conv(f"{name}.squeeze", x, width, squeezed, 1)
        parts = [conv(f"{name}.expand{k}", x, squeezed, expanded, k) for k in (1, 3)]
        x, width = net.op("Concat", name, *parts, axis=1), 2 * expanded
    x = net.op("GlobalAveragePool", "pool", conv("conv10", x, width, CLASSES, 1))
    net.output(net.op("Flatten", "logits", x), ["N", CLASSES])
    return net.model

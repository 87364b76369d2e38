"""ShuffleNet v1: Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile devices",
CVPR 2018, in the width and with the four groups of the onnx package's `light_shufflenet.onnx`.

The grouped convolutions of a unit keep its width there, where the paper narrows to a quarter. Batch normalisation is
folded into the convolutions. Weights are random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from mho.examples.builder import Builder

GROUPS = 4
FIRST = 24
STAGES = ((136, 4), (272, 8), (544, 4))
"""Channels and units of each stage; its first unit halves the picture."""

CLASSES = 1000


@dataclass(frozen=True)
class _Units:
    """The shuffle units of a network."""

    net: Builder

    def run(self, name: str, x: str, incoming: int, outgoing: int, size: int) -> str:
        """A unit; one that widens also halves the picture and puts its pooled input beside its result.

        Args:
            size: side of the picture that comes in.
        """
        net, widens = self.net, incoming != outgoing
        width, stride = (outgoing - incoming, 2) if widens else (outgoing, 1)
        y = net.convolution(f"{name}.conv1", x, incoming, width, 1, groups=GROUPS)
        y = self._shuffled(name, net.op("Relu", f"{name}.relu1", y), width, size)
        y = net.convolution(f"{name}.conv2", y, width, width, 3, stride, [1] * 4, width, gain=1.0)
        y = net.convolution(f"{name}.conv3", y, width, width, 1, groups=GROUPS, gain=0.5)
        if widens:
            pooled = net.op("AveragePool", f"{name}.pool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
            y = net.op("Concat", f"{name}.concat", y, pooled, axis=1)
        else:
            y = net.op("Add", f"{name}.add", y, x)
        return net.op("Relu", f"{name}.relu", y)

    def _shuffled(self, name: str, x: str, channels: int, size: int) -> str:
        """Channels of all groups by turns."""
        net = self.net
        apart = net.constant(f"{name}.apart", np.array([-1, GROUPS, channels // GROUPS, size, size]))
        joined = net.constant(f"{name}.joined", np.array([-1, channels, size, size]))
        y = net.op("Reshape", f"{name}.split", x, apart)
        y = net.op("Transpose", f"{name}.turn", y, perm=[0, 2, 1, 3, 4])
        return net.op("Reshape", f"{name}.shuffle", y, joined)


def shufflenet(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 1,365,464 weights, biases not counted."""
    net = Builder("shufflenet", seed)
    x = net.convolution("stem", net.input("image", ["N", 3, 224, 224]), 3, FIRST, 3, 2, [1] * 4)
    x = net.op("MaxPool", "pool1", net.op("Relu", "stem.relu", x), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    units, incoming, size = _Units(net), FIRST, 56
    for stage, (outgoing, count) in enumerate(STAGES):
        for index in range(count):
            x = units.run(f"stage{stage + 2}.{index}", x, incoming, outgoing, size)
            incoming, size = outgoing, size if index else size // 2
    net.gemm("logits", net.op("Flatten", "flatten", net.op("GlobalAveragePool", "pool", x)), incoming, CLASSES)
    net.output("logits", ["N", CLASSES])
    return net.model

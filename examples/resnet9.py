"""ResNet-9 for CIFAR-10 as it ran on the 64-core chip of Le Gallo et al., Nature Electronics 6 (2023).

Published are the im2col matrices and where max pooling stands: after conv1, conv4, conv5 and conv7, counted from conv0,
the last over 4 × 4. Assumed, as is usual for a ResNet-9: the other pools are 2 × 2; every convolution is 3 × 3 with
padding 1 and is followed by Relu, batch normalisation being folded into it; the pairs conv2-conv3 and conv6-conv7 are
added to their input. The sizes then work out: 32 × 32 pixels, 16 × 16, 8 × 8, 4 × 4, and one vector of 224. Weights are
random.
"""

from __future__ import annotations

import onnx

from mho.examples.builder import Builder


def resnet9(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 32, 32] float32, output `logits` [N, 10]; 1,866,536 weights, biases not counted."""
    net = Builder("resnet9", seed)

    def conv(index: int, x: str, incoming: int, outgoing: int) -> str:
        return net.op("Relu", f"conv{index}.relu", net.conv(f"conv{index}", x, incoming, outgoing))

    def pool(index: int, x: str, size: int) -> str:
        return net.op("MaxPool", f"pool{index}", x, kernel_shape=[size, size], strides=[size, size])

    x = conv(0, net.input("image", ["N", 3, 32, 32]), 3, 56)
    x = pool(1, conv(1, x, 56, 112), 2)
    x = net.op("Add", "residual3", x, conv(3, conv(2, x, 112, 112), 112, 112))
    x = pool(4, conv(4, x, 112, 224), 2)
    x = pool(5, conv(5, x, 224, 224), 2)
    x = net.op("Add", "residual7", x, conv(7, conv(6, x, 224, 224), 224, 224))
    x = net.op("Flatten", "flatten", pool(7, x, 4))
    net.gemm("logits", x, 224, 10)
    net.output("logits", ["N", 10])
    return net.model

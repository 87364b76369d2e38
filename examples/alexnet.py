"""AlexNet with two groups in three of its convolutions, as Caffe and the onnx package's light model have it.

Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012; sizes
are those of `light_bvlc_alexnet.onnx`. Weights are random.
"""

from __future__ import annotations

import onnx

from mho.examples.builder import Builder

LRN = {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}
CLASSES = 1000


def alexnet(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 60,954,656 weights, biases not counted."""
    net = Builder("alexnet", seed)

    def relu(x: str) -> str:
        return net.op("Relu", f"{x}.relu", x)

    def pool(name: str, x: str, pads: tuple[int, ...] = (0, 0, 0, 0)) -> str:
        return net.op("MaxPool", name, x, kernel_shape=[3, 3], strides=[2, 2], pads=list(pads))

    x = relu(net.convolution("conv1", net.input("image", ["N", 3, 224, 224]), 3, 96, 11, 4, pads=[0] * 4))
    x = pool("pool1", net.op("LRN", "norm1", x, **LRN))
    x = relu(net.convolution("conv2", x, 96, 256, 5, groups=2))
    x = pool("pool2", net.op("LRN", "norm2", x, **LRN))
    x = relu(net.convolution("conv3", x, 256, 384, 3))
    x = relu(net.convolution("conv4", x, 384, 384, 3, groups=2))
    x = relu(net.convolution("conv5", x, 384, 256, 3, groups=2))
    x = net.op("Flatten", "flatten", pool("pool5", x, (0, 0, 1, 1)))
    x = relu(net.gemm("fc6", x, 9216, 4096, gain=2))
    x = relu(net.gemm("fc7", x, 4096, 4096, gain=2))
    net.gemm("logits", x, 4096, CLASSES)
    net.output("logits", ["N", CLASSES])
    return net.model

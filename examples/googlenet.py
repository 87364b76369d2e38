"""GoogLeNet: Szegedy et al., "Going deeper with convolutions", CVPR 2015, table 1, without its auxiliary classifiers.

Sizes are those of the onnx package's `light_inception_v1.onnx`. Weights are random.
"""

from __future__ import annotations

import onnx

from mho.examples.builder import Builder

MODULES = (
    ("3a", 192, 64, (96, 128), (16, 32), 32),
    ("3b", 256, 128, (128, 192), (32, 96), 64),
    ("4a", 480, 192, (96, 208), (16, 48), 64),
    ("4b", 512, 160, (112, 224), (24, 64), 64),
    ("4c", 512, 128, (128, 256), (24, 64), 64),
    ("4d", 512, 112, (144, 288), (32, 64), 64),
    ("4e", 528, 256, (160, 320), (32, 128), 128),
    ("5a", 832, 256, (160, 320), (32, 128), 128),
    ("5b", 832, 384, (192, 384), (48, 128), 128),
)
"""Name, incoming channels, columns of the branches: 1 × 1; 1 × 1 before 3 × 3; 1 × 1 before 5 × 5; behind the pool."""

LRN = {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}
CLASSES = 1000


def googlenet(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 6,990,272 weights, biases not counted."""
    net = Builder("googlenet", seed)

    def conv(name: str, x: str, incoming: int, outgoing: int, kernel: int, stride: int = 1) -> str:
        return net.op("Relu", f"{name}.relu", net.convolution(name, x, incoming, outgoing, kernel, stride))

    def pool(name: str, x: str, stride: int) -> str:
        pads = [1, 1, 1, 1] if stride == 1 else [0, 0, 1, 1]
        return net.op("MaxPool", name, x, kernel_shape=[3, 3], strides=[stride, stride], pads=pads)

    x = conv("conv1", net.input("image", ["N", 3, 224, 224]), 3, 64, 7, 2)
    x = net.op("LRN", "norm1", pool("pool1", x, 2), **LRN)
    x = conv("conv2", conv("conv2.reduce", x, 64, 64, 1), 64, 192, 3)
    x = pool("pool2", net.op("LRN", "norm2", x, **LRN), 2)
    for name, incoming, plain, three, five, pooled in MODULES:
        branches = (
            conv(f"{name}.1x1", x, incoming, plain, 1),
            conv(f"{name}.3x3", conv(f"{name}.3x3.reduce", x, incoming, three[0], 1), *three, 3),
            conv(f"{name}.5x5", conv(f"{name}.5x5.reduce", x, incoming, five[0], 1), *five, 5),
            conv(f"{name}.pool.1x1", pool(f"{name}.pool", x, 1), incoming, pooled, 1),
        )
        x = net.op("Concat", name, *branches, axis=1)
        if name in ("3b", "4e"):
            x = pool(f"{name}.halved", x, 2)
    x = net.op("Flatten", "flatten", net.op("GlobalAveragePool", "pool", x))
    net.gemm("logits", x, 1024, CLASSES)
    net.output("logits", ["N", CLASSES])
    return net.model

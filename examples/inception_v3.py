"""Inception-v3: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.

Sizes are those of the published checkpoints (TensorFlow's and torchvision's agree), without the auxiliary classifier;
batch normalisation is folded into the convolutions. Weights are random.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from mho.examples.builder import Builder

CLASSES = 1000
Kernel = int | tuple[int, int]
Chain = tuple[tuple[int, Kernel], ...]
"""Convolutions one after the other: columns and kernel of each."""

VALID = (0, 0, 0, 0)
"""Pads of what halves the picture, and of the first layers."""


@dataclass(frozen=True)
class _Modules:
    """The modules of the network, by the names of their tables; each returns the value and its channels."""

    net: Builder

    def conv(
        self, name: str, x: str, incoming: int, outgoing: int, kernel: Kernel, stride: int = 1, valid: bool = False
    ) -> str:
        pads = VALID if valid else None
        return self.net.op(
            "Relu", f"{name}.relu", self.net.convolution(name, x, incoming, outgoing, kernel, stride, pads)
        )

    def chain(self, name: str, x: str, incoming: int, convolutions: Chain, halve: bool = False) -> str:
        """Convolutions of stride 1, but for the last where it halves the picture."""
        for index, (outgoing, kernel) in enumerate(convolutions):
            last = halve and index == len(convolutions) - 1
            x = self.conv(f"{name}.{index}", x, incoming, outgoing, kernel, 2 if last else 1, valid=last)
            incoming = outgoing
        return x

    def average(self, name: str, x: str) -> str:
        return self.net.op("AveragePool", f"{name}.average", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])

    def halved(self, name: str, x: str) -> str:
        return self.net.op("MaxPool", f"{name}.max", x, kernel_shape=[3, 3], strides=[2, 2])

    def a(self, name: str, x: str, incoming: int, pooled: int) -> tuple[str, int]:
        """Figure 5 of the paper: 35 × 35."""
        parts = (
            self.chain(f"{name}.1x1", x, incoming, ((64, 1),)),
            self.chain(f"{name}.5x5", x, incoming, ((48, 1), (64, 5))),
            self.chain(f"{name}.3x3", x, incoming, ((64, 1), (96, 3), (96, 3))),
            self.chain(f"{name}.pool", self.average(name, x), incoming, ((pooled, 1),)),
        )
        return self.net.op("Concat", name, *parts, axis=1), 224 + pooled

    def b(self, name: str, x: str, incoming: int) -> tuple[str, int]:
        """Figure 10: from 35 × 35 to 17 × 17."""
        parts = (
            self.chain(f"{name}.3x3", x, incoming, ((384, 3),), halve=True),
            self.chain(f"{name}.double", x, incoming, ((64, 1), (96, 3), (96, 3)), halve=True),
            self.halved(name, x),
        )
        return self.net.op("Concat", name, *parts, axis=1), 480 + incoming

    def c(self, name: str, x: str, incoming: int, width: int) -> tuple[str, int]:
        """Figure 6: 17 × 17, with kernels of 7 × 1 and 1 × 7."""
        flat, tall = (1, 7), (7, 1)
        parts = (
            self.chain(f"{name}.1x1", x, incoming, ((192, 1),)),
            self.chain(f"{name}.7x7", x, incoming, ((width, 1), (width, flat), (192, tall))),
            self.chain(
                f"{name}.double", x, incoming, ((width, 1), (width, tall), (width, flat), (width, tall), (192, flat))
            ),
            self.chain(f"{name}.pool", self.average(name, x), incoming, ((192, 1),)),
        )
        return self.net.op("Concat", name, *parts, axis=1), 768

    def d(self, name: str, x: str, incoming: int) -> tuple[str, int]:
        """From 17 × 17 to 8 × 8."""
        parts = (
            self.chain(f"{name}.3x3", x, incoming, ((192, 1), (320, 3)), halve=True),
            self.chain(f"{name}.7x7", x, incoming, ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)), halve=True),
            self.halved(name, x),
        )
        return self.net.op("Concat", name, *parts, axis=1), 512 + incoming

    def e(self, name: str, x: str, incoming: int) -> tuple[str, int]:
        """Figure 7: 8 × 8, whose branches end in two kernels side by side."""
        three = self.chain(f"{name}.3x3", x, incoming, ((384, 1),))
        double = self.chain(f"{name}.double", x, incoming, ((448, 1), (384, 3)))
        parts = [self.chain(f"{name}.1x1", x, incoming, ((320, 1),))]
        for branch, value in (("3x3", three), ("double", double)):
            parts += [
                self.conv(f"{name}.{branch}.{side}", value, 384, 384, kernel)
                for side, kernel in (("flat", (1, 3)), ("tall", (3, 1)))
            ]
        parts.append(self.chain(f"{name}.pool", self.average(name, x), incoming, ((192, 1),)))
        return self.net.op("Concat", name, *parts, axis=1), 2048


def inception_v3(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 299, 299] float32, output `logits` [N, 1000]; 23,799,136 weights, biases not counted."""
    net = Builder("inception-v3", seed)
    modules = _Modules(net)
    x = modules.conv("conv1a", net.input("image", ["N", 3, 299, 299]), 3, 32, 3, 2, valid=True)
    x = modules.conv("conv2b", modules.conv("conv2a", x, 32, 32, 3, valid=True), 32, 64, 3)
    x = modules.conv("conv3b", modules.halved("pool1", x), 64, 80, 1)
    x = modules.halved("pool2", modules.conv("conv4a", x, 80, 192, 3, valid=True))
    channels = 192
    for name, pooled in (("5b", 32), ("5c", 64), ("5d", 64)):
        x, channels = modules.a(name, x, channels, pooled)
    x, channels = modules.b("6a", x, channels)
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x, channels = modules.c(name, x, channels, width)
    x, channels = modules.d("7a", x, channels)
    for name in ("7b", "7c"):
        x, channels = modules.e(name, x, channels)
    x = net.op("Flatten", "flatten", net.op("GlobalAveragePool", "pool", x))
    net.gemm("logits", x, channels, CLASSES)
    net.output("logits", ["N", CLASSES])
    return net.model

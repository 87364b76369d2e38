"""ResNet-18 and ResNet-50 for ImageNet: He et al., "Deep residual learning for image recognition", CVPR 2016, table 1.

The stride of a bottleneck is that of its 3 × 3 convolution, which changes no matrix. Batch normalisation is folded into
the convolutions. Weights are random.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from mho.examples.builder import Builder

CLASSES = 1000
RESIDUAL_GAIN = 0.25
"""Of the last convolution of a block: the residuals then add up to numbers of the size of the input's."""


@dataclass(frozen=True)
class _Stages:
    """The residual stages of one network; `bottleneck` has three convolutions a block, of which the last widens."""

    net: Builder
    bottleneck: bool

    @property
    def expansion(self) -> int:
        return 4 if self.bottleneck else 1

    def run(self, x: str, blocks: tuple[int, ...]) -> str:
        """Stages of so many blocks over widths 64, 128, 256, 512; each but the first halves the picture."""
        incoming = 64
        for stage, count in enumerate(blocks):
            width = 64 << stage
            for block in range(count):
                stride = 2 if stage and not block else 1
                x = self._block(f"stage{stage + 1}.{block}", x, incoming, width, stride)
                incoming = width * self.expansion
        return x

    def _block(self, name: str, x: str, incoming: int, width: int, stride: int) -> str:
        outgoing = width * self.expansion
        if self.bottleneck:
            y = self._relu(self.net.convolution(f"{name}.conv1", x, incoming, width, 1))
            y = self._relu(self.net.convolution(f"{name}.conv2", y, width, width, 3, stride))
            y = self.net.convolution(f"{name}.conv3", y, width, outgoing, 1, gain=RESIDUAL_GAIN)
        else:
            y = self._relu(self.net.convolution(f"{name}.conv1", x, incoming, width, 3, stride))
            y = self.net.convolution(f"{name}.conv2", y, width, width, 3, gain=RESIDUAL_GAIN)
        if stride != 1 or incoming != outgoing:
            x = self.net.convolution(f"{name}.shortcut", x, incoming, outgoing, 1, stride, gain=1.0)
        return self._relu(self.net.op("Add", f"{name}.add", y, x))

    def _relu(self, x: str) -> str:
        return self.net.op("Relu", f"{x}.relu", x)


def resnet18(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 11,678,912 weights, biases not counted."""
    return _resnet("resnet18", seed, (2, 2, 2, 2), bottleneck=False)


def resnet50(seed: int = 0) -> onnx.ModelProto:
    """Input `image` [N, 3, 224, 224] float32, output `logits` [N, 1000]; 25,502,912 weights, biases not counted."""
    return _resnet("resnet50", seed, (3, 4, 6, 3), bottleneck=True)


def _resnet(name: str, seed: int, blocks: tuple[int, ...], bottleneck: bool) -> onnx.ModelProto:
    net = Builder(name, seed)
    stages = _Stages(net, bottleneck)
    x = net.convolution("stem", net.input("image", ["N", 3, 224, 224]), 3, 64, 7, 2, pads=[3] * 4)
    x = net.op("Relu", "stem.relu", x)
    x = net.op("MaxPool", "stem.pool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = net.op("GlobalAveragePool", "pool", stages.run(x, blocks))
    net.gemm("logits", net.op("Flatten", "flatten", x), 512 * stages.expansion, CLASSES)
    net.output("logits", ["N", CLASSES])
    return net.model

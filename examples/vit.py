"""ViT-Base/16 (Dosovitskiy et al., arXiv 2010.11929) with random weights.

A convolution cuts the image into patches, a class token stands before them, layer normalisation stands before each
part, Gelu is exact, and the head reads the class token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from mho.examples.attention import attend, gelu
from mho.examples.builder import Builder


@dataclass(frozen=True)
class VitSize:
    """How large a vision transformer is; `pixels` is a multiple of `patch`, `width` one of `heads`."""

    pixels: int = 224
    patch: int = 16
    classes: int = 1000
    layers: int = 12
    width: int = 768
    inner: int = 3072
    heads: int = 12

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return (self.pixels // self.patch) ** 2 + 1


BASE = VitSize()


def vit(seed: int = 0, size: VitSize = BASE) -> onnx.ModelProto:
    """Input `image` [N, 3, pixels, pixels], output `logits` [N, classes].

    Of the base size, patches, projections and head hold 86,292,480 weights.
    """
    net = Builder("vit", seed)
    x = _embedding(net, net.input("image", ["N", 3, size.pixels, size.pixels]), size)
    for index in range(size.layers):
        x = _layer(net, f"layer{index}", x, size)
    x = net.layer_norm("last_norm", x, size.width)
    token = net.op("Gather", "class", x, net.constant("class.index", np.int64(0)), axis=1)
    net.output(net.gemm("logits", token, size.width, size.classes), ["N", size.classes])
    return net.model


def _embedding(net: Builder, image: str, size: VitSize) -> str:
    """The class token and the patches with their positions, [N, tokens, width]."""
    fan_in = 3 * size.patch**2
    kernels = net.weight("patches.weight", size.width, 3, size.patch, size.patch, fan_in=fan_in)
    square = {"strides": [size.patch] * 2, "kernel_shape": [size.patch] * 2}
    grid = net.op("Conv", "patches", image, kernels, net.bias("patches.bias", size.width), **square)
    row = net.op("Reshape", "patches.row", grid, net.constant("patches.row_shape", np.array([0, size.width, -1])))
    tokens = net.op("Transpose", "patches.tokens", row, perm=[0, 2, 1])
    samples = net.op("Shape", "class.samples", image, start=0, end=1)
    shape = net.op("Concat", "class.shape", samples, net.constant("class.rest", np.array([1, size.width])), axis=0)
    first = net.op("Expand", "class.tokens", net.bias("class.token", 1, 1, size.width), shape)
    both = net.op("Concat", "tokens", first, tokens, axis=1)
    return net.op("Add", "embedding", both, net.bias("embedding.positions", 1, size.tokens, size.width))


def _layer(net: Builder, name: str, x: str, size: VitSize) -> str:
    width = size.width
    normal = net.layer_norm(f"{name}.attention_norm", x, width)
    query, key, value = (net.linear(f"{name}.{part}", normal, width, width) for part in ("query", "key", "value"))
    attended = attend(net, f"{name}.attention", (query, key, value), None, size)
    x = net.op("Add", f"{name}.attention_sum", x, net.linear(f"{name}.attention_output", attended, width, width))
    normal = net.layer_norm(f"{name}.inner_norm", x, width)
    inner = gelu(net, f"{name}.gelu", net.linear(f"{name}.up", normal, width, size.inner))
    return net.op("Add", f"{name}.sum", x, net.linear(f"{name}.down", inner, size.inner, width))

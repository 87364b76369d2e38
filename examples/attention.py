"""The parts that transformer encoders and decoders share, as ONNX operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mho.examples.builder import Builder


@dataclass(frozen=True)
class TransformerSize:
    """How large a transformer is; `width` must be a multiple of `heads`."""

    vocabulary: int
    positions: int
    layers: int = 12
    width: int = 768
    inner: int = 3072
    heads: int = 12


def positions(net: Builder, tokens: str) -> str:
    """0, 1, … up to the length of the second axis of `tokens`."""
    length = net.op("Shape", "positions.length", tokens, start=1, end=2)
    stop = net.op("Squeeze", "positions.stop", length)
    start, step = net.constant("positions.start", np.int64(0)), net.constant("positions.step", np.int64(1))
    return net.op("Range", "positions", start, stop, step)


def embedding(net: Builder, tokens: str, size: TransformerSize) -> tuple[str, str]:
    """The sum of a token's and its position's vector [N, S, width], and the name of the token table."""
    table = net.weight("embedding.token_table", size.vocabulary, size.width, fan_in=size.width)
    places = net.weight("embedding.position_table", size.positions, size.width, fan_in=size.width)
    words = net.op("Gather", "embedding.words", table, tokens)
    where = net.op("Gather", "embedding.places", places, positions(net, tokens))
    return net.op("Add", "embedding.sum", words, where), table


class Heads(Protocol):
    """What attention knows of a transformer's size."""

    @property
    def width(self) -> int: ...

    @property
    def heads(self) -> int: ...


def attend(net: Builder, name: str, parts: tuple[str, str, str], mask: str | None, size: Heads) -> str:
    """softmax(q · kᵀ / √d + mask) · v over heads; parts are q, k, v of [N, S, width], as is the result."""
    split = net.constant(f"{name}.split_shape", np.array([0, 0, size.heads, size.width // size.heads]))
    query, key, value = (
        net.op("Transpose", f"{part}.heads", net.op("Reshape", f"{part}.split", part, split), perm=order)
        for part, order in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scale = net.constant(f"{name}.scale", np.float32((size.heads / size.width) ** 0.5))
    scores = net.op("Mul", f"{name}.scaled", net.op("MatMul", f"{name}.scores", query, key), scale)
    masked = scores if mask is None else net.op("Add", f"{name}.masked", scores, mask)
    shares = net.op("Softmax", f"{name}.shares", masked, axis=-1)
    heads = net.op("MatMul", f"{name}.heads", shares, value)
    merged = net.op("Transpose", f"{name}.merged", heads, perm=[0, 2, 1, 3])
    return net.op("Reshape", name, merged, net.constant(f"{name}.merged_shape", np.array([0, 0, size.width])))


def gelu(net: Builder, name: str, x: str) -> str:
    """x / 2 · (1 + erf(x / √2)), exactly."""
    root = net.constant(f"{name}.root", np.float32(2**0.5))
    error = net.op("Erf", f"{name}.erf", net.op("Div", f"{name}.div", x, root))
    one, half = net.constant(f"{name}.one", np.float32(1)), net.constant(f"{name}.half", np.float32(0.5))
    return net.op("Mul", name, net.op("Mul", f"{name}.mul", x, half), net.op("Add", f"{name}.add", error, one))


def gelu_tanh(net: Builder, name: str, x: str) -> str:
    """x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), as GPT-2 approximates Gelu."""
    cube = net.op("Pow", f"{name}.cube", x, net.constant(f"{name}.three", np.float32(3)))
    term = net.op("Mul", f"{name}.term", cube, net.constant(f"{name}.cubic", np.float32(0.044715)))
    scale = net.constant(f"{name}.scale", np.float32((2 / np.pi) ** 0.5))
    scaled = net.op("Mul", f"{name}.scaled", net.op("Add", f"{name}.sum", x, term), scale)
    one, half = net.constant(f"{name}.one", np.float32(1)), net.constant(f"{name}.half", np.float32(0.5))
    factor = net.op("Add", f"{name}.factor", net.op("Tanh", f"{name}.tanh", scaled), one)
    return net.op("Mul", name, net.op("Mul", f"{name}.mul", x, half), factor)

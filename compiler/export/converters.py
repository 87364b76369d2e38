"""Converters, noise and number formats of a machine, element by element, by standard operators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from mho.export.graph import Graph
from mho.export.operators import clipped, vector, whole
from mho.runtime.converters import Spread
from mho.runtime.formats import FLOAT16_LARGEST
from mho.runtime.random import key
from mho.targets.target import NumberFormat

Floats = NDArray[np.float32]

SEED_BITS = 24
"""A seed of ONNX is a float32, which holds whole numbers of so many bits."""


def converted(graph: Graph, value: str, full_scale: Floats, bits: int | None, axis: int) -> str:
    """What a converter makes of a value: see `mho.runtime.converters.convert`.

    Args:
        full_scale: one number, or one for each index of the axis.
    """
    if bits is None:
        return value
    n = np.float32(2 ** (bits - 1) - 1)
    live: Floats = np.where(full_scale == 0, np.float32(1), full_scale)
    codes = scaled(graph, value, n / live, axis)
    codes = clipped(graph, whole(graph, codes), -float(n), float(n))
    return scaled(graph, codes, full_scale / n, axis)


def scaled(graph: Graph, value: str, factors: Floats, axis: int) -> str:
    """A value times one number, or times one for each index of an axis."""
    if np.all(factors == factors.reshape(-1)[0]):
        factor = np.float32(factors.reshape(-1)[0])
        return value if factor == 1 else graph.op("Mul", value, graph.constant(np.asarray(factor), "factor"))
    return graph.op("Mul", value, graph.constant(vector(factors, axis), "factors"))


def spread(graph: Graph, value: str, found: Spread, full_scale: Floats | float, axis: int) -> str:
    """What deviating converters take or give: gain · value + offset · full scale."""
    moved = graph.op("Mul", value, graph.constant(vector(found.gain, axis), "gain"))
    offset = found.offset * np.asarray(full_scale, np.float32)
    return graph.op("Add", moved, graph.constant(vector(offset, axis), "offset"))


def noise(graph: Graph, like: str, sigma: float, seed: int, *names: str | int) -> str:
    """Fresh normal numbers in the shape of a value, from a stream of their own by seed and names."""
    stream = float(key(seed, *names) >> (128 - SEED_BITS))
    return graph.op("RandomNormalLike", like, mean=0.0, scale=sigma, seed=stream, dtype=TensorProto.FLOAT)


def formatted(graph: Graph, value: str, number_format: NumberFormat) -> str:
    """A float32 value as a digital unit of a number format holds it."""
    if number_format == "float32":
        return value
    bounded = clipped(graph, value, -float(FLOAT16_LARGEST), float(FLOAT16_LARGEST))
    return graph.op("Cast", graph.op("Cast", bounded, to=TensorProto.FLOAT16), to=TensorProto.FLOAT)

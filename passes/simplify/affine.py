"""Reads batch norms and arithmetic with constants as one affine map per channel: y = scale · x + shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from mho.passes.simplify.constants import constant_array

Array = npt.NDArray[np.float64]


JOINED = ("BatchNormalization", "Add", "Sub", "Mul", "Div")
"""The operators that may be an affine map per channel."""


@dataclass(frozen=True)
class Channels:
    """Where the channels of a value lie.

    Attributes:
        axis: counted from the front.
        count: the number of channels.
        rank: of the value.
    """

    axis: int
    count: int
    rank: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a constant per channel: the channels, then a 1 for every later axis."""
        return (self.count, *[1] * (self.rank - self.axis - 1))


@dataclass(frozen=True)
class Affine:
    """y = scale · x + shift in float64, each of shape (channels,)."""

    scale: Array
    shift: Array

    def then(self, later: Affine) -> Affine:
        """This map followed by `later`."""
        return Affine(self.scale * later.scale, self.shift * later.scale + later.shift)


def identity(count: int) -> Affine:
    """The map that changes nothing."""
    return Affine(np.ones(count), np.zeros(count))


def read_affine(node: ir.Node, source: ir.Value, channels: Channels, size_limit: int) -> Affine | None:
    """What `node` does to `source` where that is affine per channel with constants of this graph, else None."""
    if node.domain != "":
        return None
    if node.op_type == "BatchNormalization":
        return _batch_norm(node, source, channels, size_limit)
    if node.op_type not in JOINED:
        return None
    first, second = node.inputs
    constant = _per_channel(second if first is source else first, channels, size_limit)
    if first is second or constant is None:
        return None
    return _arithmetic(node.op_type, constant, first is source)


def is_inference_batch_norm(node: ir.Node) -> bool:
    """Whether `node` is a BatchNormalization that uses its stored statistics, one per channel."""
    return (
        node.op_type == "BatchNormalization"
        and node.domain == ""
        and node.attributes.get_int("training_mode", 0) == 0
        and node.attributes.get_int("spatial", 1) == 1
        and len([output for output in node.outputs if output.name]) == 1
    )


def _batch_norm(node: ir.Node, source: ir.Value, channels: Channels, size_limit: int) -> Affine | None:
    """scale = γ / √(σ² + ε), shift = β − μ · scale (Ioffe and Szegedy 2015, algorithm 2)."""
    if not is_inference_batch_norm(node) or channels.axis != 1 or node.inputs[0] is not source:
        return None
    arrays = [constant_array(value, size_limit) for value in node.inputs[1:5]]
    vectors = [array.astype(np.float64) for array in arrays if array is not None and array.shape == (channels.count,)]
    if len(vectors) != 4:
        return None
    gamma, beta, mean, variance = vectors
    spread = variance + node.attributes.get_float("epsilon", 1e-5)
    if not np.all(spread > 0):
        return None
    scale = gamma / np.sqrt(spread)
    return Affine(scale, beta - mean * scale)


def _per_channel(value: ir.Value | None, channels: Channels, size_limit: int) -> Array | None:
    """A constant as one number per channel; None where it varies along another axis or adds axes."""
    array = constant_array(value, size_limit)
    if array is None or array.ndim > channels.rank:
        return None
    full = array.reshape((1,) * (channels.rank - array.ndim) + array.shape)
    others = full.shape[: channels.axis] + full.shape[channels.axis + 1 :]
    if any(dim != 1 for dim in others) or full.shape[channels.axis] not in (1, channels.count):
        return None
    return np.broadcast_to(full.reshape(-1).astype(np.float64), (channels.count,))


def _arithmetic(operator: str, constant: Array, source_first: bool) -> Affine | None:
    zeros, ones = np.zeros_like(constant), np.ones_like(constant)
    if operator == "Add":
        return Affine(ones, constant)
    if operator == "Mul":
        return Affine(constant, zeros)
    if operator == "Sub":
        return Affine(ones, -constant) if source_first else Affine(-ones, constant)
    return Affine(1 / constant, zeros) if source_first and np.all(constant != 0) else None

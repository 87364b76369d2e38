"""Layouts: where the rows of a layer lie in its input, and which operator multiplies them by a block of weights.

No vectors are cut out where that can be avoided: rows that are whole channels of an image meet a block as a
convolution of these channels. A block that begins or ends inside a channel takes the whole channel, with zeros for
the rows that are not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mho.export.graph import Graph
from mho.export.operators import ENDLESS, cast, sliced
from mho.runtime.unfold import Pads
from mho.targets.isa import Span

Array = NDArray[Any]

FLOAT, DOUBLE = 1, 11
"""ONNX's numbers of the types."""


class Layout(Protocol):
    """How rows and columns of a layer lie in values.

    Attributes:
        axis: of rows and of columns, counted from the end.
    """

    @property
    def axis(self) -> int: ...

    def part(self, graph: Graph, value: str, rows: Span, of: int) -> str:
        """Those rows of a value with `of` rows, and what `product` makes of them is right for the same rows."""
        ...

    def product(self, graph: Graph, value: str, weights: Array, rows: Span) -> str:
        """The part for `rows` times weights [rows, columns], in the number format of the weights."""
        ...


@dataclass(frozen=True)
class LastAxis:
    """Rows and columns along the last axis: x · W."""

    axis: int = -1

    def part(self, graph: Graph, value: str, rows: Span, of: int) -> str:
        """See `Layout.part`."""
        return _part(graph, value, self.axis, rows, of)

    def product(self, graph: Graph, value: str, weights: Array, rows: Span) -> str:
        """See `Layout.product`."""
        if weights.dtype == np.float64:
            value = cast(graph, value, FLOAT, DOUBLE)
        return graph.op("MatMul", value, graph.constant(weights, "weights"))


@dataclass(frozen=True)
class NextToLastAxis:
    """Rows and columns along the last axis but one: Wᵀ · x."""

    axis: int = -2

    def part(self, graph: Graph, value: str, rows: Span, of: int) -> str:
        """See `Layout.part`."""
        return _part(graph, value, self.axis, rows, of)

    def product(self, graph: Graph, value: str, weights: Array, rows: Span) -> str:
        """See `Layout.product`."""
        if weights.dtype == np.float64:
            value = cast(graph, value, FLOAT, DOUBLE)
        return graph.op("MatMul", graph.constant(np.ascontiguousarray(weights.T), "weights"), value)


@dataclass(frozen=True)
class Sliding:
    """Rows are the samples of a window that slides over [N, C, *spatial], channel by channel; columns are channels.

    Attributes:
        pads: (before, after) a spatial axis, none negative; None where `auto_pad` gives them.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads | None
    auto_pad: str = "explicit"

    @staticmethod
    def single(rank: int) -> Sliding:
        """A window of one sample: rows are channels."""
        ones = (1,) * rank
        return Sliding(ones, ones, ones, ((0, 0),) * rank)

    @property
    def axis(self) -> int:
        """The axis of the channels, counted from the end."""
        return -1 - len(self.kernel)

    def part(self, graph: Graph, value: str, rows: Span, of: int) -> str:
        """See `Layout.part`."""
        first, last = self._channels(rows)
        return _part(graph, value, 1, (first, last), of // prod(self.kernel))

    def product(self, graph: Graph, value: str, weights: Array, rows: Span) -> str:
        """See `Layout.product`."""
        if weights.dtype == np.float64:
            return self._double(graph, value, weights, rows)
        each = prod(self.kernel)
        first, last = self._channels(rows)
        filled = np.zeros(((last - first) * each, weights.shape[1]), weights.dtype)
        filled[rows[0] - first * each : rows[1] - first * each] = weights
        kernels = np.ascontiguousarray(filled.T).reshape(weights.shape[1], last - first, *self.kernel)
        return self.convolved(graph, value, kernels)

    def convolved(self, graph: Graph, value: str, kernels: Array, groups: int = 1) -> str:
        """The convolution with kernels [columns, channels, *kernel], in groups of channels."""
        explicit = self.pads is not None
        return graph.op(
            "Conv",
            value,
            graph.constant(kernels, "weights"),
            kernel_shape=list(self.kernel),
            strides=list(self.strides),
            dilations=list(self.dilations),
            group=groups if groups > 1 else None,
            pads=[side[0] for side in self.pads] + [side[1] for side in self.pads] if self.pads is not None else None,
            auto_pad=None if explicit else self.auto_pad.upper(),
        )

    def unfolded(self, graph: Graph, value: str, channels: int) -> str:
        """The samples of every window as channels of their own: [N, C · prod(kernel), *places]."""
        each = prod(self.kernel)
        taps = np.tile(np.eye(each, dtype=np.float32), (channels, 1)).reshape(-1, 1, *self.kernel)
        return self.convolved(graph, value, taps, channels)

    def _channels(self, rows: Span) -> Span:
        each = prod(self.kernel)
        return rows[0] // each, -(-rows[1] // each)

    def _double(self, graph: Graph, value: str, weights: Array, rows: Span) -> str:
        """By a matrix product, as float64 has no convolution in onnxruntime; for a window of one sample."""
        rank = len(self.kernel)
        moved = graph.op("Transpose", value, perm=[0, *range(2, 2 + rank), 1])
        sums = LastAxis().product(graph, moved, weights, rows)
        return graph.op("Transpose", sums, perm=[0, 1 + rank, *range(1, 1 + rank)])


def _part(graph: Graph, value: str, axis: int, span: Span, of: int) -> str:
    if span == (0, of):
        return value
    return sliced(graph, value, axis, span[0], ENDLESS if span[1] == of else span[1])

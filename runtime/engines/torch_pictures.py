"""Whole pictures as what a strip is fired on: convolutions on a device, as `mho.runtime.engines.pictures` has them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from mho.runtime.engines.torch_strips import TensorPiece, on_rows
from mho.runtime.unfold import position_shape, window_pads
from mho.targets.unfolding import Window

if TYPE_CHECKING:
    from torch import Tensor

MOST_AXES = 3
"""Spatial axes that torch's convolutions have."""


def convolves(shape: tuple[int, ...], window: Window) -> bool:
    """Whether a window over an input [samples, channels, *spatial] is a plain convolution."""
    plain = len(window.kernel) <= MOST_AXES and all(s == 1 for s in window.spread)
    return plain and prod(position_shape(shape, window)) > 0


@dataclass(frozen=True)
class Picture:
    """Implements `torch_strips.Given`.

    Attributes:
        x: [samples, channels, *spatial], padded.
    """

    x: Tensor
    window: Window

    @staticmethod
    def of(x: Tensor, window: Window) -> Picture:
        """A picture with the window's padding: zeros, which are zeros behind a DAC too."""
        from torch.nn.functional import pad

        pads = window_pads(tuple(x.shape[2:]), window)
        return Picture(pad(x, [edge for before_after in reversed(pads) for edge in before_after]), window)

    def products(self, piece: TensorPiece) -> tuple[Tensor, Tensor | None]:
        """See `torch_strips.Given`; positions run over the places of one sample after the other."""
        taps = prod(self.window.kernel)
        first, end = piece.rows[0] // taps, -(-piece.rows[1] // taps)
        driven = on_rows(self.x[:, first:end], piece.full_scale, piece.drive)
        top = piece.rows[0] - first * taps
        varying = None if piece.variance is None else self._convolved(driven * driven, piece.variance, top)
        return self._convolved(driven, piece.weights, top), varying

    def _convolved(self, driven: Tensor, weights: Tensor, top: int) -> Tensor:
        """[positions, columns] of weights [rows, columns] that begin at row `top` of the channels that are driven."""
        from torch.nn import functional

        kernel, columns = self.window.kernel, weights.shape[1]
        rows = weights.new_zeros((driven.shape[1] * prod(kernel), columns))
        rows[top : top + len(weights)] = weights
        convolution = getattr(functional, f"conv{len(kernel)}d")
        kernels = rows.T.reshape(columns, driven.shape[1], *kernel)
        sums = convolution(driven, kernels, stride=self.window.strides, dilation=self.window.dilations)
        return sums.movedim(1, -1).reshape(-1, columns)

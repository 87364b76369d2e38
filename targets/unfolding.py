"""Unfoldings: how a layer's input is cut into the vectors that meet its matrix, one a position.

Each kind also answers what the rest of the house asks of it; `mho.runtime.unfold` does the cutting. A convolution has
three: a `Window` at a position (im2col), several at once (`ShiftedWindows`), or one sample of the input at a position
(`Places`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid")

Count = Annotated[int, Field(ge=1, lt=2**31)]
Padding = Annotated[int, Field(gt=-(2**31), lt=2**31)]


class Plain:
    """What an unfolding answers where rows stand alone and a position gives one output of each channel."""

    @property
    def channel_rows(self) -> int:
        """Rows that belong together, so that a matrix is best cut between them."""
        return 1

    @property
    def channel_columns(self) -> int:
        """Columns that one channel of the output has."""
        return 1

    @property
    def overlaps(self) -> bool:
        """Whether the results of several positions add up to one output, which is finished after the sum."""
        return False

    def position_axis(self, axis: int | None, rank: int) -> int | None:
        """Which position axis an axis of the input becomes; a convolution's channels, axis 1, are the rows' own."""
        return axis


@dataclass(frozen=True, kw_only=True)
class Dense(Plain):
    """The rows lie along one axis of the input; every other index is a position.

    Attributes:
        axis: axis of the input that holds the rows; may be negative.
        output_axis: axis of the output that holds the columns, among the axes that remain.
    """

    __pydantic_config__ = STRICT

    kind: Literal["dense"] = "dense"
    axis: int = -1
    output_axis: int = -1

    @property
    def columns_axis(self) -> int:
        """Axis of the output that holds the columns, counted from the end."""
        return self.output_axis

    def position_axis(self, axis: int | None, rank: int) -> int | None:
        """Which position axis an axis of the input, of this rank, becomes once the row axis is taken out."""
        return axis if axis is None or axis < self.axis % rank else axis - 1


@dataclass(frozen=True, kw_only=True)
class Window(Plain):
    """A window slides over the spatial axes of an [N, C, *spatial] input; each place is a position.

    Rows are ordered channel first: row = channel · prod(kernel) + offset in the kernel, as in ONNX weights.
    All tuples have one entry a spatial axis. A transposed convolution is a window over the input spread by
    `spread` (zeros between the samples), with the kernel flipped and negative or positive `pads`.

    Attributes:
        pads: (before, after) a spatial axis, in spread samples; None where `auto_pad` gives them.
    """

    __pydantic_config__ = STRICT

    kind: Literal["window"] = "window"
    kernel: tuple[Count, ...]
    strides: tuple[Count, ...]
    dilations: tuple[Count, ...]
    spread: tuple[Count, ...]
    pads: tuple[tuple[Padding, Padding], ...] | None
    auto_pad: Literal["explicit", "same_upper", "same_lower"] = "explicit"

    @property
    def columns_axis(self) -> int:
        """Axis of the output that holds the columns, counted from the end."""
        return -1 - len(self.kernel)

    @property
    def channel_rows(self) -> int:
        """Rows that belong together, so that a matrix is best cut between them."""
        return prod(self.kernel)


@dataclass(frozen=True, kw_only=True)
class ShiftedWindows(Plain):
    """Neighbouring places of a window at one position: the matrix holds every kernel once for each, shifted.

    The wide window covers what all of its places need; a shifted kernel is zero in the rows of the other samples. So a
    position gives prod(copies) outputs a channel, and those beyond the end of the output are dropped (square windows:
    Zhang et al., "Efficient and robust RRAM-based convolutional weight mapping with shifted and duplicated kernel",
    IEEE TCAD 40, 2021; any rectangle: Rhe et al., "VW-SDK", DATE 2022).

    Rows are ordered as those of a window, of the wide kernel: channel · prod(kernel) + offset. Columns are ordered
    channel of the output first: channel · prod(copies) + copy.

    Attributes:
        window: the convolution's own, whose `spread` is 1.
        copies: outputs along each spatial axis.
    """

    __pydantic_config__ = STRICT

    kind: Literal["shifted"] = "shifted"
    window: Window
    copies: tuple[Count, ...]

    @property
    def pitch(self) -> tuple[int, ...]:
        """Samples from row to row of the wide window along each axis: the widest that meets what every copy needs."""
        window = self.window
        sides = zip(window.kernel, window.dilations, window.strides, self.copies, strict=True)
        return tuple(gcd(d if k > 1 else 0, s if m > 1 else 0) or 1 for k, d, s, m in sides)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Rows of the wide window along each axis, a channel: the kernel and its shifts."""
        window = self.window
        reach = (
            d * (k - 1) + s * (m - 1)
            for k, d, s, m in zip(window.kernel, window.dilations, window.strides, self.copies, strict=True)
        )
        return tuple(r // pitch + 1 for r, pitch in zip(reach, self.pitch, strict=True))

    @property
    def columns_axis(self) -> int:
        """Axis of the output that holds the columns, counted from the end."""
        return self.window.columns_axis

    @property
    def channel_rows(self) -> int:
        """Rows that belong together, so that a matrix is best cut between them."""
        return prod(self.kernel)

    @property
    def channel_columns(self) -> int:
        """Columns that one channel of the output has."""
        return prod(self.copies)


@dataclass(frozen=True, kw_only=True)
class Places(Plain):
    """Each place of the kernel has a matrix of its own, channels × kernels, and all stand side by side on the rows.

    Every sample of the input is a position and is sent once; its results at the places of the kernel are parts of
    different outputs, which are added digitally (a matrix a place: Peng, Liu and Yu, "Optimizing weight mapping and
    data flow for convolutional neural networks on processing-in-memory architectures", IEEE TCAS-I 67, 2020; the sum
    of shifted products: Anderson et al., arXiv 1709.03395, "kn2row").

    Rows are the channels of the input. Columns are ordered channel of the output first: channel · prod(kernel) + place.

    Attributes:
        window: the convolution's own.
    """

    __pydantic_config__ = STRICT

    kind: Literal["places"] = "places"
    window: Window

    @property
    def columns_axis(self) -> int:
        """Axis of the output that holds the columns, counted from the end."""
        return self.window.columns_axis

    @property
    def channel_columns(self) -> int:
        """Columns that one channel of the output has."""
        return prod(self.window.kernel)

    @property
    def overlaps(self) -> bool:
        """Whether the results of several positions add up to one output, which is finished after the sum."""
        return True


Unfolding = Annotated[Dense | Window | ShiftedWindows | Places, Field(discriminator="kind")]

IM2COL = "im2col"
"""What people call the unfolding of a `Window`."""


def unfolding_text(unfolding: Unfolding) -> str:
    """A convolution's unfolding in a word for people, with the outputs of a wide window; empty for a dense layer."""
    match unfolding:
        case Dense():
            return ""
        case Window():
            return IM2COL
        case ShiftedWindows():
            return f"windows {' × '.join(map(str, unfolding.copies))}"
        case Places():
            return "places"

"""Unfoldings: how a layer's input is cut into the vectors that meet its matrix, one a position.

Each kind also answers what the rest of the house asks of it; `mho.runtime.unfold` does the cutting.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid")

Count = Annotated[int, Field(ge=1, lt=2**31)]
Padding = Annotated[int, Field(gt=-(2**31), lt=2**31)]


@dataclass(frozen=True, kw_only=True)
class Dense:
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

    @property
    def channel_rows(self) -> int:
        """Rows that belong together, so that a matrix is best cut between them."""
        return 1

    def position_axis(self, axis: int | None, rank: int) -> int | None:
        """Which position axis an axis of the input, of this rank, becomes once the row axis is taken out."""
        return axis if axis is None or axis < self.axis % rank else axis - 1


@dataclass(frozen=True, kw_only=True)
class Window:
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

    def position_axis(self, axis: int | None, rank: int) -> int | None:
        """Which position axis an axis of the input becomes: the channels, axis 1, are the rows' own."""
        return axis


Unfolding = Annotated[Dense | Window, Field(discriminator="kind")]

"""The instruction set of a core.

A core loads blocks of weights once. A layer then *fires*: for every position, each core that holds a part of the
layer's matrix runs its kernel for that layer, a straight line of instructions over named buffers. What the
layer computes (unfolding, scale, bias, activation) is told by its step (`mho.targets.steps`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from mho.targets.target import Count, Index

STRICT = ConfigDict(extra="forbid")

Span = tuple[Index, Count]
"""A half-open range (start, stop)."""


@dataclass(frozen=True, order=True)
class Site:
    """Where a core stands: chip number, column and row of the chip's grid."""

    __pydantic_config__ = STRICT

    chip: Index
    x: Index
    y: Index

    def __str__(self) -> str:
        return f"{self.chip}:{self.x},{self.y}"


@dataclass(frozen=True, kw_only=True)
class Load:
    """Program a block of a matrix into the core's crossbar.

    Attributes:
        block: number of the block, unique in the program.
        rows, columns: the slice of the matrix.
        scale_rows: rows of the matrix whose largest weight (per column, or of all the block's columns where the
            machine scales a whole tile) is programmed as full conductance. More than `rows` where several
            blocks add their charge before one converter.
        row_offset, column_offset: where it lies in the crossbar, counted in the lines that are not dead.
        devices: memory devices that make one weight; None is the machine's `devices_per_weight`.
    """

    __pydantic_config__ = STRICT

    op: Literal["load"] = "load"
    block: Index
    matrix: str
    replica: Index
    rows: Span
    columns: Span
    scale_rows: Span
    row_offset: int = 0
    column_offset: int = 0
    devices: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Receive:
    """Take rows of the layer's unfolded input at this position into a buffer."""

    __pydantic_config__ = STRICT

    op: Literal["receive"] = "receive"
    buffer: str
    rows: Span


@dataclass(frozen=True, kw_only=True)
class Mvm:
    """Convert the source by the DAC over ±input_range and multiply it by a block: the analog sums.

    `destination` has one entry a column of the block and stays in the analog domain until a `Convert`.
    """

    __pydantic_config__ = STRICT

    op: Literal["mvm"] = "mvm"
    block: int
    source: str
    destination: str
    input_range: float


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert analog sums by the ADC, in place, and scale them back to the network's units.

    Attributes:
        adc_range: full scale, in units of the block's largest weight times the input range.
    """

    __pydantic_config__ = STRICT

    op: Literal["convert"] = "convert"
    buffer: str
    adc_range: float


@dataclass(frozen=True, kw_only=True)
class Send:
    """Send a buffer to one or several cores, under a channel number that is unique in the layer."""

    __pydantic_config__ = STRICT

    op: Literal["send"] = "send"
    buffer: str
    to: tuple[Site, ...]
    channel: int


@dataclass(frozen=True, kw_only=True)
class Accumulate:
    """Wait for a message and add it to a buffer, digitally after a `Convert` or as charge before it.

    Attributes:
        depth: messages of the channel that the core has room for; who sends another one waits until one is taken.
    """

    __pydantic_config__ = STRICT

    op: Literal["accumulate"] = "accumulate"
    buffer: str
    source: Site
    channel: int
    depth: Index = 1


@dataclass(frozen=True, kw_only=True)
class Add:
    """Add one buffer of the core to another."""

    __pydantic_config__ = STRICT

    op: Literal["add"] = "add"
    buffer: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Affine:
    """Multiply by the layer's scale and add its bias, column by column."""

    __pydantic_config__ = STRICT

    op: Literal["affine"] = "affine"
    buffer: str
    columns: Span


@dataclass(frozen=True, kw_only=True)
class Activate:
    """Add the layer's addend where it has one, then apply its activation."""

    __pydantic_config__ = STRICT

    op: Literal["activate"] = "activate"
    buffer: str
    columns: Span


@dataclass(frozen=True, kw_only=True)
class Store:
    """Write a buffer to the layer's output at this position."""

    __pydantic_config__ = STRICT

    op: Literal["store"] = "store"
    buffer: str
    columns: Span


Finishing = Affine | Activate
"""Instructions that work on complete sums, in place; `mho.runtime.epilogue` does their arithmetic."""

Instruction = Annotated[
    Receive | Mvm | Convert | Send | Accumulate | Add | Affine | Activate | Store, Field(discriminator="op")
]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """What a core does when a layer fires: the body of the loop over the layer's positions.

    Attributes:
        replica: of the positions p of a layer, replica r takes those with p mod replicas = r.
        buffers: name → words, all live for one pass of the body.
    """

    __pydantic_config__ = STRICT

    layer: str
    replica: Index
    buffers: dict[str, Index]
    body: tuple[Instruction, ...]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Words that a core keeps for values, while all matrices that it holds blocks of are at work (`buffers`).

    Attributes:
        input_words: vectors to multiply, and the ones that arrive meanwhile.
        sum_words: sums in the making.
        channel_words: partial sums that have arrived and are not yet added.
        output_words: results on their way out.
    """

    __pydantic_config__ = STRICT

    input_words: Index
    sum_words: Index
    channel_words: Index
    output_words: Index

    @property
    def words(self) -> int:
        return self.input_words + self.sum_words + self.channel_words + self.output_words


@dataclass(frozen=True, kw_only=True)
class CoreProgram:
    """Everything that one core holds and does.

    Attributes:
        memory: None in programs of formats before 4.
    """

    __pydantic_config__ = STRICT

    site: Site
    loads: tuple[Load, ...]
    kernels: tuple[Kernel, ...]
    memory: Memory | None = None


def kernels_of(cores: tuple[CoreProgram, ...], layer: str) -> Iterator[tuple[CoreProgram, Kernel]]:
    """The cores that fire for a layer, each with its kernel."""
    for core in cores:
        for kernel in core.kernels:
            if kernel.layer == layer:
                yield core, kernel

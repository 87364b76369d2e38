"""One core at work: a kernel's instructions, one after another, over buffers of finite size.

All positions of a firing go through a kernel together, one row of every buffer each: a position never sees
another, so this is the kernel's loop with its passes side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mho.runtime.crossbar import ProgrammedBlock, digitise, drive, multiply, output_noise
from mho.runtime.effects import Conditions
from mho.runtime.epilogue import finish
from mho.runtime.formats import rounded
from mho.runtime.layers import LayerMath
from mho.targets.errors import ProgramError, plain
from mho.targets.isa import (
    Accumulate,
    Add,
    Convert,
    Finishing,
    Kernel,
    Mvm,
    Receive,
    Send,
    Site,
    Span,
    Store,
)
from mho.targets.target import Target

Floats = NDArray[np.float32]
Immediate = Receive | Mvm | Convert | Send | Add | Finishing | Store
"""Instructions that never wait."""


@dataclass(frozen=True)
class Inputs:
    """Rows of the layer's unfolded input: [positions, words]."""

    values: Floats


@dataclass(frozen=True)
class Charge:
    """Analog sums before the converter.

    Attributes:
        values: [positions, columns].
        unit: [columns] network units of a charge of 1: largest weight times input range.
        block: the lowest number of the blocks that added to it, which names its noise.
    """

    values: Floats
    unit: Floats
    block: int


@dataclass(frozen=True)
class Numbers:
    """Digital numbers in the network's units: [positions, columns]."""

    values: Floats


Signal = Inputs | Charge | Numbers
Held = TypeVar("Held", Inputs, Charge, Numbers)
Channel = tuple[Site, Site, int]
"""Source, destination and number of a message."""


@dataclass
class Firing:
    """One layer and replica firing for a number of positions.

    Attributes:
        rows: [positions, matrix rows] unfolded inputs.
        fires: [positions] global firing indices.
        addend: [positions, matrix columns], or None.
        blocks: programmed blocks of the layer's matrix by number.
        output: [positions, matrix columns], written by the cores' stores.
        stored: how often each column was written.
        messages: sent and not yet taken.
        held: the cores whose weights are in a tile where tiles take turns; None where all are.
    """

    target: Target
    conditions: Conditions
    math: LayerMath
    blocks: Mapping[int, ProgrammedBlock]
    rows: Floats
    fires: NDArray[np.int64]
    addend: NDArray[Any] | None
    output: Floats
    stored: NDArray[np.int64]
    messages: dict[Channel, Signal] = field(default_factory=dict)
    held: Collection[Site] | None = None


class Core:
    """A core that runs its kernel for one firing.

    Attributes:
        position: of the instruction that it is at.
    """

    def __init__(self, site: Site, kernel: Kernel, firing: Firing) -> None:
        self.site = site
        self.kernel = kernel
        self.position = 0
        self._firing = firing
        self._buffers: dict[str, Signal] = {}
        words, limit = sum(kernel.buffers.values()), firing.target.core.buffer_words
        if limit is not None and words > limit:
            raise self._fault(f"its buffers take {words} words, and the core has {limit}")

    def run(self) -> Iterator[Channel]:
        """Execute the kernel, pausing with the channel's name where a message has not come yet.

        Raises:
            ProgramError: an instruction does not suit what its buffers hold.
        """
        for position, instruction in enumerate(self.kernel.body):
            self.position = position
            if isinstance(instruction, Accumulate):
                channel = (instruction.source, self.site, instruction.channel)
                while channel not in self._firing.messages:
                    yield channel
                self._add(instruction.buffer, self._firing.messages.pop(channel))
            else:
                self._execute(instruction)

    def _execute(self, instruction: Immediate) -> None:
        match instruction:
            case Receive():
                self._put(instruction.buffer, Inputs(self._slice(self._firing.rows, instruction.rows)))
            case Mvm():
                self._put(instruction.destination, self._multiply(instruction))
            case Convert():
                self._put(instruction.buffer, self._convert(instruction))
            case Send():
                self._send(instruction)
            case Add():
                self._add(instruction.buffer, self._get(instruction.source))
            case Store():
                self._store(instruction)
            case finishing:
                self._put(finishing.buffer, self._finish(finishing))

    def _multiply(self, mvm: Mvm) -> Charge:
        if mvm.block not in self._firing.blocks:
            raise self._fault(f"block {mvm.block} does not belong to the layer's matrix")
        if self._firing.held is not None and self.site not in self._firing.held:
            raise self._fault(f"block {mvm.block} fires while it is in no tile")
        block, source = self._firing.blocks[mvm.block], self._need(mvm.source, Inputs)
        if source.values.shape[1] != len(block.weights):
            raise self._fault(f"block {mvm.block} has {len(block.weights)} rows and gets {source.values.shape[1]}")
        firing = self._firing
        driven = drive(source.values, mvm.input_range, firing.target, firing.conditions.effects)
        charge = multiply(driven, block, firing.conditions.seed, firing.math.layer, firing.fires)
        return Charge(charge, block.scale * np.float32(mvm.input_range), mvm.block)

    def _convert(self, instruction: Convert) -> Numbers:
        charge, firing = self._need(instruction.buffer, Charge), self._firing
        analog, columns = charge.values.copy(), charge.values.shape[1]
        noise = output_noise(firing.target, firing.conditions, firing.math.layer, charge.block, firing.fires, columns)
        if noise is not None:
            analog += noise
        spread = firing.blocks[charge.block].adc
        digitise(analog, instruction.adc_range, firing.target, firing.conditions.effects, spread)
        return Numbers(analog * charge.unit)

    def _send(self, send: Send) -> None:
        for to in send.to:
            channel = (self.site, to, send.channel)
            if channel in self._firing.messages:
                raise self._fault(f"channel {send.channel} to core {to} is sent on twice")
            self._firing.messages[channel] = self._get(send.buffer)

    def _add(self, buffer: str, other: Signal) -> None:
        mine = self._get(buffer)
        match mine, other:
            case Charge(), Charge() if np.array_equal(mine.unit, other.unit):
                total: Signal = Charge(mine.values + other.values, mine.unit, min(mine.block, other.block))
            case Numbers(), Numbers() if mine.values.shape == other.values.shape:
                total = Numbers(mine.values + other.values)
            case _:
                raise self._fault(f"{_text(other)} cannot be added to {_text(mine)} in buffer {plain(buffer)}")
        self._put(buffer, total)

    def _finish(self, instruction: Finishing) -> Numbers:
        values = self._columns(instruction).copy()
        finish(instruction, values, self._firing.math, self._firing.addend)
        return Numbers(values)

    def _store(self, store: Store) -> None:
        firing, columns, values = self._firing, slice(*store.columns), self._columns(store)
        rounds = firing.conditions.effects.digital_format
        firing.output[:, columns] = rounded(values, firing.target.core.digital_format) if rounds else values
        firing.stored[columns] += 1

    def _columns(self, instruction: Finishing | Store) -> Floats:
        values = self._need(instruction.buffer, Numbers).values
        first, last = instruction.columns
        if values.shape[1] != last - first or last > self._firing.output.shape[1]:
            raise self._fault(
                f"buffer {plain(instruction.buffer)} of {values.shape[1]} columns stands for columns {first} to "
                f"{last - 1} of {self._firing.output.shape[1]}"
            )
        return values

    def _slice(self, rows: Floats, span: Span) -> Floats:
        if span[1] > rows.shape[1]:
            raise self._fault(f"rows {span[0]} to {span[1] - 1} are received of an input of {rows.shape[1]}")
        return rows[:, slice(*span)]

    def _get(self, buffer: str) -> Signal:
        if buffer not in self._buffers:
            raise self._fault(f"buffer {plain(buffer)} is read before it is written")
        return self._buffers[buffer]

    def _need(self, buffer: str, kind: type[Held]) -> Held:
        signal = self._get(buffer)
        if not isinstance(signal, kind):
            raise self._fault(f"buffer {plain(buffer)} holds {_text(signal)}, not {kind.__name__.lower()}")
        return signal

    def _put(self, buffer: str, signal: Signal) -> None:
        words, size = signal.values.shape[1], self.kernel.buffers.get(buffer, 0)
        if words > size:
            raise self._fault(f"buffer {plain(buffer)} of {size} words overflows: it takes {words}")
        self._buffers[buffer] = signal

    def _fault(self, what: str) -> ProgramError:
        return ProgramError(f"layer {plain(self._firing.math.layer)}, core {self.site}: {what}")


def _text(signal: Signal) -> str:
    return f"{type(signal).__name__.lower()} of {signal.values.shape[1]} words"

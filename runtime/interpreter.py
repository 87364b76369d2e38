"""`Interpreter`: executes a program's kernels instruction by instruction, core by core, message by message.

It shares with `machine.Machine` what a block, a converter and an epilogue compute, and nothing of how they are put
together: the two are compared to show that linking keeps a program's meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.core import Channel, Core, Firing
from mho.runtime.crossbar import ProgrammedBlock, program_blocks
from mho.runtime.effects import Conditions, refuse_impossible
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.residency import Residency
from mho.targets.errors import ProgramError, plain
from mho.targets.isa import Kernel, Site, kernels_of
from mho.targets.program import Program

Array = NDArray[Any]
Begun = tuple[Core, Iterator[Channel]]

CHUNK_POSITIONS = 1024
"""Positions that go through the kernels together, so that their buffers stay small; all do where tiles take turns."""


class Interpreter:
    """Implements `sequencer.Unit`, slowly and literally. A matrix is programmed when it first fires.

    Attributes:
        residency: what the tiles hold where they take turns; None where each core has a tile of its own.

    Raises:
        OptionError: the conditions are impossible on the program's machine.
    """

    def __init__(self, program: Program, conditions: Conditions) -> None:
        refuse_impossible(program.target, conditions)
        self.program = program
        self.conditions = conditions
        self.residency = None if program.reload is None else Residency(program, program.reload)
        self._programmed: dict[str, dict[int, ProgrammedBlock]] = {}

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> NDArray[np.float32]:
        """See `sequencer.Unit.fire`.

        Raises:
            ProgramError: cores wait for ever, a buffer overflows, an instruction does not suit what its buffers
                hold, or columns are not stored exactly once.
        """
        kernels = [(core.site, kernel) for core, kernel in kernels_of(self.program.cores, layer)]
        if not kernels:
            raise ProgramError(f"layer {plain(layer)}: no core has a kernel for it")
        replicas = 1 + max(kernel.replica for _, kernel in kernels)
        math = self._math[layer]
        output = np.zeros((len(rows), self.program.matrix(math.matrix).columns), np.float32)
        together = CHUNK_POSITIONS if self.residency is None else max(len(rows), 1)
        for replica in range(replicas):
            mine = [(site, kernel) for site, kernel in kernels if kernel.replica == replica]
            positions = np.flatnonzero(fires % replicas == replica)
            for start in range(0, len(positions), together):
                chunk = positions[start : start + together]
                some = None if addend is None else np.broadcast_to(addend, output.shape)[chunk]
                output[chunk] = self._fire(math, mine, rows[chunk], fires[chunk], some)
        return output

    def _fire(
        self,
        math: LayerMath,
        kernels: list[tuple[Site, Kernel]],
        rows: NDArray[np.float32],
        fires: NDArray[np.int64],
        addend: Array | None,
    ) -> NDArray[np.float32]:
        columns = self.program.matrix(math.matrix).columns
        firing = Firing(
            target=self.program.target,
            conditions=self.conditions,
            math=math,
            blocks=self._blocks(math.matrix),
            rows=rows,
            fires=fires,
            addend=addend,
            output=np.zeros((len(rows), columns), np.float32),
            stored=np.zeros(columns, np.int64),
            held=None if self.residency is None else self.residency.held.values(),
        )
        _run(self._begun([Core(site, kernel, firing) for site, kernel in kernels], math.layer), math.layer)
        if firing.messages:
            sent = ", ".join(_channel_text(channel) for channel in sorted(firing.messages))
            raise ProgramError(f"layer {plain(math.layer)}: messages that no core takes: {sent}")
        if (firing.stored != 1).any():
            wrong = np.flatnonzero(firing.stored != 1)
            raise ProgramError(
                f"layer {plain(math.layer)}: {len(wrong)} of {columns} columns, the first of them {wrong[0]}, are not "
                "stored exactly once"
            )
        return firing.output

    def _begun(self, cores: list[Core], layer: str) -> list[Begun]:
        """The cores at work; where tiles take turns, each goes as far as it can while its weights are in one."""
        if self.residency is None:
            return [(core, core.run()) for core in cores]
        at, begun = {core.site: core for core in cores}, list[Begun]()
        for site in self.residency.fire(layer):
            if site in at:
                steps = at[site].run()
                if next(steps, None) is not None:
                    begun.append((at[site], steps))
        return begun

    @cached_property
    def _math(self) -> dict[str, LayerMath]:
        return {math.layer: math for math in layer_math(self.program)}

    def _blocks(self, matrix: str) -> dict[int, ProgrammedBlock]:
        if matrix not in self._programmed:
            loads = [load for core in self.program.cores for load in core.loads if load.matrix == matrix]
            self._programmed[matrix] = program_blocks(self.program, loads, self.conditions)
        return self._programmed[matrix]


def _run(waiting: list[Begun], layer: str) -> None:
    """Let the cores take turns, each going on until it must wait, until all have finished.

    Raises:
        ProgramError: no core can go on.
    """
    while waiting:
        before = [core.position for core, _ in waiting]
        channels = [next(steps, None) for _, steps in waiting]
        if None not in channels and [core.position for core, _ in waiting] == before:
            waits = (f"core {c.site} for {_channel_text(n)}" for (c, _), n in zip(waiting, channels, strict=True) if n)
            raise ProgramError(f"layer {plain(layer)}: deadlock, cores wait for ever: {', '.join(waits)}")
        waiting = [core for core, channel in zip(waiting, channels, strict=True) if channel is not None]


def _channel_text(channel: Channel) -> str:
    source, to, number = channel
    return f"channel {number} from {source} to {to}"

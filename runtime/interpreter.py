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

from mho.runtime.core import Channel, Core, Firing, Positions, Wait
from mho.runtime.crossbar import ProgrammedBlock, program_blocks
from mho.runtime.effects import Conditions, refuse_impossible
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.links import Network
from mho.runtime.residency import Residency
from mho.targets.errors import ProgramError, plain
from mho.targets.isa import Accumulate, CoreProgram, Kernel, kernels_of
from mho.targets.program import Program

Array = NDArray[Any]
Begun = tuple[Core, Iterator[Wait]]

CHUNK_POSITIONS = 1024


class Interpreter:
    """Implements `sequencer.Unit`, slowly and literally. A matrix is programmed when it first fires.

    Before the first firing, all that cores deliver to each other in an inference goes over the links at once.

    Args:
        together: positions that go through the kernels together, so that their buffers stay small; all do where tiles
            take turns.

    Attributes:
        residency: what the tiles hold where they take turns; None where each core has a tile of its own.

    Raises:
        OptionError: the conditions are impossible on the program's machine.
    """

    def __init__(self, program: Program, conditions: Conditions, together: int = CHUNK_POSITIONS) -> None:
        refuse_impossible(program.target, conditions)
        self.program = program
        self.conditions = conditions
        self.together = together
        self.residency = None if program.reload is None else Residency(program, program.reload)
        self._programmed: dict[str, dict[int, ProgrammedBlock]] = {}

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> NDArray[np.float32]:
        """See `sequencer.Unit.fire`.

        Raises:
            ProgramError: cores or vectors on links wait for ever, a buffer overflows, an instruction does not suit what
                its buffers hold, or columns are not stored exactly once.
        """
        kernels = [*kernels_of(self.program.cores, layer)]
        if not kernels:
            raise ProgramError(f"layer {plain(layer)}: no core has a kernel for it")
        replicas = 1 + max(kernel.replica for _, kernel in kernels)
        math = self._math[layer]
        output = np.zeros((len(rows), self.program.matrix(math.matrix).columns), np.float32)
        some = None if addend is None else np.broadcast_to(addend, output.shape)
        for replica in range(replicas):
            positions = np.flatnonzero(fires % replicas == replica)
            together = self.together if self.residency is None else max(len(rows), 1)
            chunks = [positions[start : start + together] for start in range(0, len(positions), together)]
            passes = [self._positions(rows[c], fires[c], None if some is None else some[c], math) for c in chunks]
            if passes:
                self._fire(math, [(core, kernel) for core, kernel in kernels if kernel.replica == replica], passes)
            for chunk, done in zip(chunks, passes, strict=True):
                output[chunk] = done.output
        return output

    def _positions(
        self, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None, math: LayerMath
    ) -> Positions:
        columns = self.program.matrix(math.matrix).columns
        return Positions(rows, fires, addend, np.zeros((len(rows), columns), np.float32), np.zeros(columns, np.int64))

    def _fire(self, math: LayerMath, kernels: list[tuple[CoreProgram, Kernel]], passes: list[Positions]) -> None:
        firing = Firing(
            target=self.program.target,
            conditions=self.conditions,
            math=math,
            blocks=self._blocks(math.matrix),
            passes=tuple(passes),
            network=self._network,
            depths=_depths(kernels),
            held=None if self.residency is None else self.residency.held.values(),
        )
        _run(self._begun([Core(core, kernel, firing) for core, kernel in kernels], math.layer), firing)
        if firing.messages:
            sent = ", ".join(_channel_text(channel) for channel in sorted(firing.messages))
            raise ProgramError(f"layer {plain(math.layer)}: messages that no core takes: {sent}")
        for done in passes:
            wrong = np.flatnonzero(done.stored != 1)
            if len(wrong):
                raise ProgramError(
                    f"layer {plain(math.layer)}: {len(wrong)} of {len(done.stored)} columns, the first of them "
                    f"{wrong[0]}, are not stored exactly once"
                )

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
    def _network(self) -> Network:
        """The program's links, over which all of its deliveries find their way."""
        network = Network(self.program)
        network.deliver_everything()
        return network

    @cached_property
    def _math(self) -> dict[str, LayerMath]:
        return {math.layer: math for math in layer_math(self.program)}

    def _blocks(self, matrix: str) -> dict[int, ProgrammedBlock]:
        if matrix not in self._programmed:
            loads = [load for core in self.program.cores for load in core.loads if load.matrix == matrix]
            self._programmed[matrix] = program_blocks(self.program, loads, self.conditions)
        return self._programmed[matrix]


def _run(waiting: list[Begun], firing: Firing) -> None:
    """Let the cores take turns, each going on until it must wait, and vectors move on, until all have finished.

    Raises:
        ProgramError: no core and no vector can go on.
    """
    while waiting or firing.links.busy:
        before = sum(core.done for core, _ in waiting)
        waits = [next(steps, None) for _, steps in waiting]
        moved = firing.links.step()
        if not moved and None not in waits and sum(core.done for core, _ in waiting) == before:
            told = [
                f"core {c.site} for {_wait_text(wait)}" for (c, _), wait in zip(waiting, waits, strict=True) if wait
            ]
            told += firing.links.standing()
            raise ProgramError(f"layer {plain(firing.math.layer)}: deadlock, cores wait for ever: {', '.join(told)}")
        waiting = [core for core, wait in zip(waiting, waits, strict=True) if wait is not None]


def _depths(kernels: list[tuple[CoreProgram, Kernel]]) -> dict[Channel, int]:
    """Channel → messages that its receiver has room for."""
    return {
        (instruction.source, core.site, instruction.channel): instruction.depth
        for core, kernel in kernels
        for instruction in kernel.body
        if isinstance(instruction, Accumulate)
    }


def _wait_text(wait: Wait) -> str:
    return f"room in {_channel_text(wait.channel)}" if wait.room else _channel_text(wait.channel)


def _channel_text(channel: Channel) -> str:
    source, to, number = channel
    return f"channel {number} from {source} to {to}"

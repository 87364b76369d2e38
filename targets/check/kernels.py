"""Checks of the kernels: every layer and replica is followed through its cores, with names in place of numbers.

A buffer holds inputs, charge of blocks, or numbers that blocks contributed to; each instruction says what it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite
from typing import Literal

from mho.targets.errors import ProgramError
from mho.targets.isa import (
    Accumulate,
    Add,
    Convert,
    Finishing,
    Instruction,
    Kernel,
    Load,
    Mvm,
    Receive,
    Send,
    Site,
    Span,
    Store,
)
from mho.targets.program import Program
from mho.targets.steps import Analog, layers, walk

Kernels = Sequence[tuple[Site, Kernel]]


def check_kernels(program: Program) -> Iterator[str]:
    """What is wrong with the kernels, a sentence each."""
    columns = {m.name: m.columns for m in program.matrices}
    ranges = {facts.name: facts.input_range for facts in program.layers}
    epilogues = {s.name: _epilogue(s) for s in walk(program.sequence) if isinstance(s, Analog)}
    matrix_of = {layer.name: layer.matrix for layer in layers(program.sequence) if layer.matrix in columns}
    yield from _unknown(program, matrix_of)
    kernels_by_layer, loads_by_matrix = _kernels_by_layer(program), _loads_by_matrix(program)
    for layer, matrix in matrix_of.items():
        kernels = kernels_by_layer.get(layer, [])
        yield from (f"layer {layer}: {problem}" for problem in _channels(kernels))
        for copy, loads in sorted(_copies(loads_by_matrix.get(matrix, []), kernels).items()):
            firing = _Firing(
                columns=columns[matrix],
                loads=loads,
                input_range=ranges.get(layer),
                epilogue=epilogues.get(layer, ()),
                analog_rows=program.target.crossbar.analog_rows,
            )
            mine = [(site, kernel) for site, kernel in kernels if kernel.replica == copy]
            yield from (f"layer {layer}, replica {copy}: {problem}" for problem in firing.problems(mine))


def _epilogue(step: Analog) -> tuple[str, ...]:
    if step.unfolding.overlaps:
        return ()
    affine = ("affine",) if step.scale is not None or step.bias is not None else ()
    return affine + (("activate",) if step.addend is not None or step.activation is not None else ())


def _kernels_by_layer(program: Program) -> dict[str, list[tuple[Site, Kernel]]]:
    found: dict[str, list[tuple[Site, Kernel]]] = {}
    for core in program.cores:
        for kernel in core.kernels:
            found.setdefault(kernel.layer, []).append((core.site, kernel))
    return found


def _loads_by_matrix(program: Program) -> dict[str, list[tuple[Site, Load]]]:
    found: dict[str, list[tuple[Site, Load]]] = {}
    for core in program.cores:
        for load in core.loads:
            found.setdefault(load.matrix, []).append((core.site, load))
    return found


def _copies(held: Sequence[tuple[Site, Load]], kernels: Kernels) -> dict[int, dict[int, tuple[Site, Load]]]:
    """Replica → block → where it is loaded; also for replicas that only kernels name."""
    copies: dict[int, dict[int, tuple[Site, Load]]] = {kernel.replica: {} for _, kernel in kernels}
    for site, load in held:
        copies.setdefault(load.replica, {})[load.block] = (site, load)
    return copies


def _unknown(program: Program, matrix_of: Mapping[str, str]) -> Iterator[str]:
    for core in program.cores:
        counts = Counter((kernel.layer, kernel.replica) for kernel in core.kernels)
        for (layer, copy), count in counts.items():
            if layer not in matrix_of:
                yield f"core {core.site} has a kernel for the unknown layer {layer}"
            if count > 1:
                yield f"core {core.site} has {count} kernels for layer {layer}, replica {copy}"


def _channels(kernels: Kernels) -> Iterator[str]:
    """Each channel has one sender, and each of its messages is taken exactly once."""
    sends = [(site, kernel.replica, i) for site, kernel in kernels for i in kernel.body if isinstance(i, Send)]
    senders = Counter(send.channel for _, _, send in sends)
    yield from (f"channel {channel} is sent on {n} times" for channel, n in senders.items() if n > 1)
    sent = Counter((site, to, send.channel, copy) for site, copy, send in sends for to in send.to)
    taken = Counter(
        (i.source, site, i.channel, kernel.replica)
        for site, kernel in kernels
        for i in kernel.body
        if isinstance(i, Accumulate)
    )
    for message in sorted(sent.keys() | taken.keys()):
        if sent[message] != taken[message]:
            source, to, channel, _ = message
            yield (
                f"channel {channel} from core {source} to core {to} is sent on {sent[message]} times and taken from "
                f"{taken[message]} times"
            )


@dataclass(frozen=True)
class _Held:
    """What a buffer holds: the span is of rows for inputs, else of columns; `done` is the epilogue so far."""

    kind: Literal["inputs", "charge", "numbers"]
    span: Span
    mvms: tuple[Mvm, ...] = ()
    done: tuple[str, ...] = ()


@dataclass
class _Run:
    """A kernel on its way."""

    site: Site
    kernel: Kernel
    position: int = 0
    held: dict[str, _Held] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.position == len(self.kernel.body)

    def get(self, buffer: str, *kinds: str) -> _Held:
        held = self.held.get(buffer)
        if held is None or held.kind not in kinds:
            raise ProgramError(f"buffer {buffer} holds {held.kind if held else 'nothing'}, not {' or '.join(kinds)}")
        return held

    def put(self, buffer: str, held: _Held) -> None:
        words = held.span[1] - held.span[0]
        if self.kernel.buffers.get(buffer, 0) < words:
            raise ProgramError(f"buffer {buffer} of {self.kernel.buffers.get(buffer, 0)} words takes {words}")
        self.held[buffer] = held

    def add(self, buffer: str, other: _Held) -> None:
        mine = self.get(buffer, "charge", "numbers")
        if (mine.kind, mine.span) != (other.kind, other.span):
            raise ProgramError(f"{other.kind} of columns {other.span} are added to {mine.kind} of columns {mine.span}")
        if mine.done or other.done:
            raise ProgramError(f"buffer {buffer} gets a partial sum after its scaling or activation")
        self.put(buffer, replace(mine, mvms=mine.mvms + other.mvms))


@dataclass
class _Firing:
    """One layer and replica: what it must fire and store, and the messages on their way."""

    columns: int
    loads: Mapping[int, tuple[Site, Load]]
    input_range: float | None
    epilogue: tuple[str, ...]
    analog_rows: int | None
    messages: dict[tuple[Site, Site, int], _Held] = field(default_factory=dict)
    stored: list[Span] = field(default_factory=list)

    def problems(self, kernels: Kernels) -> list[str]:
        """Faults of single kernels; where there are none, what the kernels together leave undone."""
        runs = [_Run(site, kernel) for site, kernel in kernels]
        faults: list[str] = []
        moved = True
        while moved and not faults:
            moved = False
            for run in runs:
                before = run.position
                try:
                    self._advance(run)
                except ProgramError as error:
                    faults.append(f"core {run.site}, instruction {run.position}: {error}")
                moved |= run.position > before
        return faults or [*self._stuck(runs), *self._fires(kernels), *self._cover()]

    def _advance(self, run: _Run) -> None:
        while not run.finished and self._step(run, run.kernel.body[run.position]):
            run.position += 1

    def _step(self, run: _Run, instruction: Instruction) -> bool:
        """Follow one instruction; False where its message has not come."""
        match instruction:
            case Receive():
                run.put(instruction.buffer, _Held("inputs", instruction.rows))
            case Mvm():
                self._multiply(run, instruction)
            case Convert():
                self._convert(run, instruction)
            case Send():
                held = run.get(instruction.buffer, "charge", "numbers")
                self.messages |= {(run.site, to, instruction.channel): held for to in instruction.to}
            case Accumulate():
                message = self.messages.pop((instruction.source, run.site, instruction.channel), None)
                if message is None:
                    return False
                run.add(instruction.buffer, message)
            case Add():
                run.add(instruction.buffer, run.get(instruction.source, "charge", "numbers"))
            case Store():
                held = self._complete(run, instruction)
                if held.done != self.epilogue:
                    raise ProgramError(f"buffer {instruction.buffer} is stored after {held.done}, not {self.epilogue}")
                self.stored.append(instruction.columns)
            case finishing:
                self._finish(run, finishing)
        return True

    def _multiply(self, run: _Run, mvm: Mvm) -> None:
        site, load = self.loads.get(mvm.block, (None, None))
        if load is None or site != run.site:
            raise ProgramError(f"block {mvm.block} of this layer and replica is not in the core")
        source = run.get(mvm.source, "inputs")
        if source.span != load.rows:
            raise ProgramError(f"block {mvm.block} of rows {load.rows} gets rows {source.span}")
        if not (mvm.input_range > 0 and isfinite(mvm.input_range)):
            raise ProgramError(f"the input range is {mvm.input_range}")
        if mvm.input_range != self.input_range:
            raise ProgramError(f"the input range is {mvm.input_range}, and {self.input_range} in the layer's facts")
        run.put(mvm.destination, _Held("charge", load.columns, (mvm,)))

    def _convert(self, run: _Run, convert: Convert) -> None:
        held = run.get(convert.buffer, "charge")
        loads = sorted((self.loads[mvm.block][1] for mvm in held.mvms), key=lambda load: load.rows)
        blocks = ", ".join(str(load.block) for load in loads)
        if len({load.scale_rows for load in loads}) > 1:
            raise ProgramError(f"blocks {blocks} share a converter, but not the rows they are scaled by")
        if any(one.rows[1] != other.rows[0] for one, other in pairwise(loads)):
            raise ProgramError(f"blocks {blocks} share a converter, and their rows do not follow each other")
        if len(loads) > 1 and loads[-1].rows[1] - loads[0].rows[0] > (self.analog_rows or 0):
            raise ProgramError(f"blocks {blocks} share a converter, which takes at most {self.analog_rows or 0} rows")
        if not (convert.adc_range >= 0 and isfinite(convert.adc_range)):
            raise ProgramError(f"the converter's range is {convert.adc_range}")
        run.put(convert.buffer, replace(held, kind="numbers"))

    def _finish(self, run: _Run, instruction: Finishing) -> None:
        held = self._complete(run, instruction)
        run.put(instruction.buffer, replace(held, done=(*held.done, instruction.op)))

    def _complete(self, run: _Run, instruction: Finishing | Store) -> _Held:
        """The buffer of an instruction that needs the sums of all rows."""
        held = run.get(instruction.buffer, "numbers")
        if held.span != instruction.columns:
            raise ProgramError(f"buffer {instruction.buffer} holds columns {held.span}, not {instruction.columns}")
        needed = {b for b, (_, load) in self.loads.items() if _meet(load.columns, held.span)}
        summed = Counter(mvm.block for mvm in held.mvms)
        if summed != Counter(needed):
            raise ProgramError(f"columns {held.span} are the sum of blocks {sorted(summed)}, not of {sorted(needed)}")
        return held

    def _stuck(self, runs: Sequence[_Run]) -> Iterator[str]:
        for run in runs:
            wait = None if run.finished else run.kernel.body[run.position]
            if isinstance(wait, Accumulate):
                yield f"core {run.site} waits for ever for channel {wait.channel} from core {wait.source}"

    def _fires(self, kernels: Kernels) -> Iterator[str]:
        fired = Counter(i.block for _, kernel in kernels for i in kernel.body if isinstance(i, Mvm))
        for block in sorted(self.loads):
            if fired[block] != 1:
                yield f"block {block} fires {fired[block]} times"

    def _cover(self) -> Iterator[str]:
        spans = sorted(self.stored)
        edges = [(0, 0), *spans, (self.columns, self.columns)]
        if any(one[1] != other[0] for one, other in pairwise(edges)):
            yield f"of columns 0 to {self.columns - 1} these are stored: {spans}"


def _meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]

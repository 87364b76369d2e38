"""Checks of buffer sizes: what a program states is enough, and what the machine has room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from mho.targets.buffers import core_memory, line_rows, longest_vector
from mho.targets.isa import Accumulate, CoreProgram, Memory
from mho.targets.program import Program
from mho.targets.steps import Analog, layers, walk
from mho.targets.unfolding import Window


def check_buffers(program: Program) -> Iterator[str]:
    """What is wrong with the sizes of buffers, a sentence each."""
    matrix_of = {layer.name: layer.matrix for layer in layers(program.sequence)}
    limit = program.target.core.buffer_words
    for core in program.cores:
        yield from (f"core {core.site}: {problem}" for problem in _depths(core))
        if core.memory is None:
            yield from (f"core {core.site}: {problem}" for problem in _kernels(core, limit))
        else:
            needed = core_memory(core.kernels, matrix_of)
            yield from (f"core {core.site}: {problem}" for problem in _memory(core.memory, needed, limit))
    yield from _links(program)
    yield from _lines(program)


def _depths(core: CoreProgram) -> Iterator[str]:
    for kernel in core.kernels:
        for instruction in kernel.body:
            if isinstance(instruction, Accumulate) and instruction.depth < 1:
                yield (
                    f"channel {instruction.channel} of layer {kernel.layer} has room for no message, so core "
                    f"{instruction.source} waits for ever"
                )


def _kernels(core: CoreProgram, limit: int | None) -> Iterator[str]:
    """Of formats that state no memory: each kernel alone."""
    for kernel in core.kernels:
        words = sum(kernel.buffers.values())
        if limit is not None and words > limit:
            yield f"the buffers of layer {kernel.layer} take {words} words of {limit}"


def _memory(memory: Memory, needed: Memory, limit: int | None) -> Iterator[str]:
    for part in fields(Memory):
        has, needs = getattr(memory, part.name), getattr(needed, part.name)
        if has < needs:
            kind = part.name.removesuffix("_words")
            yield f"its {kind} buffer of {has} words is too small for the {needs} of its layers"
    if limit is not None and memory.words > limit:
        yield f"its buffers take {memory.words} words of {limit}"


def _links(program: Program) -> Iterator[str]:
    routes = program.mapping.routes
    longest = longest_vector(program.cores) if routes is not None else 0
    if routes is not None and routes.link_words < longest:
        yield f"links hold {routes.link_words} words, and the longest vector has {longest}"


def _lines(program: Program) -> Iterator[str]:
    windows = {
        step.name: step.unfolding
        for step in walk(program.sequence)
        if isinstance(step, Analog) and isinstance(step.unfolding, Window)
    }
    for line in program.mapping.lines:
        window = windows.get(line.layer)
        if window is None:
            yield f"a line buffer is of {line.layer}, which slides no window"
        elif line.rows > line_rows(window) or line.words % line.rows:
            yield f"the line buffer of layer {line.layer} has {line.words} words in {line.rows} rows"

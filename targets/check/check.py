"""`check_program`: verifies a program independently of the compiler that made it.

Here: names, values and tensors of the sequence. What remains is beside it: `tiles` and `kernels` of the cores, what
they and links hold (`buffers`), `routes`, `schedule`, how tiles take turns (`reload`), what is written (`reprogram`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from math import prod
from pathlib import Path

from mho.targets.check.buffers import check_buffers
from mho.targets.check.kernels import check_kernels
from mho.targets.check.reload import check_reload
from mho.targets.check.reprogram import check_reprogram
from mho.targets.check.routes import check_routes
from mho.targets.check.schedule import check_schedule
from mho.targets.check.tiles import check_tiles
from mho.targets.errors import ProgramError, plain
from mho.targets.mapped_tensors import MappedTensors
from mho.targets.program import Program
from mho.targets.program_file import read_program
from mho.targets.steps import (
    Analog,
    Body,
    Branch,
    Digital,
    Loop,
    Scan,
    Step,
    bodies,
    layers,
    parameters,
    reads,
    walk,
    writes,
)
from mho.targets.unfolding import Places, ShiftedWindows, Window

MOST_ELEMENTS = 2**31
"""Of an input or output whose shape is told."""


def read_sound_program(path: Path) -> Program:
    """The program of a file, checked but for the digests of its tensors.

    Raises:
        ProgramError: the file is damaged, too new, not a program, or a program that contradicts itself.
    """
    program = read_program(path)
    problems = check_program(program)
    if problems:
        raise ProgramError(f"{plain(str(path))}: {problem}" for problem in problems)
    return program


def check_program(program: Program) -> tuple[str, ...]:
    """What is wrong with a program, a sentence each; empty where it can be run as it stands.

    Digests are not read here: see `program_file.check_tensors`.
    """
    parts = (
        _sequence,
        check_tiles,
        check_kernels,
        check_buffers,
        check_routes,
        check_schedule,
        check_reload,
        check_reprogram,
    )
    return tuple(plain(problem) for part in parts for problem in part(program))


def _sequence(program: Program) -> Iterator[str]:
    yield from _doubles("matrix", (m.name for m in program.matrices))
    yield from _doubles("layer", (layer.name for layer in layers(program.sequence)))
    yield from _doubles("the facts of layer", (facts.name for facts in program.layers))
    yield from _doubles("input", (port.name for port in program.inputs))
    yield from _ports(program)
    yield from _matrices(program)
    yield from _layers(program)
    yield from _parameters(program)
    yield from _graphs(program)
    yield from _values(program)
    yield from _arities(program)
    yield from _pareto(program)


def _doubles(kind: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{kind} {name} is there {count} times" for name, count in Counter(names).items() if count > 1)


def _pareto(program: Program) -> Iterator[str]:
    """Intervals become shorter from point to point, for no fewer tiles, and copies are of matrices that are there."""
    known, points = {m.name for m in program.matrices}, program.mapping.pareto
    for point in points:
        yield from (
            f"the Pareto point of {point.tiles} tiles copies the unknown matrix {name}"
            for name in point.copies
            if name not in known
        )
    for one, other in pairwise(points):
        if one.tiles > other.tiles or one.mvms <= other.mvms:
            yield f"the Pareto point of {other.tiles} tiles comes after that of {one.tiles}, which it does not follow"


def _shape(program: Program, tensor: str) -> tuple[int, ...] | None:
    """The shape of a tensor, which is not read where the file's table tells it; None where there is none."""
    if tensor not in program.tensors:
        return None
    table = program.tensors.table if isinstance(program.tensors, MappedTensors) else program.tensors
    return table[tensor].shape


def _ports(program: Program) -> Iterator[str]:
    for port in (*program.inputs, *program.outputs):
        sizes = [size for size in port.shape or () if isinstance(size, int)]
        if min(sizes, default=0) < 0 or prod(sizes) > MOST_ELEMENTS:
            yield f"{port.name} has the impossible shape {list(port.shape or ())}"


def _matrices(program: Program) -> Iterator[str]:
    for matrix in program.matrices:
        if (
            min(matrix.rows, matrix.columns, matrix.groups) < 1
            or matrix.rows % matrix.groups
            or matrix.columns % matrix.groups
        ):
            yield f"matrix {matrix.name} of {matrix.rows} × {matrix.columns} has {matrix.groups} groups"
            continue
        if not (0 <= matrix.zeros < matrix.weights and matrix.copies >= 1):
            yield f"matrix {matrix.name} has {matrix.zeros} zeros in {matrix.weights} entries, {matrix.copies} times"
        needed = (matrix.groups, matrix.rows // matrix.groups, matrix.columns // matrix.groups)
        shape = _shape(program, f"matrix/{matrix.name}")
        if shape != needed:
            yield f"matrix {matrix.name} needs a tensor of shape {needed}, not {shape}"


def _layers(program: Program) -> Iterator[str]:
    """The layers of the sequence are those of the facts, and of known matrices."""
    known = {m.name for m in program.matrices}
    used = {layer.name: layer.matrix for layer in layers(program.sequence)}
    told = {facts.name: facts.matrix for facts in program.layers}
    yield from (f"layer {name} is of the unknown matrix {m}" for name, m in used.items() if m not in known)
    for name in sorted(used.keys() | told.keys()):
        if used.get(name) != told.get(name):
            yield f"layer {name} is of matrix {used.get(name)} in the sequence and of {told.get(name)} in the facts"
    yield from (f"matrix {name} is of no layer" for name in sorted(known - set(used.values())))
    widths = {m.name: m.columns for m in program.matrices}
    for step in walk(program.sequence):
        if isinstance(step, Analog) and widths.get(step.matrix, 0) % step.unfolding.channel_columns:
            each = step.unfolding.channel_columns
            yield f"layer {step.name} has {each} columns a channel, which its matrix of {widths[step.matrix]} has not"


def _parameters(program: Program) -> Iterator[str]:
    widths = {m.name: m.columns for m in program.matrices}
    for step in walk(program.sequence):
        columns = _channels(step, widths)
        for name in parameters(step):
            shape = _shape(program, f"constant/{name}")
            if shape is None:
                yield f"step {step.name} names constant {name}, which is not there"
            elif isinstance(step, Analog) and sum(1 for n in shape if n != 1) > 1:
                yield f"step {step.name}: constant {name} has shape {shape}, not one number a column"
            elif isinstance(step, Analog) and max(shape, default=1) != columns:
                yield f"step {step.name}: constant {name} has shape {shape} for {columns} columns"


def _channels(step: Step, widths: Mapping[str, int]) -> int | None:
    """Channels of a layer's output, for each of which its constants have a number."""
    if not isinstance(step, Analog) or step.matrix not in widths:
        return None
    return widths[step.matrix] // step.unfolding.channel_columns


def _graphs(program: Program) -> Iterator[str]:
    for step in walk(program.sequence):
        if isinstance(step, Digital) and f"graph/{step.graph}" not in program.tensors:
            yield f"step {step.name} names graph {step.graph}, which is not there"


def _values(program: Program) -> Iterator[str]:
    """Every value is defined once and before its use."""
    known = {name.removeprefix("constant/") for name in program.tensors if name.startswith("constant/")}
    inputs = tuple(port.name for port in program.inputs)
    outputs = tuple(port.name for port in program.outputs)
    yield from _body_values(Body(inputs=inputs, steps=program.sequence, outputs=outputs), known, "the program")


def _body_values(body: Body, around: set[str], where: str) -> Iterator[str]:
    known = around | set(body.inputs)
    for step in body.steps:
        yield from (f"step {step.name} reads {name} before it is defined" for name in reads(step) if name not in known)
        for inner in bodies(step):
            yield from _body_values(inner, known, f"step {step.name}")
        yield from (f"step {step.name} defines {name} again" for name in writes(step) if name and name in known)
        known |= set(writes(step))
    yield from (f"{where} gives {name}, which nothing defines" for name in body.outputs if name not in known)


def _arities(program: Program) -> Iterator[str]:
    """Bodies take and give as many values as the step that holds them; windows tell as much of every axis."""
    for step in walk(program.sequence):
        for what, has, needed in _counts(step):
            if has != needed:
                yield f"step {step.name}: {what} number {has}, not {needed}"


def _counts(step: Step) -> Iterator[tuple[str, int, int]]:
    match step:
        case Analog(unfolding=Window() | ShiftedWindows() | Places() as unfolding):
            window = unfolding if isinstance(unfolding, Window) else unfolding.window
            axes = len(window.kernel)
            if isinstance(unfolding, ShiftedWindows):
                yield "copies", len(unfolding.copies), axes
                yield "spreads above 1", sum(s > 1 for s in window.spread), 0
            yield "strides", len(window.strides), axes
            yield "dilations", len(window.dilations), axes
            yield "spreads", len(window.spread), axes
            yield "pads", axes if window.pads is None else len(window.pads), axes
        case Branch():
            for body in bodies(step):
                yield "inputs of a branch", len(body.inputs), 0
                yield "outputs of a branch", len(body.outputs), len(step.outputs)
        case Loop():
            yield "inputs of the body", len(step.body.inputs), 2 + len(step.carried)
            yield "outputs of the body", len(step.body.outputs), 1 + len(step.outputs)
        case Scan():
            yield "inputs of the body", len(step.body.inputs), len(step.state) + len(step.scanned)
            yield "outputs of the body", len(step.body.outputs), len(step.outputs)
            yield "input axes", len(step.input_axes), len(step.scanned)
            yield "input directions", len(step.input_reverse), len(step.scanned)
            yield "output axes", len(step.output_axes), len(step.outputs) - len(step.state)
            yield "output directions", len(step.output_reverse), len(step.outputs) - len(step.state)
        case _:
            pass

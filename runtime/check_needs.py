"""Checks that a schedule waits for the values that its program reads, which needs a look into digital graphs.

`mho.targets.check.schedule` checks that no row begins before what its slot says it needs; here, that slots name the
steps that made what they read, and rows enough of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx

from mho.runtime.digital import checked_graph
from mho.targets.check.schedule import check_slots
from mho.targets.errors import ProgramError
from mho.targets.mapping import Need, Slot
from mho.targets.program import Program
from mho.targets.rows import KEEPS_ROWS, POOLS, SAME, Reach, window_reach
from mho.targets.steps import Analog, Digital, Recurrent, Step, bodies, captures, reads, writes
from mho.targets.unfolding import Window

SLACK = 1e-9
"""Of a time: what rounding may be wrong by."""

Makers = dict[str, frozenset[str]]
"""Value → the slots that it follows: the one that makes it, or those that lead to it through steps without one."""


@dataclass(frozen=True)
class _Reader:
    """A step with a slot, and what it reads.

    Attributes:
        window: of its first input, where rows come from one.
        keeps_rows: whether rows of its output may wait for rows of its inputs.
    """

    name: str
    read: tuple[str, ...]
    made: tuple[str, ...]
    window: Window | None = None
    keeps_rows: bool = False


def check_needs(program: Program) -> tuple[str, ...]:
    """What the schedule does not wait for, a sentence each; nothing where there is no sound schedule."""
    if not program.mapping.schedule or any(check_slots(program.mapping.schedule)):
        return ()
    slots = {slot.step: slot for slot in program.mapping.schedule}
    return tuple(_sequence(program, program.sequence, slots, {}))


def _sequence(
    program: Program, steps: tuple[Step, ...], slots: Mapping[str, Slot], around: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """The steps of one sequence; what stands around a body is awaited by the step that holds it."""
    makers: Makers = dict(around)
    for step in steps:
        for reader in _readers(program, step):
            slot = slots.get(reader.name)
            awaited = {name: makers.get(name, frozenset()) for name in reader.read}
            if slot is None:
                through = frozenset(one for names in awaited.values() for one in names)
                makers |= dict.fromkeys(reader.made, through)
                continue
            yield from _awaited(reader, slot, awaited, slots)
            makers |= dict.fromkeys(reader.made, frozenset({reader.name}))
        for body in bodies(step):
            yield from _sequence(program, body.steps, slots, {})
            yield from _inside(step, body.steps, slots)


def _readers(program: Program, step: Step) -> Iterator[_Reader]:
    """The step, or the nodes of a digital one."""
    if isinstance(step, Digital):
        yield from _nodes(program, step)
        return
    captured = tuple(name for body in bodies(step) for name in captures(body))
    window = step.unfolding if isinstance(step, Analog) and isinstance(step.unfolding, Window) else None
    yield _Reader(step.name, (*reads(step), *captured), writes(step), window, _forwards(step))


def _forwards(step: Step) -> bool:
    """Whether rows come in the order of the input's: not from branches and loops, nor from what runs backwards."""
    if isinstance(step, Recurrent):
        return len(step.directions) == 1 and not step.directions[0].reverse
    return isinstance(step, Analog)


def _nodes(program: Program, step: Digital) -> Iterator[_Reader]:
    try:
        content = checked_graph(step.graph, program.tensors[f"graph/{step.graph}"].tobytes())
    except (KeyError, ProgramError):
        return  # said by the checks of tensors and graphs
    for node in onnx.ModelProto.FromString(content).graph.node:
        window = _pool(node) if node.op_type in POOLS else None
        yield _Reader(
            node.name,
            (*node.input, *_captured(node)),
            tuple(node.output),
            window,
            window is not None or node.op_type in KEEPS_ROWS,
        )


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    """Everything that the bodies of a node read; names of their own are in no table of makers."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from inner.input
                yield from _captured(inner)


def _awaited(
    reader: _Reader, slot: Slot, awaited: Mapping[str, frozenset[str]], slots: Mapping[str, Slot]
) -> Iterator[str]:
    """Every maker is among the needs, with rows enough, or has ended."""
    for value, makers in awaited.items():
        for maker in sorted(makers):
            needs = [need for need in slot.needs if need.step == maker]
            ended = slots[maker].end_ns <= slot.start_ns * (1 + SLACK) + SLACK
            if not needs and not ended:
                yield f"step {slot.step} does not wait for {maker}, which makes {value}"
            elif not ended:
                least = _least(reader, value == next(iter(reader.read), None), slot, slots[maker])
                yield from _short(slot, needs, maker, least, slots[maker])


def _least(reader: _Reader, first: bool, slot: Slot, maker: Slot) -> Reach | None:
    """What a row needs at least of a maker's rows; None is all of them."""
    if not reader.keeps_rows:
        return None
    if reader.window is not None and first:
        return window_reach(reader.window, slot.rows, maker.rows)
    return SAME if slot.rows == maker.rows else None


def _short(slot: Slot, needs: Iterable[Need], maker: str, least: Reach | None, made: Slot) -> Iterator[str]:
    wanted = Reach() if least is None else least
    if not any(need.covers(wanted, slot.rows, made.rows) for need in needs):
        yield f"step {slot.step} waits for too few rows of {maker}"


def _inside(step: Step, inner: tuple[Step, ...], slots: Mapping[str, Slot]) -> Iterator[str]:
    """Steps of a body run while the step that holds it does."""
    around = slots.get(step.name)
    for one in inner:
        slot = slots.get(one.name)
        if around is None or slot is None:
            continue
        slack = SLACK * around.end_ns + SLACK
        if slot.start_ns < around.start_ns - slack or slot.end_ns > around.end_ns + slack:
            yield f"step {slot.step} runs from {slot.start_ns:g} to {slot.end_ns:g} ns, outside {step.name}, its owner"


def _pool(node: onnx.NodeProto) -> Window | None:
    """The window of a pooling node; None where its attributes do not tell, so that it needs everything."""
    found = {attribute.name: attribute for attribute in node.attribute}
    kernel = tuple(found["kernel_shape"].ints) if "kernel_shape" in found else ()
    axes = len(kernel)
    automatic = found["auto_pad"].s.decode(errors="replace") if "auto_pad" in found else "NOTSET"
    explicit = automatic in ("NOTSET", "VALID", "")
    pads = tuple(found["pads"].ints) if "pads" in found and automatic != "VALID" else (0,) * (2 * axes)
    strides = tuple(found["strides"].ints) if "strides" in found else (1,) * axes
    dilations = tuple(found["dilations"].ints) if "dilations" in found else (1,) * axes
    if not axes or len(pads) != 2 * axes or len(strides) != axes or len(dilations) != axes or min(strides) < 1:
        return None
    return Window(
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        spread=(1,) * axes,
        pads=tuple((pads[i], pads[axes + i]) for i in range(axes)) if explicit else None,
        auto_pad="explicit" if explicit else "same_upper" if automatic == "SAME_UPPER" else "same_lower",
    )

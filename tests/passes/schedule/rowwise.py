"""Networks whose values have rows, for the tests of schedules: windows, element-wise steps, pools and whole steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from mho.passes.levels.network import Network
from mho.passes.levels.plan import Plan
from mho.passes.levels.tiling import Seat, Tiling
from mho.passes.schedule.schedule import Schedule
from mho.targets.mapping import Slot
from mho.targets.steps import Analog, Digital, Step
from mho.targets.target import Costs, DigitalUnit, Mesh, Target
from mho.targets.unfolding import Window
from tests.passes.placings import machine, network, routing, tiling

WIDTH = 3
"""Positions in a row of every value."""

MVM = Costs(mvm_latency_ns=100.0)
EVERYTHING = Costs(mvm_latency_ns=100.0, digital_latency_ns=30.0)
FAR = Mesh(hop_latency_ns=7.0)


def window(kernel: int = 3, stride: int = 1, pad: int = 1, dilation: int = 1, spread: int = 1) -> Window:
    """A window over two axes that moves over rows alone."""
    return Window(
        kernel=(kernel, 1),
        strides=(stride, 1),
        dilations=(dilation, 1),
        spread=(spread, 1),
        pads=((pad, pad), (0, 0)),
    )


def rows_after(given: int, by: Window) -> int:
    """The rows that a window makes of an input's."""
    pads = by.pads or ((0, 0),)
    wide = (given - 1) * by.spread[0] + 1 + pads[0][0] + pads[0][1]
    return (wide - by.dilations[0] * (by.kernel[0] - 1) - 1) // by.strides[0] + 1


def needed(by: Window, row: int, given: int) -> list[int]:
    """The rows of an input that a row of a window meets, tap by tap."""
    pad = by.pads[0][0] if by.pads else 0
    taps = (row * by.strides[0] + tap * by.dilations[0] - pad for tap in range(by.kernel[0]))
    return [tap // by.spread[0] for tap in taps if tap % by.spread[0] == 0 and 0 <= tap // by.spread[0] < given]


def conv(name: str, source: str, by: Window, addend: str | None = None) -> Analog:
    return Analog(name=name, matrix=name, input=source, output=f"{name}.y", unfolding=by, addend=addend)


@dataclass(frozen=True)
class Rowwise:
    """Steps in order, and the rows of their values; every value is [1, 2, rows, WIDTH]."""

    steps: tuple[Step, ...] = ()
    nodes: tuple[tuple[str, ir.Node], ...] = ()
    rows: tuple[tuple[str, int], ...] = (("x", 12),)

    def value(self, name: str) -> int:
        return dict(self.rows)[name]

    def conv(self, name: str, source: str, by: Window, addend: str | None = None) -> Rowwise:
        made = rows_after(self.value(source), by)
        step = conv(name, source, by, addend)
        return replace(self, steps=(*self.steps, step), rows=(*self.rows, (step.output, made)))

    def digital(self, name: str, operator: str, *inputs: str, rows: int, **attributes: tuple[int, ...]) -> Rowwise:
        output = f"{name}.y"
        values = [ir.Value(name=one) for one in inputs]
        node = ir.Node(
            "",
            operator,
            values,
            attributes=[ir.AttrInt64s(key, list(value)) for key, value in attributes.items()],
            outputs=[ir.Value(name=output)],
            name=name,
        )
        step = Digital(name=name, operators=(operator,), inputs=inputs, outputs=(output,), graph=name)
        return Rowwise((*self.steps, step), (*self.nodes, (name, node)), (*self.rows, (output, rows)))

    def network(self) -> Network:
        layers = [step for step in self.steps if isinstance(step, Analog)]
        made = network(self.steps, {step.matrix: (2, 2) for step in layers})
        shapes = {name: (1, 2, rows, WIDTH) for name, rows in self.rows}
        return replace(made, value_shapes=shapes, graphs={name: (node,) for name, node in self.nodes})

    def tiling(self, target: Target, replicas: Mapping[str, int] | None = None, shared: tuple[int, ...] = ()) -> Tiling:
        """One block a tile; the blocks of `shared` stand above each other two by two, and take turns."""
        fires = {s.name: float(self.value(s.output) * WIDTH) for s in self.steps if isinstance(s, Analog)}
        made = tiling(self.network(), target, fires, replicas)
        blocks = len(made.blocks)
        pairs = [(a % blocks, b % blocks) for a, b in zip(shared[::2], shared[1::2], strict=False)]
        seated: list[tuple[Seat, ...]] = []
        taken: set[int] = set()
        for a, b in pairs:
            if a != b and not {a, b} & taken:
                taken |= {a, b}
                seated.append((Seat(a), Seat(b, row_offset=2)))
        seated += [(Seat(block.number),) for block in made.blocks if block.number not in taken]
        return replace(made, tiles=tuple(seated), tiles_lower_bound=1)


def scheduled(tiled: Tiling, schedule: Schedule | None = None) -> Plan:
    return (schedule or Schedule()).run(routing(tiled))


def starts_of(slot: Slot) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """When each row of a slot begins."""
    results = slot.results_ns()
    return np.asarray(results - (results[0] - slot.start_ns))


def with_units(count: int | None, word_ns: float) -> Target:
    """A machine with digital units that do everything."""
    units = {"alu": DigitalUnit(count=count, word_latency_ns=word_ns)}
    return replace(machine(FAR, EVERYTHING), units=units)


@st.composite
def networks(draw: st.DrawFn) -> Rowwise:
    """A few steps, each of a value before it."""
    made = Rowwise()
    for number in range(draw(st.integers(1, 6))):
        source = draw(st.sampled_from([name for name, _ in made.rows]))
        rows, name = made.value(source), f"s{number}"
        kind = draw(st.sampled_from(("conv", "conv", "conv", "add", "pool", "whole")))
        if kind == "conv" or source == "x":
            by = window(
                draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 2)), 1, draw(st.integers(1, 2))
            )
            made = made.conv(name, source, by) if rows_after(rows, by) > 0 else made
        elif kind == "add":
            other = draw(st.sampled_from([one for one, count in made.rows if count == rows]))
            made = made.digital(name, "Add", source, other, rows=rows)
        elif kind == "pool" and rows > 1:
            made = made.digital(name, "MaxPool", source, rows=(rows - 2) // 2 + 1, kernel_shape=(2, 1), strides=(2, 1))
        else:
            made = made.digital(name, "GlobalAveragePool", source, rows=1)
    return made

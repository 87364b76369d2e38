"""Recurrent layers as Scans over the time steps, with the gates written out: see `mho.runtime.recurrent`.

The products with the input are one layer over all time steps, before the Scan; those with the state are inside. A
sequence that has ended keeps its state and gives zeros. A reversed direction runs through the padded sequence from its
end, where nothing changes the state before the sample's own last time step comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from mho.export.activations import activated
from mho.export.converters import formatted
from mho.export.graph import Graph
from mho.export.kinds import element_of
from mho.export.layer import Positions, fire
from mho.export.layouts import LastAxis
from mho.export.operators import SELECT_SINCE, cast, clipped, require, size_of, split, unsqueezed
from mho.export.tiles import Tiles
from mho.runtime.effects import cell_formats
from mho.runtime.inspect import ValueType
from mho.targets.errors import plain
from mho.targets.steps import Direction, Recurrent
from mho.targets.target import NumberFormat

FLOAT = TensorProto.FLOAT


def write_recurrent(graph: Graph, step: Recurrent, tiles: Tiles) -> None:
    """The nodes of a recurrent step.

    Raises:
        ProgramError: the operator set has no Scan.
    """
    graph.within(step.name)
    require(graph, SELECT_SINCE, f"layer {plain(step.name)}")
    kind = graph.kind(step.input)
    x = cast(graph, step.input, element_of(kind.type), FLOAT)
    if step.layout == 1:
        x = graph.op("Transpose", x, perm=[1, 0, 2])
    sequence = _Sequence.of(graph, step, x)
    runs = [
        _Run(graph.inner(), step, direction, tiles, sequence).write(graph, number)
        for number, direction in enumerate(step.directions)
    ]
    _give(graph, step, runs, kind)


@dataclass(frozen=True)
class _Sequence:
    """x [steps, batch, features]; its first time step, counted forwards and backwards, as float32 [1]; the lengths."""

    x: str
    batch: str
    last: str
    lengths: str | None

    @staticmethod
    def of(graph: Graph, step: Recurrent, x: str) -> _Sequence:
        batch = size_of(graph, x, 1)
        steps = graph.op("Cast", size_of(graph, x, 0), to=FLOAT)
        last = graph.op("Sub", steps, graph.constant(np.ones(1, np.float32), "one"))
        lengths = None
        if step.sequence_lengths is not None:
            lengths = unsqueezed(graph, graph.op("Cast", step.sequence_lengths, to=FLOAT), 1)
        return _Sequence(x, batch, last, lengths)


def _give(graph: Graph, step: Recurrent, runs: list[tuple[str, str, str]], kind: ValueType) -> None:
    """Outputs of all directions side by side, in the order of axes and the type that the step has."""
    for number, name in enumerate((step.output, step.output_h, step.output_c)):
        if name is None:
            continue
        axis = 1 if number == 0 else 0
        value = graph.op("Concat", *(unsqueezed(graph, run[number], axis) for run in runs), axis=axis)
        if step.layout == 1:
            value = graph.op("Transpose", value, perm=[2, 0, 1, 3] if number == 0 else [1, 0, 2])
        graph.give(cast(graph, value, FLOAT, element_of(kind.type)), name)
        graph.kinds[name] = ValueType(kind.type, _shape(step, number == 0))


def _shape(step: Recurrent, sequence: bool) -> tuple[int | None, ...]:
    """What is known of the shape of a sequence or of a state."""
    directions, hidden = len(step.directions), step.hidden
    if sequence:
        return (None, None, directions, hidden) if step.layout == 1 else (None, directions, None, hidden)
    return (None, directions, hidden) if step.layout == 1 else (directions, None, hidden)


@dataclass(frozen=True)
class _Run:
    """One direction: the body of its Scan is `body`."""

    body: Graph
    step: Recurrent
    direction: Direction
    tiles: Tiles
    sequence: _Sequence

    def write(self, graph: Graph, number: int) -> tuple[str, str, str]:
        """y [steps, batch, hidden], and the last h and c [batch, hidden]."""
        step, body = self.step, self.body
        body.within(f"{step.name}/cell")
        drive = self._drive(graph)
        states = [self._initial(graph, name, number) for name in (step.initial_h, step.initial_c)]
        names = [body.store.fresh(f"{step.name}/{name}") for name in ("time", "h", "c", "drive")]
        time, h, c, x = names
        new_h, new_c = _CELLS[step.cell](self, x, h, c)
        y = new_h
        if self.sequence.lengths is not None:
            alive = body.op("Less", time, self.sequence.lengths)
            y = body.op("Where", alive, new_h, body.constant(0.0, "zero"))
            new_h, new_c = body.op("Where", alive, new_h, h), body.op("Where", alive, new_c, c)
        moved = body.op("Add", time, body.constant(np.full(1, -1 if self.direction.reverse else 1, np.float32), "one"))
        first = self.sequence.last if self.direction.reverse else graph.constant(np.zeros(1, np.float32), "first")
        back = 1 if self.direction.reverse else 0
        _, h, c, y = graph.ops(
            "Scan",
            [first, *states, drive],
            4,
            body=body.body(f"{step.name}/cell", names, [moved, new_h, new_c, y]),
            num_scan_inputs=1,
            scan_input_directions=[back],
            scan_output_directions=[back],
        )
        if self.sequence.lengths is not None:
            ran = graph.op("Less", graph.constant(0.0, "zero"), self.sequence.lengths)
            h, c = (graph.op("Where", ran, state, graph.constant(0.0, "zero")) for state in (h, c))
        return y, h, c

    def product(self, operand: str, rows: str) -> str:
        """The sums of the matrix that an operand meets, inside the body."""
        return self._fired(self.body, operand, rows, Positions(None, 1))

    def activate(self, number: int, value: str) -> str:
        """Activation number `number` (f, g, h) of the clipped sums."""
        clip = self.step.clip
        return self.activate_freely(number, value if clip is None else clipped(self.body, value, -clip, clip))

    def activate_freely(self, number: int, value: str) -> str:
        name, alpha, beta = self.direction.activations[number]
        return self.rounded(activated(self.body, name, alpha, beta, value))

    def rounded(self, value: str) -> str:
        """What the cell's digital unit keeps of an activation or a state."""
        return formatted(self.body, value, self._format)

    def hidden_bias(self) -> list[str]:
        """The bias of the hidden state, a part a gate; nothing where there is none."""
        name = self.direction.hidden_bias
        if name is None:
            return []
        bias = self.tiles.program.tensors[f"constant/{name}"].astype(np.float32)
        gates = len(bias) // self.step.hidden
        return [self.body.constant(part, "hidden_bias") for part in np.split(bias, gates)]

    def parts(self, value: str, gates: int) -> list[str]:
        """A value [batch, gates · hidden] in its gates."""
        return [value] if gates == 1 else split(self.body, value, 1, [self.step.hidden] * gates)

    def biased(self, values: list[str], first: int = 0) -> list[str]:
        """Gates, from number `first` on, with the bias of the hidden state added."""
        bias = self.hidden_bias()[first:]
        return [self.body.op("Add", v, b) for v, b in zip(values, bias, strict=False)] if bias else values

    def peeped(self, value: str, gate: int, state: str) -> str:
        """A gate's sums with number `gate` of the peepholes i, o, f times the cell state."""
        name, hidden = self.direction.peepholes, self.step.hidden
        if name is None:
            return value
        part = self.tiles.program.tensors[f"constant/{name}"][gate * hidden : (gate + 1) * hidden]
        weights = self.body.constant(part.astype(np.float32), "peephole")
        return self.body.op("Add", value, self.body.op("Mul", weights, state))

    @property
    def _format(self) -> NumberFormat:
        formats = cell_formats(self.tiles.program.target, self.tiles.conditions.effects)
        return formats.get(self.step.cell, "float32")

    def _fired(self, graph: Graph, operand: str, rows: str, positions: Positions) -> str:
        layer = next(gate.name for gate in self.direction.gates if gate.operand == operand)
        sums = fire(graph, layer, rows, LastAxis(), self.tiles, positions)
        effects, target = self.tiles.conditions.effects, self.tiles.program.target
        return formatted(graph, sums, target.core.digital_format) if effects.digital_format else sums

    def _drive(self, graph: Graph) -> str:
        """The products with x of all time steps, the input's bias added."""
        fired = self._fired(graph, "x", self.sequence.x, Positions(1, 2))
        name = self.direction.input_bias
        if name is None:
            return fired
        bias = self.tiles.program.tensors[f"constant/{name}"].astype(np.float32)
        return graph.op("Add", fired, graph.constant(bias, "input_bias"))

    def _initial(self, graph: Graph, name: str | None, number: int) -> str:
        """The first state of the direction as float32 [batch, hidden]; zeros where none is given."""
        step = self.step
        if name is None:
            shape = graph.op("Concat", self.sequence.batch, graph.integers(step.hidden), axis=0)
            return graph.op("Expand", graph.constant(0.0, "zero"), shape)
        kind = graph.kind(name)
        state = graph.op("Gather", name, graph.scalar(number), axis=step.layout)
        return cast(graph, state, element_of(kind.type), FLOAT)


def _lstm(run: _Run, drive: str, h: str, c: str) -> tuple[str, str]:
    body = run.body
    sums = run.biased(run.parts(body.op("Add", drive, run.product("h", h)), 4))
    i = run.activate(0, run.peeped(sums[0], 0, c))
    if run.step.input_forget:
        f = body.op("Sub", body.constant(1.0, "one"), i)
    else:
        f = run.activate(0, run.peeped(sums[2], 2, c))
    kept, new = body.op("Mul", f, c), body.op("Mul", i, run.activate(1, sums[3]))
    c = run.rounded(body.op("Add", kept, new))
    o = run.activate(0, run.peeped(sums[1], 1, c))
    return run.rounded(body.op("Mul", o, run.activate_freely(2, c))), c


def _gru(run: _Run, drive: str, h: str, c: str) -> tuple[str, str]:
    body = run.body
    driven = run.parts(drive, 3)
    gates = run.parts(run.product("h", h), 3 if run.step.linear_before_reset else 2)
    both = [body.op("Add", x, g) for x, g in zip(driven, gates[:2], strict=False)]
    z, r = (run.activate(0, value) for value in run.biased(both))
    if run.step.linear_before_reset:
        inner = body.op("Mul", r, run.biased(gates[2:], 2)[0])
    else:
        inner = run.biased([run.product("rh", body.op("Mul", r, h))], 2)[0]
    new = run.activate(1, body.op("Add", driven[2], inner))
    rest = body.op("Sub", body.constant(1.0, "one"), z)
    return run.rounded(body.op("Add", body.op("Mul", rest, new), body.op("Mul", z, h))), body.op("Identity", c)


def _rnn(run: _Run, drive: str, h: str, c: str) -> tuple[str, str]:
    sums = run.biased([run.body.op("Add", drive, run.product("h", h))])[0]
    return run.activate(0, sums), run.body.op("Identity", c)


_CELLS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}

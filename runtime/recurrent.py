"""Recurrent layers: the exact arithmetic of ONNX's LSTM, GRU and RNN around matrix products done elsewhere.

The equations are those of the ONNX operator documentation (LSTM-22, GRU-22, RNN-22); names follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.formats import rounded
from mho.targets.steps import Direction, Recurrent
from mho.targets.target import NumberFormat

Array = NDArray[Any]
Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

Fire = Callable[[str, Floats, Numbers], Array]
"""(layer, rows [n, R], fires [n]) → columns [n, C], where fires[i] = sample · time steps + time step."""

# The operators' text leaves some defaults open and onnxruntime takes 0 for them, so they are onnxruntime's.
ALPHAS = {"affine": 0.0, "leakyrelu": 0.01, "thresholdedrelu": 0.0, "scaledtanh": 0.0, "hardsigmoid": 0.2, "elu": 1.0}
"""Activations that take an alpha, with its default."""
BETAS = {"affine": 0.0, "scaledtanh": 0.0, "hardsigmoid": 0.5}
"""Activations that take a beta, with its default."""

_FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "affine": lambda x, a, b: a * x + b,
    "elu": lambda x, a, b: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "leakyrelu": lambda x, a, b: np.where(x > 0, x, a * x),
    "relu": lambda x, a, b: np.maximum(x, 0),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "sigmoid": lambda x, a, b: 0.5 * (1 + np.tanh(0.5 * x)),
    "softplus": lambda x, a, b: np.logaddexp(x, 0),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "tanh": lambda x, a, b: np.tanh(x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, 0),
}
ACTIVATIONS = tuple(_FUNCTIONS)
"""Names of the activations, in lower case."""


def run_recurrent(
    step: Recurrent,
    values: Mapping[str, Array],
    fire: Fire,
    first_sample: int = 0,
    number_format: NumberFormat = "float32",
    cells: Mapping[str, CellFunction] | None = None,
) -> dict[str, Array]:
    """The outputs of a recurrent step by name, in the type of its input.

    The products with the input are fired for all time steps at once, those with the state once a time step. A
    sequence that has ended fires nothing, keeps its state and gives zeros; the states of an empty one are zeros, as
    onnxruntime has it.

    Args:
        values: what the step reads, and its biases and peepholes, by name.
        fire: multiplies vectors by the matrix of a layer.
        first_sample: global index of the first sequence of the batch, for `fires`.
        number_format: of the digital unit that computes the cell: what the activations give, and the states after
            each time step, are rounded to it.
        cells: what computes the cell of an operator in another way than `CELLS`, with the same results.
    """
    x = values[step.input]
    batch_first = step.layout == 1
    sequence = np.swapaxes(x, 0, 1) if batch_first else x
    lengths = _optional(values, step.sequence_lengths)
    if lengths is None:
        lengths = np.full(sequence.shape[1], sequence.shape[0])
    initial = [_optional(values, name) for name in (step.initial_h, step.initial_c)]
    states = [np.swapaxes(s, 0, 1) if batch_first and s is not None else s for s in initial]
    timed = _Sequence(sequence, lengths.astype(np.int64), first_sample)
    compute = (cells or CELLS).get(step.cell, CELLS[step.cell])
    runs = [
        _run_direction(
            Cell(step, direction, values, fire, number_format), compute, timed, [_part(s, index) for s in states]
        )
        for index, direction in enumerate(step.directions)
    ]
    y, h, c = (np.stack([run[part] for run in runs]) for part in range(3))
    y = y.transpose(2, 1, 0, 3) if batch_first else y.transpose(1, 0, 2, 3)
    h, c = (np.swapaxes(s, 0, 1) if batch_first else s for s in (h, c))
    named = {step.output: y, step.output_h: h, step.output_c: c}
    return {name: np.ascontiguousarray(array, dtype=x.dtype) for name, array in named.items() if name is not None}


@dataclass(frozen=True)
class _Sequence:
    """x [steps, batch, features], the length of each sample's sequence, and the first one's global index."""

    x: Array
    lengths: Numbers
    first_sample: int

    @property
    def size(self) -> tuple[int, int]:
        return self.x.shape[0], self.x.shape[1]

    @property
    def whole(self) -> bool:
        """Whether all sequences are as long as the array."""
        return bool((self.lengths == len(self.x)).all())

    def alive(self, turn: int, reverse: bool) -> tuple[Numbers | slice, Numbers | int, Numbers]:
        """The samples whose sequence goes on at a turn, their time steps, and the counters of their noise draws."""
        if self.whole:
            time = len(self.x) - 1 - turn if reverse else turn
            return slice(None), time, self.fires(np.arange(len(self.lengths)), time)
        samples = np.flatnonzero(turn < self.lengths)
        times = self.lengths[samples] - 1 - turn if reverse else np.full(samples.size, turn)
        return samples, times, self.fires(samples, times)

    def fires(self, sample: Numbers, time: Numbers | int) -> Numbers:
        """The counters of noise draws: global sample · time steps + time step."""
        return (self.first_sample + sample) * len(self.x) + time


def _optional(given: Mapping[str, Array], name: str | None) -> Array | None:
    return None if name is None else given[name]


def _part(state: Array | None, index: int) -> Array | None:
    return None if state is None else state[index]


def _run_direction(
    cell: Cell, compute: CellFunction, sequence: _Sequence, initial: list[Array | None]
) -> tuple[Floats, Floats, Floats]:
    """y [steps, batch, hidden], and the last h and c [batch, hidden]."""
    step = cell.step
    steps, batch = sequence.size
    y = np.zeros((steps, batch, step.hidden), np.float32)
    h, c = (np.zeros((batch, step.hidden), np.float32) if s is None else s.astype(np.float32) for s in initial)
    drive = _fire_inputs(cell, sequence)
    for turn in range(steps):
        alive, time, fires = sequence.alive(turn, cell.direction.reverse)
        if not fires.size:
            break
        h[alive], c[alive] = compute(cell, drive[time, alive], h[alive], c[alive], fires)
        y[time, alive] = h[alive]
    ran = (sequence.lengths > 0)[:, None]
    return y, h * ran, c * ran


def _fire_inputs(cell: Cell, sequence: _Sequence) -> Array:
    """The products with x, the input's bias added: [steps, batch, gates · hidden]."""
    steps, batch = sequence.size
    time, sample = np.nonzero(np.arange(steps)[:, None] < sequence.lengths[None, :])
    x = sequence.x.reshape(steps * batch, sequence.x.shape[2]) if sequence.whole else sequence.x[time, sample]
    fired = cell.fire(cell.layer("x"), np.ascontiguousarray(x, dtype=np.float32), sequence.fires(sample, time))
    fired += cell.input_bias
    if sequence.whole:
        return fired.reshape(steps, batch, fired.shape[1])
    drive = np.zeros((steps, batch, fired.shape[1]), fired.dtype)
    drive[time, sample] = fired
    return drive


@dataclass(frozen=True)
class Cell:
    """What the equations of a cell need beside its state."""

    step: Recurrent
    direction: Direction
    given: Mapping[str, Array]
    fire: Fire
    number_format: NumberFormat

    def layer(self, operand: str) -> str:
        return next(gate.name for gate in self.direction.gates if gate.operand == operand)

    def product(self, operand: str, rows: Array, fires: Numbers) -> Array:
        return self.fire(self.layer(operand), np.ascontiguousarray(rows, dtype=np.float32), fires)

    @property
    def input_bias(self) -> Array | float:
        return self._constant(self.direction.input_bias)

    @property
    def hidden_bias(self) -> Array | float:
        return self._constant(self.direction.hidden_bias)

    def peephole(self, gate: int, state: Array) -> Array | float:
        """Number `gate` of the peepholes i, o, f times the cell state."""
        if self.direction.peepholes is None:
            return 0.0
        hidden = self.step.hidden
        part: Array = self.given[self.direction.peepholes][gate * hidden : (gate + 1) * hidden]
        return part * state

    def activate(self, number: int, sums: Array) -> Array:
        """Activation number `number` (f, g, h) of the clipped sums."""
        clip = self.step.clip
        return self.activate_freely(number, sums if clip is None else np.clip(sums, -clip, clip))

    def activate_freely(self, number: int, sums: Array) -> Array:
        name, alpha, beta = self.direction.activations[number]
        key = name.lower()
        a = ALPHAS.get(key, 0.0) if alpha is None else alpha
        b = BETAS.get(key, 0.0) if beta is None else beta
        return self.rounded(_FUNCTIONS[key](sums, a, b))

    def rounded(self, values: Array) -> Array:
        """What the cell's digital unit keeps of an activation or a state."""
        return rounded(values, self.number_format)

    def _constant(self, name: str | None) -> Array | float:
        return 0.0 if name is None else self.given[name].astype(np.float32)


def _lstm(cell: Cell, drive: Array, h: Array, c: Array, fires: Numbers) -> tuple[Array, Array]:
    i, o, f, g = np.split(drive + cell.product("h", h, fires) + cell.hidden_bias, 4, axis=1)
    i = cell.activate(0, i + cell.peephole(0, c))
    f = 1 - i if cell.step.input_forget else cell.activate(0, f + cell.peephole(2, c))
    c = cell.rounded(f * c + i * cell.activate(1, g))
    o = cell.activate(0, o + cell.peephole(1, c))
    return cell.rounded(o * cell.activate_freely(2, c)), c


def _gru(cell: Cell, drive: Array, h: Array, c: Array, fires: Numbers) -> tuple[Array, Array]:
    two = 2 * cell.step.hidden
    gates = cell.product("h", h, fires)
    bias = np.zeros(drive.shape[1], np.float32) + cell.hidden_bias
    z, r = (cell.activate(0, s) for s in np.split(drive[:, :two] + gates[:, :two] + bias[:two], 2, axis=1))
    if cell.step.linear_before_reset:
        inner = r * (gates[:, two:] + bias[two:])
    else:
        inner = cell.product("rh", r * h, fires) + bias[two:]
    return cell.rounded((1 - z) * cell.activate(1, drive[:, two:] + inner) + z * h), c


def _rnn(cell: Cell, drive: Array, h: Array, c: Array, fires: Numbers) -> tuple[Array, Array]:
    return cell.activate(0, drive + cell.product("h", h, fires) + cell.hidden_bias), c


CellFunction = Callable[[Cell, Array, Array, Array, Numbers], tuple[Array, Array]]
"""(cell, products with x [n, gates · hidden], h [n, hidden], c [n, hidden], fires [n]) → the next h and c."""

CELLS: Mapping[str, CellFunction] = MappingProxyType({"LSTM": _lstm, "GRU": _gru, "RNN": _rnn})
"""The equations of every operator."""

"""The LSTM cell in compiled loops: the equations of `mho.runtime.recurrent`, operation by operation.

numpy computes tanh, whose last bits differ from library to library.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.engines.endings import round_halves
from mho.runtime.loops import compiled
from mho.runtime.recurrent import CELLS, Cell, CellFunction

Array = NDArray[Any]

HALF, ONE = np.float32(0.5), np.float32(1)
DEFAULTS = ("sigmoid", "tanh", "tanh")


def lstm(cell: Cell, drive: Array, h: Array, c: Array, fires: NDArray[np.int64]) -> tuple[Array, Array]:
    """See `recurrent.CellFunction`; a cell that is not of the usual kind is left to `recurrent.CELLS`."""
    if not _usual(cell) or not all(a.dtype == np.float32 for a in (drive, h, c)):
        return CELLS["LSTM"](cell, drive, h, c, fires)
    halves = cell.number_format == "float16"
    sums = np.ascontiguousarray(cell.product("h", h, fires))
    bias = np.broadcast_to(np.asarray(cell.hidden_bias, np.float32), sums.shape[1:])
    prepare(sums, np.ascontiguousarray(drive), np.ascontiguousarray(bias))
    np.tanh(sums, out=sums)
    state, answer = np.array(c), np.empty_like(c)
    renew(sums, state, halves)
    np.tanh(state, out=answer)
    answer_with(sums, answer, halves)
    return answer, state


def _usual(cell: Cell) -> bool:
    direction, step = cell.direction, cell.step
    named = tuple(name.lower() for name, _, _ in direction.activations)
    return named == DEFAULTS and direction.peepholes is None and step.clip is None and not step.input_forget


@compiled
def prepare(sums: Any, drive: Any, bias: Any) -> None:
    """What tanh takes: the gates' sums, those of the gates i, o and f halved, as σ(x) = (1 + tanh(x / 2)) / 2."""
    sigmoids = sums.shape[1] // 4 * 3
    for n in range(len(sums)):
        line, other = sums[n], drive[n]
        for j in range(sigmoids):
            line[j] = HALF * ((other[j] + line[j]) + bias[j])
        for j in range(sigmoids, line.size):
            line[j] = (other[j] + line[j]) + bias[j]


@compiled
def renew(gates: Any, state: Any, halves: bool) -> None:
    """Makes the gates of their tanh, and c = f · c + i · g of the state."""
    hidden = state.shape[1]
    for n in range(len(gates)):
        line, c = gates[n], state[n]
        for j in range(3 * hidden):
            line[j] = HALF * (ONE + line[j])
        if halves:
            round_halves(line)
        i, f, g = line[:hidden], line[2 * hidden : 3 * hidden], line[3 * hidden :]
        for j in range(hidden):
            c[j] = f[j] * c[j] + i[j] * g[j]
        if halves:
            round_halves(c)


@compiled
def answer_with(gates: Any, answer: Any, halves: bool) -> None:
    """h = o · tanh(c), of tanh(c)."""
    hidden = answer.shape[1]
    for n in range(len(gates)):
        line, o = answer[n], gates[n][hidden : 2 * hidden]
        if halves:
            round_halves(line)
        for j in range(hidden):
            line[j] = o[j] * line[j]
        if halves:
            round_halves(line)


FAST_CELLS: Mapping[str, CellFunction] = MappingProxyType({**CELLS, "LSTM": lstm})
"""What computes the cell of every operator."""

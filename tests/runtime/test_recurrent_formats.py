"""Recurrent cells that a digital unit computes in a number format of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from mho.runtime.effects import Conditions, Effects
from mho.runtime.recurrent import run_recurrent
from mho.runtime.simulator import Simulator
from mho.targets.program import Program
from mho.targets.steps import Recurrent
from mho.targets.target import DigitalUnit
from tests.plans import compile_model, draw, machine_of, parse

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def model(cell: str) -> onnx.ModelProto:
    outputs = "y, h, c" if cell == "LSTM" else "y, h"
    shapes = "float[t, 1, n, 6] y, float[1, n, 6] h" + (", float[1, n, 6] c" if cell == "LSTM" else "")
    gates = GATES[cell]
    return parse(
        f"g (float[t, n, 5] x) => ({shapes}) {{ {outputs} = {cell} <hidden_size = 6> (x, w, r, b) }}",
        w=draw(1, 1, 6 * gates, 5) / 2,
        r=draw(2, 1, 6 * gates, 6) / 2,
        b=draw(3, 1, 12 * gates) / 2,
    )


def program(cell: str, *operators: str) -> Program:
    target = replace(machine_of(bits=None), units={"unit": DigitalUnit(operators=operators, digital_format="float16")})
    return compile_model(model(cell), {"x": draw(4, 7, 3, 5)}, target)


def run(program: Program, effects: Effects) -> dict[str, NDArray[np.float32]]:
    return Simulator(program).noisy(Conditions(effects=effects)).run({"x": draw(4, 7, 3, 5)})


def is_half(values: NDArray[np.float32]) -> bool:
    return bool(np.array_equal(values, values.astype(np.float16).astype(np.float32)))


@pytest.mark.parametrize("cell", GATES)
def test_states_are_rounded_after_every_step(cell: str) -> None:
    rounded, plain = (run(program(cell, cell), Effects(digital_format=on)) for on in (True, False))
    for name, values in rounded.items():
        assert is_half(values) and not is_half(plain[name])
        assert values == pytest.approx(plain[name], abs=5e-3)


def test_only_cells_of_the_unit() -> None:
    assert not is_half(run(program("GRU", "LSTM", "Softmax"), Effects())["h"])
    assert not is_half(Simulator(program("LSTM", "LSTM")).exact().run({"x": draw(4, 7, 3, 5)})["h"])


def test_one_step_is_the_formula() -> None:
    """Gates, then c, then h, each rounded when it is done."""
    (step,) = program("LSTM", "LSTM").sequence
    assert isinstance(step, Recurrent)
    sums = draw(5, 1, 24)

    def half(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values.astype(np.float16).astype(np.float32)

    def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return half(0.5 * (1 + np.tanh(0.5 * values)))

    direction = step.directions[0]
    zero = {name: np.zeros(24, np.float32) for name in (direction.input_bias, direction.hidden_bias) if name}
    fired = iter([sums, np.zeros_like(sums)])
    values = {step.input: np.zeros((1, 1, 5), np.float32), **zero}
    found = run_recurrent(step, values, lambda layer, rows, fires: next(fired), 0, "float16")
    i, o, _, g = np.split(sums, 4, axis=1)
    c = half(sigmoid(i) * half(np.tanh(g)))
    h = half(sigmoid(o) * half(np.tanh(c)))
    assert step.output_c is not None and step.output_h is not None
    assert found[step.output_c][0] == pytest.approx(c, abs=1e-6)
    assert found[step.output_h][0] == pytest.approx(h, abs=1e-6)
    assert is_half(found[step.output_c]) and is_half(found[step.output_h])

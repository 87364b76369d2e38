"""Batches of the size that suits a program."""

from __future__ import annotations

import numpy as np

from mho.runtime.matching import match_samples
from mho.runtime.simulator import BATCH_NUMBERS, MOST_SAMPLES, Simulator
from tests.plans import compile_model, draw, machine_of, parse


def batch_of(text: str, state: dict[str, str] | None = None) -> int:
    data = {"x": draw(1, 3, 4, 200, 200)}
    program = compile_model(parse(text, w=draw(2, 60, 4, 1, 1)), data, machine_of(rows=64, columns=64))
    return Simulator(program).batched(match_samples(data, program.inputs, state)).batch


def test_batches_are_as_large_as_the_widest_layer_allows() -> None:
    text = "g (float[{}, 4, 200, 200] x) => (float[{}, 60, h, v] y) {{ y = Conv <strides = [{}, {}]> (x, w) }}"
    assert batch_of(text.format("n", "n", 1, 1)) == BATCH_NUMBERS // (60 * 200 * 200)
    assert batch_of(text.format("n", "n", 40, 40)) == MOST_SAMPLES
    assert batch_of(text.format(3, 3, 1, 1)) == 3


def test_samples_that_are_whole_inputs_stay_so() -> None:
    program = compile_model(
        parse("g (float[n, 4] x) => (float[n, 3] y) { y = MatMul(x, w) }", w=draw(1, 4, 3)),
        {"x": draw(2, 5, 4)},
        machine_of(),
    )
    samples = match_samples({"x": np.zeros((2, 6, 4), np.float32)}, program.inputs)
    assert samples.batch == 0 and Simulator(program).batched(samples) is samples

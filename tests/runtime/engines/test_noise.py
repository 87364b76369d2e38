"""The distribution of the fast machine's noise: moments, tails to 4 σ, and independence."""

from __future__ import annotations

from dataclasses import replace
from math import erfc, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.engines.fused import FusedMachine
from mho.runtime.sequencer import Sequencer
from mho.targets.target import Device, Noise
from tests.plans import compile_model, draw, machine_of, parse

Floats = NDArray[np.float64]

SIGMA = 0.04
ONLY_OUTPUT = Conditions(effects=replace(Effects.ideal(), output_noise=True), seed=7)


def standard(found: Any) -> Floats:
    """Noise in units of its standard deviation over all numbers."""
    return np.asarray(found, np.float64) / np.std(np.asarray(found, np.float64))


@pytest.fixture(scope="module")
def pictures() -> Floats:
    """The noise [samples, columns, places] of a convolution of nothing: 2.4 million numbers."""
    text = "g (float[n, 4, 20, 20] x) => (float[n, 30, 20, 20] y) { y = Conv <pads = [1, 1, 1, 1]> (x, w) }"
    model = parse(text, w=draw(1, 30, 4, 3, 3))
    data = {"x": draw(2, 4, 4, 20, 20)}
    program = compile_model(model, data, replace(machine_of(scale_tile=True), noise=Noise(output=SIGMA)))
    sequencer = Sequencer(program, FusedMachine(program, ONLY_OUTPUT), DigitalUnit(program.tensors))
    found = sequencer.run({"x": np.zeros((200, 4, 20, 20), np.float32)})["y"]
    columns = found.reshape(200, 30, 400).astype(np.float64)
    return np.asarray(columns / columns.std(axis=(0, 2), keepdims=True))


def test_moments(pictures: Floats) -> None:
    count = pictures.size
    assert abs(pictures.mean()) < 4 / sqrt(count)
    assert abs((pictures**3).mean()) < 4 * sqrt(15 / count)
    assert abs((pictures**4).mean() - 3) < 4 * sqrt(96 / count)


@pytest.mark.parametrize("sigmas", [1, 2, 3, 4])
def test_tails(pictures: Floats, sigmas: int) -> None:
    part = erfc(sigmas / sqrt(2))
    found = float((np.abs(pictures) > sigmas).mean())
    assert abs(found - part) < 5 * sqrt(part / pictures.size) + 0.1 * part * (sigmas == 4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_independent(pictures: Floats, axis: int) -> None:
    """Samples, columns (of one tile and of neighbouring ones) and places."""
    for distance in (1, 2, 4):
        first, second = (np.moveaxis(pictures, axis, 0)[part] for part in (slice(distance, None), slice(-distance)))
        assert abs((first * second).mean()) < 4.5 / sqrt(first.size)
        assert abs((first**2 * second**2).mean() - 1) < 4.5 * sqrt(8 / first.size)


def test_steps_of_a_sequence_are_independent() -> None:
    model = parse(
        """g (float[t, n, 3] x) => (float[t, d, n, 16] y) {
            y = RNN <hidden_size = 16, activations = ["Affine"]> (x, w, r)
        }""",
        w=draw(1, 1, 16, 3),
        r=np.zeros((1, 16, 16), np.float32),
    )  # fmt: skip
    program = compile_model(model, {"x": draw(2, 1, 6, 4, 3)}, replace(machine_of(), noise=Noise(output=SIGMA)))
    found = FusedMachine(program, ONLY_OUTPUT)
    layer = program.layers[0].name
    steps, samples = 50, 200
    fires = (np.arange(samples)[None, :] * steps + np.arange(steps)[:, None]).reshape(-1)
    noise = standard(found.fire(layer, np.zeros((len(fires), 3), np.float32), fires)).reshape(steps, samples, 16)
    for axis in range(3):
        first, second = (np.moveaxis(noise, axis, 0)[part] for part in (slice(1, None), slice(-1)))
        assert abs((first * second).mean()) < 4.5 / sqrt(first.size)


def test_read_noise_of_every_mvm_has_its_exact_variance() -> None:
    """Against the variance of the weights, which a sum over rank-one terms would miss."""
    model = parse("g (float[n, 40] x) => (float[n, 9] y) { y = MatMul(x, w) }", w=draw(1, 40, 9))
    target = replace(machine_of(), device=Device(model="pcm", read_noise="per_mvm"))
    program = compile_model(model, {"x": draw(2, 8, 40)}, target)
    conditions = Conditions(effects=replace(Effects.ideal(), read_noise=True), time_s=3600.0)
    machine = FusedMachine(program, conditions)
    layer = program.layers[0].name
    row = draw(3, 1, 40)
    found = machine.fire(layer, np.repeat(row, 40_000, 0), np.arange(40_000))
    linked = machine.linked(layer)
    wanted = np.zeros(9)
    for product in linked.replicas[0]:
        driven = (row[0, slice(*product.rows)] / product.input_range).astype(np.float64)
        for part in product.parts:
            disturbance = part.block.disturbance
            assert disturbance is not None and disturbance.variance is not None
            columns = np.arange(9)[product.columns][part.columns]
            wanted[columns] += (driven[part.rows] ** 2 @ disturbance.variance) * product.unit[part.columns] ** 2
    assert found.var(axis=0) == pytest.approx(wanted, rel=0.04)

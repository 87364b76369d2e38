"""Noise that is fresh at every MVM: as large as the machine's, normal out to the tails, and independent."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import mho
from mho.examples.builder import Builder
from mho.runtime.effects import Conditions, Effects
from tests.compilations import machine, pipeline
from tests.compiler.export.agreement import model_of, outputs_of, static

Array = NDArray[Any]

ROWS, COLUMNS, FIRES = 70, 40, 3000
BEFORE_ADC = {"adc": False, "digital_format": False}


def product() -> onnx.ModelProto:
    net = Builder("product", seed=5)
    x, weight = net.input("x", ["N", ROWS]), net.weight("weight", ROWS, COLUMNS, fan_in=ROWS)
    net.output(net.op("MatMul", "y", x, weight), ["N", COLUMNS])
    return net.model


def inputs() -> Array:
    row = np.random.default_rng(2).standard_normal((1, ROWS)).astype(np.float32)
    return np.repeat(row, FIRES, axis=0)


@cache
def compiled_on(target: str) -> mho.Compiled:
    data = np.random.default_rng(2).standard_normal((64, ROWS)).astype(np.float32)
    return mho.compile(product(), machine(target), data, pipeline=pipeline())


@cache
def errors(target: str, read_seed: int = 0) -> tuple[Array, Array]:
    """What the exported model and the machine add to one input, fire by fire."""
    compiled, x = compiled_on(target), inputs()
    still = Effects(**{**vars(static(compiled.program.target)), **BEFORE_ADC})
    conditions = Conditions(effects=Effects(**BEFORE_ADC), seed=1, read_seed=read_seed)
    exact = compiled.run(x[:1], effects=still, seed=1)["y"]
    found = outputs_of(compiled, model_of(compiled, conditions), {"x": x})["y"]
    expected = compiled.run(x, effects=conditions.effects, seed=1, read_seed=read_seed)["y"]
    return found - exact, expected - exact


def _normalised(found: Array) -> Array:
    return np.asarray((found - found.mean(axis=0)) / found.std(axis=0))


@pytest.mark.parametrize("target", ["hermes64", "small", "everything"])
def test_moments_are_the_machines(target: str) -> None:
    found, expected = errors(target)
    np.testing.assert_allclose(found.std(axis=0), expected.std(axis=0), rtol=0.1)
    shift = np.abs(found.mean(axis=0) - expected.mean(axis=0)) / expected.std(axis=0)
    assert shift.max() < 5 * np.sqrt(2 / FIRES)
    normalised = _normalised(found)
    assert np.mean(normalised**4) == pytest.approx(3, abs=0.1)
    assert np.mean(np.abs(normalised) > 3) == pytest.approx(0.0027, abs=0.0006)
    assert 4 < np.abs(normalised).max() < 6


def test_draws_are_independent() -> None:
    """Between columns, blocks, fires and seeds."""
    z, other = (_normalised(errors("small", read_seed)[0]) for read_seed in (0, 7))
    between = np.corrcoef(z.T) - np.eye(COLUMNS)
    assert np.abs(between).max() < 5 / np.sqrt(FIRES)
    assert abs(np.mean(z[1:] * z[:-1])) < 5 / np.sqrt(z.size)
    assert abs(np.mean(z * other)) < 5 / np.sqrt(z.size)

"""Layers measured on the way, whichever engine fires them."""

from __future__ import annotations

import numpy as np
import pytest

from mho.runtime.effects import Conditions, Effects
from mho.runtime.engines.choice import Engine
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.simulator import Simulator
from tests.compilations import digits_on, digits_test


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_probed_machine_answers_as_it_does_alone(engine: Engine) -> None:
    program = digits_on("hermes64").program
    simulator, samples = Simulator(program, engine), match_samples({"x": digits_test(40)[0]}, program.inputs, None)
    sequencer, probed = simulator.probed(Conditions(seed=3))
    found = run_samples(samples, sequencer.run)
    alone = run_samples(samples, simulator.noisy(Conditions(seed=3)).run)
    assert all(np.array_equal(found[name], alone[name]) for name in alone)
    assert set(probed.layers) == {"conv1", "conv2", "conv3", "dense1", "dense2"}


def test_engines_measure_the_same_errors() -> None:
    program = digits_on("hermes64").program
    samples = match_samples({"x": digits_test(40)[0]}, program.inputs, None)
    found = []
    for engine in ("fast", "reference"):
        sequencer, probed = Simulator(program, engine).probed(Conditions(effects=Effects(digital_format=False)))
        run_samples(samples, sequencer.run)
        found.append({name: power.sqnr_db for name, power in probed.layers.items()})
    assert found[0] == {name: pytest.approx(sqnr, abs=0.1) for name, sqnr in found[1].items()}

"""The digits network as an exported model: on every machine, packed and replicated in every way."""

from __future__ import annotations

import numpy as np
import pytest

from mho.passes.pack.pack import Mode
from mho.runtime.effects import Conditions, Effects
from tests.compilations import WAYS, Copies, digits_on, digits_test
from tests.compiler.export.agreement import SELDOM, layer_by_layer, model_of, outputs_of, static


@pytest.mark.parametrize("quantised", [True, False], ids=["quantised", "programmed"])
@pytest.mark.parametrize(("target", "pack", "replicas"), WAYS)
def test_every_layer_agrees_with_the_machine(target: str, pack: Mode, replicas: Copies, quantised: bool) -> None:
    compiled = digits_on(target, pack, replicas)
    effects = Effects.quantised() if quantised else static(compiled.program.target)
    time_s = 0.0 if target == "analog34:two-device" else 3600.0
    conditions = Conditions(effects=effects, seed=3, time_s=time_s)
    found = list(layer_by_layer(compiled, conditions, {"image": digits_test(6)[0]}))
    assert len(found) == len(compiled.program.layers)
    for layer in found:
        assert layer.worst <= 1.001 and layer.apart <= SELDOM, layer.layer


@pytest.mark.parametrize("target", ["ideal256", "hermes64", "everything"])
def test_ideal_is_exact(target: str) -> None:
    compiled, images = digits_on(target), digits_test(6)[0]
    model = model_of(compiled, Conditions(effects=Effects.ideal()))
    expected = compiled.run(images, effects=Effects.ideal())["logits"]
    found = outputs_of(compiled, model, {"image": images})["logits"]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("target", ["hermes64", "analog34", "everything"])
def test_noise_is_as_large_as_the_machines(target: str) -> None:
    """Errors of many results have the same size, whoever draws the noise."""
    compiled, images = digits_on(target), np.repeat(digits_test(20)[0], 20, axis=0)
    exact = compiled.run(images, effects=static(compiled.program.target), seed=2)["logits"]
    noisy = compiled.run(images, seed=2)["logits"] - exact
    found = outputs_of(compiled, model_of(compiled, Conditions(seed=2)), {"image": images})["logits"] - exact
    assert found.std() == pytest.approx(noisy.std(), rel=0.1)
    assert np.abs(found.mean(0) - noisy.mean(0)).max() < 0.25 * noisy.std()

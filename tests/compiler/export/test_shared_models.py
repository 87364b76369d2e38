"""Trained networks as exported models: every layer agrees with the machine, and so do the results in ideal mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mho.runtime.effects import Conditions, Effects
from mho.runtime.matching import match_samples
from tests.compiler.export.agreement import SELDOM, layer_by_layer, model_of, outputs_of, static
from tests.differential.reference import worst_error
from tests.differential.test_shared_models import compiled_for, first, name
from tests.shared_models import ALL, SharedModel

pytestmark = pytest.mark.shared

FEW = 2
LOUD = 1.1
"""Of a converter's step: a float16 digital unit may round the two apart by a little more."""

PROGRAMMED = ("mlperf-tiny-dscnn", "resnet20-cifar10", "autoencoder1d-convtranspose", "cct-2-32-structure")
"""Networks that are compared with programming noise and drift too."""


@pytest.mark.parametrize("model", ALL, ids=name)
def test_every_layer_agrees_with_the_machine(model: SharedModel, shared: Path) -> None:
    compiled = compiled_for(model, shared, "hermes64")
    samples = match_samples(first(model.load(shared)[0], FEW), compiled.program.inputs, model.state)
    _, _, inputs = next(samples.batches())
    conditions = [Conditions(effects=Effects.quantised())]
    if model.name in PROGRAMMED:
        conditions.append(Conditions(effects=static(compiled.program.target), seed=3, time_s=3600.0))
    for each in conditions:
        for layer in layer_by_layer(compiled, each, {**samples.initial, **inputs}):
            assert layer.worst <= LOUD and layer.apart <= SELDOM, layer.layer


@pytest.mark.parametrize("model", ALL, ids=name)
def test_ideal_mode_is_the_programs(model: SharedModel, shared: Path) -> None:
    compiled, data = compiled_for(model, shared), first(model.load(shared)[0], FEW)
    exact = model_of(compiled, Conditions(effects=Effects.ideal()))
    expected = compiled.run(data, effects=Effects.ideal(), state=model.state)
    found = outputs_of(compiled, exact, data, model.state)
    if model.rounds_itself:
        quanta = {n: 1.0 if v.dtype.kind == "i" else np.abs(v).max() / 255 for n, v in expected.items()}
        assert all(np.abs(found[n].astype(np.float64) - expected[n]).max() <= quanta[n] for n in expected)
    else:
        assert worst_error(found, expected) <= 1e-4

"""Trained networks from ONNX to a program: exact in ideal mode, and as accurate as the float model when quantised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mho
from mho.report.accuracy import Accuracy
from mho.runtime.effects import Conditions, Effects
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.runtime.simulator import Simulator
from tests.compilations import pipeline
from tests.differential.reference import IDEAL_TOLERANCE, reference, worst_error
from tests.shared_models import ALL, LABELLED, SharedModel

Array = NDArray[Any]

pytestmark = pytest.mark.shared

FEW = 2
CALIBRATION = 64
HURRY = 0.05
"""Seconds of search: where a tile stands changes no number."""

EXACT = [model for model in ALL if not model.rounds_itself]
ROUNDING = [model for model in ALL if model.rounds_itself]
SCORED = [model for model in LABELLED if model.name != "resnet20-cifar10-external-data"]
LABELS = {
    "resnet20-cifar10": 80,
    "resnet32-cifar10": 40,
    "mlperf-tiny-autoencoder": 62,
    "alibaba-ad-autoencoder": 62,
    "all-minilm-l6-v2-f16": 20,
    "super-resolution-x3": 1,
}
"""How many labels to score where it is not 200."""


POINT = 0.01
LOSSES = {"mlperf-tiny-dscnn": 0.016, "all-minilm-l6-v2-f16": 0.03, "super-resolution-x3": 0.1}
"""What may be lost where it is not a percentage point: three sounds of 200, ranks of 20 pairs, decibels."""

NOISY_DB = 40.0
"""Those that lose more have a layer whose own error explains it."""


def name(model: SharedModel) -> str:
    return model.name


def first(data: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: array[:count] if array.ndim else array for name, array in data.items()}


def compiled_for(model: SharedModel, shared: Path, target: str = "ideal256") -> mho.Compiled:
    """Calibrated on samples from all over the data."""
    data, _ = model.load(shared)
    count = FEW if target == "ideal256" else CALIBRATION
    spread = {name: array[:: max(1, len(array) // count)] if array.ndim else array for name, array in data.items()}
    return mho.compile(model.model(shared), target, spread, state=model.state, pipeline=pipeline(effort=HURRY))


@pytest.mark.parametrize("model", EXACT, ids=name)
def test_ideal_mode_equals_onnxruntime(model: SharedModel, shared: Path) -> None:
    compiled = compiled_for(model, shared)
    data = first(model.load(shared)[0], FEW)
    found = compiled.run(data, effects=Effects.ideal(), state=model.state)
    assert worst_error(found, reference(model.model(shared), compiled, data, model.state)) <= IDEAL_TOLERANCE


@pytest.mark.parametrize("model", ROUNDING, ids=name)
def test_graphs_that_round_agree_layer_by_layer(model: SharedModel, shared: Path) -> None:
    """Each layer is exact on its own inputs; results are whole quanta, of which rounding may add or take one."""
    compiled = compiled_for(model, shared)
    data = first(model.load(shared)[0], 16)
    sequencer, probed = Simulator(compiled.program).probed(Conditions(effects=Effects.ideal()))
    samples = match_samples(data, compiled.program.inputs, model.state)
    found = run_samples(samples, sequencer.run)
    assert set(probed.layers) == {layer.name for layer in compiled.program.layers}
    assert all(power.error <= 1e-12 * power.signal for power in probed.layers.values())
    for output, wanted in reference(model.model(shared), compiled, data, model.state).items():
        assert found[output].dtype == wanted.dtype
        quantum = 1 if wanted.dtype.kind == "i" else np.abs(wanted).max() / 255
        assert np.abs(found[output].astype(np.float64) - wanted).max() <= quantum


@pytest.mark.parametrize("model", SCORED, ids=name)
def test_quantised_is_as_accurate_as_the_float_model(model: SharedModel, shared: Path) -> None:
    compiled = compiled_for(model, shared, "hermes64")
    accuracy = quantised(compiled, model, shared)
    assert accuracy.reference.accuracy is not None and accuracy.mean is not None
    assert {layer.name for layer in accuracy.layers} == {layer.name for layer in compiled.program.layers}
    worst = accuracy.worst_layers()[0].sqnr_db
    assert worst is not None and worst > 10
    assert accuracy.mean >= accuracy.reference.accuracy - LOSSES.get(model.name, POINT)
    assert model.name not in LOSSES or worst < NOISY_DB


def quantised(compiled: mho.Compiled, model: SharedModel, shared: Path) -> Accuracy:
    data, labels = portion(model, shared)
    return compiled.validate(
        data,
        labels,
        effects=Effects.quantised(),
        metric=model.metric(data),
        model=model.model(shared),
        state=model.state,
    )


def portion(model: SharedModel, shared: Path) -> tuple[dict[str, Array], Array]:
    """The samples of the first labels: one a label, many windows of one sound, or two halves of sentence pairs."""
    data, labels = model.load(shared)
    assert labels is not None
    count = LABELS.get(model.name, 200)
    if "minilm" in model.name:
        halves = [first({n: a[start:] for n, a in data.items()}, count) for start in (0, len(labels))]
        return {n: np.concatenate([half[n] for half in halves]) for n in data}, labels[:count]
    windows = len(next(iter(data.values()))) // len(labels)
    return first(data, count * windows), labels[:count]

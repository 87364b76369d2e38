"""Every trained network lowers, with the layers it should have, and computes what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mho.frontend import load_model
from mho.passes.levels.model import Model
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.passes.lower.check_weights import CheckWeights
from mho.passes.lower.fuse import FuseEpilogues
from mho.passes.simplify import Simplify
from mho.passes.verify.network import verify_network
from mho.targets.steps import Analog, layers, walk

pytestmark = pytest.mark.shared

LAYERS = {
    "alibaba-ad-autoencoder": 6,
    "alibaba-vww-mobilenet": 28,
    "all-minilm-l6-v2-f16": 36,
    "autoencoder1d-convtranspose": 9,
    "basic-pitch": 32,
    "byte-sentence-bilstm": 9,
    "cct-2-32-structure": 15,
    "dtln-stage1": 5,
    "fastestdet": 70,
    "mlperf-tiny-autoencoder": 10,
    "mlperf-tiny-dscnn": 10,
    "mlperf-tiny-resnet8": 10,
    "mlperf-tiny-resnet8-int8-qdq": 10,
    "mnist-cnn": 3,
    "mnist-lstm": 3,
    "nemo-int8-dscnn": 10,
    "resnet20-cifar10": 20,
    "resnet20-cifar10-external-data": 20,
    "resnet32-cifar10": 32,
    "silero-vad-16k-fixed": 8,
    "silero-vad-ifless": 16,
    "super-resolution-x3": 4,
    "ultraface-rfb-320": 52,
}
SIZES = {"batch": 1, "sequence": 576, "H": 12, "W": 10}
# Numbers of this network are so near to each other that a float32 sum in another order shows.
LOOSE = {"silero-vad-ifless": 1e-3, "silero-vad-16k-fixed": 1e-4, "basic-pitch": 1e-4}


def simplified(shared: Path, name: str) -> Model:
    return Simplify().run(load_model(shared / "models" / name / "model.onnx"))


def feeds(model: Model) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    found = {}
    for value in model.ir.graph.inputs:
        assert value.shape is not None and value.dtype is not None
        shape = [d if isinstance(d, int) else SIZES.get(str(d.value), 2) for d in value.shape]
        kind = value.dtype.numpy()
        floats = np.issubdtype(kind, np.floating)
        array = rng.standard_normal(shape) if floats else np.full(shape, 16000 if value.name == "sr" else 1)
        found[value.name or ""] = array.astype(kind)
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_network(bench: Any, shared: Path, name: str) -> None:
    model = simplified(shared, name)
    network = CheckWeights().run(Lower().run(model))
    fused = FuseEpilogues(("accumulate", "add", "relu")).run(network)
    for each in (network, fused):
        assert len(layers(each.steps)) == LAYERS[name]
        assert verify_network(each) == ()
    check_decisions(model, fused)
    assert all(step.batch_axis == 0 for step in walk(fused.steps) if isinstance(step, Analog))
    bench.check_network(fused, model, feeds(model), LOOSE.get(name, 1e-5))


def check_decisions(model: Model, network: Network) -> None:
    """One decision a node."""
    decided = [d.node for d in network.decisions]
    assert len(decided) == len(set(decided))
    assert len(decided) == sum(1 for _ in model.ir.graph.all_nodes())
    assert all(d.reason for d in network.decisions)


def test_residual_network_keeps_little_digital(shared: Path) -> None:
    network = FuseEpilogues(("accumulate", "add", "relu")).run(Lower().run(simplified(shared, "resnet20-cifar10")))
    units = [d.unit for d in network.decisions]
    assert (units.count("analog"), units.count("core")) == (20, 28)


def test_front_end_of_filters_shares_matrices(shared: Path) -> None:
    network = Lower().run(simplified(shared, "basic-pitch"))
    assert len(network.matrices) == 9
    assert len({layer.matrix for layer in layers(network.steps)}) == 9

"""The networks whose simulation is timed, each with the inputs of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mho.data import read_npz
from mho.examples.builder import Builder
from mho.examples.resnet import resnet18
from tests.shared_models import ALL

Array = NDArray[Any]

CALIBRATION_SAMPLES = 32
MOST_SAMPLES = 128
"""Of a trained network."""


@dataclass(frozen=True)
class Workload:
    """A network and the samples that it runs on.

    Attributes:
        model: built in memory, or a file.
        data: by input; the first axis counts the samples.
        state: output → input of the next sample.
    """

    name: str
    model: onnx.ModelProto | Path
    data: Mapping[str, Array]
    state: Mapping[str, str] = field(default_factory=dict)

    @property
    def calibration(self) -> dict[str, Array]:
        """The first samples."""
        return {n: array[:CALIBRATION_SAMPLES] if array.ndim else array for n, array in self.data.items()}


def drawn(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def dense() -> Workload:
    net = Builder("dense")
    x = net.input("x", ["N", 1024])
    net.output(net.gemm("layer", x, 1024, 1024), ["N", 1024])
    return Workload("1024 × 1024 layer, batch 4,096", net.model, {"x": drawn(4096, 1024)})


def mlp() -> Workload:
    net = Builder("mlp")
    x = net.input("x", ["N", 784])
    for number, (rows, columns) in enumerate(((784, 512), (512, 256))):
        x = net.op("Relu", f"relu{number}", net.gemm(f"layer{number}", x, rows, columns, gain=2.0))
    net.output(net.gemm("layer2", x, 256, 10), ["N", 10])
    return Workload("MLP 784-512-256-10, batch 1,024", net.model, {"x": drawn(1024, 784)})


def lstm(hidden: int = 512, steps: int = 50, batch: int = 16) -> Workload:
    net = Builder("lstm")
    x = net.input("x", [steps, "N", hidden])
    weights = [net.weight(name, 1, 4 * hidden, hidden, fan_in=hidden) for name in ("w", "r")]
    y, _ = net.ops("LSTM", "lstm", x, *weights, net.bias("b", 1, 8 * hidden), outputs=["y", ""], hidden_size=hidden)
    net.output(y, [steps, 1, "N", hidden])
    return Workload("LSTM (512, 50 steps, batch 16)", net.model, {"x": drawn(1, steps, batch, hidden)})


def resnet20(shared: Path) -> Workload:
    folder = shared / "models" / "resnet20-cifar10"
    data = {"input": np.asarray(read_npz(folder / "data.npz")["x"])[:128]}
    return Workload("ResNet-20, batch 128", folder / "model.onnx", data)


def resnet18_at_224() -> Workload:
    return Workload("ResNet-18 at 224 × 224, batch 8", resnet18(), {"image": drawn(8, 3, 224, 224)})


def five(shared: Path) -> dict[str, Callable[[], Workload]]:
    """The five that have a bar, by a short name; ResNet-20 where the trained networks are at hand."""
    found: dict[str, Callable[[], Workload]] = {"dense": dense, "mlp": mlp, "lstm": lstm}
    if (shared / "models" / "resnet20-cifar10").is_dir():
        found["resnet20"] = lambda: resnet20(shared)
    return found | {"resnet18": resnet18_at_224}


def trained(shared: Path) -> Iterator[Workload]:
    """The trained networks that have data, with at most 128 samples each."""
    for model in ALL:
        if model.model(shared).is_file():
            inputs, _ = model.load(shared)
            data = {name: array[:MOST_SAMPLES] if array.ndim else array for name, array in inputs.items()}
            yield Workload(model.name, model.model(shared), data, model.state)

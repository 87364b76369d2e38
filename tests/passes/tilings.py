"""Networks of bare matrices, and machines of any size, for the tests of tilings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.levels.network import Calibrated, LayerInputs, Network
from mho.targets.steps import Analog
from mho.targets.target import Converter, Crossbar, Target, WeightScale
from mho.targets.unfolding import Dense, Window


@dataclass(frozen=True)
class Shape:
    """A matrix with one layer; a kernel above 1 makes the layer a one-dimensional convolution."""

    rows: int
    columns: int
    groups: int = 1
    kernel: int = 1
    fires: float = 1.0


def machine(
    rows: int = 256,
    columns: int = 256,
    analog_rows: int | None = None,
    scale: WeightScale = "column",
    adc: Converter = Converter(bits=8),  # noqa: B008
) -> Target:
    """A machine of which only the crossbar and the converters matter."""
    crossbar = Crossbar(rows=rows, columns=columns, devices_per_weight=4, weight_scale=scale, analog_rows=analog_rows)
    return Target(name="bench", title="bench", crossbar=crossbar, dac=Converter(bits=8), adc=adc)


def calibrated(shapes: Sequence[Shape], vectors: int = 8, seed: int = 0) -> Calibrated:
    """Matrices m0, m1 … of normal weights with layers l0, l1 … that saw uniform inputs of range 2."""
    random = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(len(shapes))]
    weights = [random.standard_normal((s.groups, s.rows // s.groups, s.columns // s.groups)) for s in shapes]
    network = Network(
        name="bench",
        digest="",
        inputs=(),
        outputs=(),
        matrices={n: Matrix(n, Recipe(n), s.rows, s.columns, s.groups) for n, s in zip(names, shapes, strict=True)},
        tensors={n: ir.tensor(w.astype(np.float32), name=n) for n, w in zip(names, weights, strict=True)},
        graphs={},
        steps=tuple(
            Analog(name=f"l{i}", matrix=f"m{i}", input=f"v{i}", output=f"v{i + 1}", unfolding=_unfolding(s))
            for i, s in enumerate(shapes)
        ),
        origins={},
        decisions=(),
        opset_imports={},
        value_types={},
    )
    seen = {
        f"l{i}": LayerInputs(2.0, random.uniform(-2, 2, (vectors, s.rows)).astype(np.float32), s.fires)
        for i, s in enumerate(shapes)
    }
    return Calibrated(network, seen)


def _unfolding(shape: Shape) -> Dense | Window:
    if shape.kernel == 1:
        return Dense()
    return Window(kernel=(shape.kernel,), strides=(1,), dilations=(1,), spread=(1,), pads=((0, 0),))


RESNET9 = (
    Shape(27, 56, kernel=9),
    Shape(504, 112, kernel=9),
    Shape(1008, 112, kernel=9),
    Shape(1008, 112, kernel=9),
    Shape(1008, 224, kernel=9),
    *[Shape(2016, 224, kernel=9)] * 3,
    Shape(224, 10),
)
"""The matrices that the 64-core chip ran (Le Gallo et al., Nature Electronics 6, 2023)."""

PTB_LSTM = (Shape(128, 2016), Shape(504, 2016), Shape(504, 50))
"""The character LSTM that the same chip ran."""

RESNET20 = (
    Shape(27, 16, kernel=9),
    *[Shape(144, 16, kernel=9)] * 6,
    Shape(144, 32, kernel=9),
    *[Shape(288, 32, kernel=9)] * 5,
    Shape(288, 64, kernel=9),
    *[Shape(576, 64, kernel=9)] * 5,
    Shape(64, 10),
)

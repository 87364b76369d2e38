from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import mho
from mho.frontend import load_model
from mho.passes.expand.expand_weights import Draw, ExpandWeights
from mho.passes.levels.model import Model
from mho.runtime.effects import Effects

Array = npt.NDArray[Any]
Run = Callable[[Model, Mapping[str, Array]], dict[str, Array]]

MODELS: dict[str, tuple[str, str, dict[str, tuple[int, ...]]]] = {
    "matmul": ("float[3,6] x", "y = MatMul (x, W)", {"W": (6, 5)}),
    "matmul of rank 3": ("float[3,2,6] x", "y = MatMul (x, W)", {"W": (6, 5)}),
    "matmul of matrices": ("float[3,2,6] x", "y = MatMul (x, W)", {"W": (1, 6, 5)}),
    "matmul from the left": ("float[6,3] x", "y = MatMul (W, x)", {"W": (5, 6)}),
    "gemm": ("float[3,6] x", "y = Gemm <alpha = 0.5, beta = 2.0> (x, W, B)", {"W": (6, 5), "B": (5,)}),
    "gemm transposed": ("float[3,6] x", "y = Gemm <transB = 1> (x, W)", {"W": (5, 6)}),
    "conv": (
        "float[3,4,7,6] x",
        "y = Conv <pads = [1, 0, 1, 2], strides = [2, 1], kernel_shape = [3, 2]> (x, W, B)",
        {"W": (5, 4, 3, 2), "B": (5,)},
    ),
    "conv in groups": (
        "float[3,4,9] x",
        'y = Conv <group = 2, auto_pad = "SAME_UPPER"> (x, W)',
        {"W": (6, 2, 3)},
    ),
    "conv with gaps": ("float[3,2,9] x", "y = Conv <dilations = [3]> (x, W)", {"W": (5, 2, 2)}),
    "lstm": (
        "float[4,3,6] x",
        "y, h, c = LSTM <hidden_size = 3> (x, W, R, B)",
        {"W": (1, 12, 6), "R": (1, 12, 3), "B": (1, 24)},
    ),
    "gru both ways": (
        "float[4,3,6] x",
        'y, h = GRU <hidden_size = 3, direction = "bidirectional"> (x, W, R)',
        {"W": (2, 9, 6), "R": (2, 9, 3)},
    ),
    "rnn": ("float[4,3,6] x", "y, h = RNN <hidden_size = 3> (x, W, R)", {"W": (1, 3, 6), "R": (1, 3, 3)}),
}


def model_of(name: str) -> onnx.ModelProto:
    declared, node, weights = MODELS[name]
    rank = {"lstm": 4, "gru both ways": 4, "rnn": 4}.get(name, declared.count(",") + 1)
    shape = ",".join(f"d{i}" for i in range(rank))
    text = f'<ir_version: 10, opset_import: ["" : 20]>\ng ({declared}) => (float[{shape}] y) {{ [layer] {node} }}'
    proto = onnx.parser.parse_model(text)
    random = np.random.default_rng(0)
    for tensor, size in weights.items():
        proto.graph.initializer.append(numpy_helper.from_array(random.standard_normal(size).astype("f"), tensor))
    return proto


def feeds(model: Model) -> dict[str, Array]:
    value = model.ir.graph.inputs[0]
    shape = [d for d in value.shape or () if isinstance(d, int)]
    return {"x": np.random.default_rng(1).standard_normal(shape, dtype=np.float32)}


@pytest.mark.parametrize("draw", ["orthonormal", "normal"])
@pytest.mark.parametrize("name", list(MODELS))
def test_expanded_layers_compute_the_same(name: str, draw: Draw, run: Run) -> None:
    model = load_model(model_of(name))
    expanded = ExpandWeights({"layer": 2.5}, draw=draw).run(model)
    before, after = run(model, feeds(model))["y"], run(expanded, feeds(model))["y"]
    np.testing.assert_allclose(after, before, atol=1e-5 * float(np.abs(before).max()), rtol=0)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_random_matrix_stays_digital(name: str) -> None:
    compiled = mho.compile(model_of(name), "ideal256", pipeline=expanding(3))
    decisions = {d.node: (d.unit, d.reason) for d in compiled.program.decisions}
    assert decisions["layer"][0] == "analog"
    assert decisions["layer/expand"] == ("digital", "the random matrix of a weight expansion")
    plain = mho.compile(model_of(name), "ideal256")
    rows = {m.name: m.rows for m in plain.program.matrices}
    wide = {m.name: m.rows for m in compiled.program.matrices}
    assert [wide[n] / rows[n] for n in rows] == [1 if "/h" in n or "/rh" in n or "/r" in n else 3 for n in rows]


@pytest.mark.parametrize("name", list(MODELS))
def test_ideal_results_are_those_of_the_network(name: str, run: Run) -> None:
    model = load_model(model_of(name))
    compiled = mho.compile(model_of(name), "hermes64", pipeline=expanding(2))
    found = np.asarray(compiled.run(feeds(model), effects=Effects.ideal())["y"])
    wanted = run(model, feeds(model))["y"]
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def expanding(factor: float) -> mho.Pipeline:
    return mho.Pipeline(expand=ExpandWeights({"layer": factor}))


def test_layers_and_seeds_have_matrices_of_their_own() -> None:
    def matrix(seed: int) -> Array:
        model = ExpandWeights({"layer": 2}, seed=seed).run(load_model(model_of("matmul")))
        return model.ir.graph.initializers["layer/expand/matrix"].const_value.numpy()  # type: ignore[union-attr]

    assert np.array_equal(matrix(0), matrix(0))
    assert not np.array_equal(matrix(0), matrix(1))
    np.testing.assert_allclose(matrix(0) @ matrix(0).T, np.eye(6), atol=1e-6)
    assert matrix(0).shape == (6, 12)


def test_nothing_to_expand_leaves_the_model_alone() -> None:
    model = load_model(model_of("matmul"))
    assert ExpandWeights().run(model) is model


def test_errors_fall_with_the_square_root_of_the_rows() -> None:
    errors = {}
    random = np.random.default_rng(2)
    proto = model_of("matmul")
    weights = random.standard_normal((64, 48)).astype(np.float32)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "W"))
    for axis, size in enumerate((200, 64)):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    data = random.standard_normal((200, 64), dtype=np.float32)
    for factor in (1, 4):
        compiled = mho.compile(proto, "hermes64", data, pipeline=expanding(factor))
        runs = [np.asarray(compiled.run(data, seed=seed)["y"]) for seed in range(3)]
        errors[factor] = float(np.sqrt(np.mean([(r - data @ weights) ** 2 for r in runs])))
    assert 1.6 < errors[1] / errors[4] < 2.6

"""LSTM, GRU and RNN in all their variants give what onnxruntime gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mho.runtime.recurrent import ALPHAS, BETAS, run_recurrent
from mho.targets.errors import ModelError
from mho.targets.steps import Recurrent

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = [
    "Sigmoid",
    "Tanh",
    "Relu",
    "HardSigmoid",
    "Softsign",
    "Softplus",
    "LeakyRelu",
    "ThresholdedRelu",
    "Elu",
    "ScaledTanh",
    "Affine",
]
STEPS, BATCH, FEATURES, HIDDEN = 4, 3, 2, 3


def numbers(*shape: int) -> Any:
    return np.random.default_rng(sum(shape) + 7).standard_normal(shape).astype(np.float32) * np.float32(0.7)


@st.composite
def cell(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(GATES)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    count = 2 if direction == "bidirectional" else 1
    attributes: dict[str, Any] = {"direction": direction, "hidden_size": HIDDEN}
    if draw(st.booleans()):
        names = [draw(st.sampled_from(FUNCTIONS)) for _ in range(count * {"LSTM": 3, "GRU": 2, "RNN": 1}[kind])]
        attributes["activations"] = names
        if draw(st.booleans()):
            attributes["activation_alpha"] = [0.3 for n in names if n.lower() in ALPHAS]
            attributes["activation_beta"] = [0.4 for n in names if n.lower() in BETAS]
    if draw(st.booleans()):
        attributes["clip"] = 0.6
    if kind == "GRU":
        attributes["linear_before_reset"] = draw(st.integers(0, 1))
    if kind == "LSTM":
        attributes["input_forget"] = draw(st.integers(0, 1))
    given_inputs = [name for name in ("b", "lengths", "h", "c", "p") if draw(st.booleans())]
    if kind != "LSTM":
        given_inputs = [name for name in given_inputs if name not in "cp"]
    return {
        "kind": kind,
        "count": count,
        "attributes": {k: v for k, v in attributes.items() if v != []},
        "given": given_inputs,
        "lengths": [draw(st.integers(0, STEPS)) for _ in range(BATCH)],
    }


def arrays(kind: str, count: int, lengths: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and constants by name."""
    gates = GATES[kind] * HIDDEN
    inputs = {
        "x": numbers(STEPS, BATCH, FEATURES),
        "lengths": np.array(lengths, np.int32),
        "h": numbers(count, BATCH, HIDDEN),
        "c": numbers(count, BATCH, HIDDEN) * 2,
    }
    constants = {
        "w": numbers(count, gates, FEATURES),
        "r": numbers(count, gates, HIDDEN),
        "b": numbers(count, 2 * gates),
        "p": numbers(count, 3 * HIDDEN),
    }
    return inputs, constants


def model(bench: Any, g: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    inputs, constants = arrays(g["kind"], g["count"], g["lengths"])
    optional = ("b", "lengths", "h", "c", "p")[: 5 if g["kind"] == "LSTM" else 3]
    order = ["x", "w", "r", *(name if name in g["given"] else "" for name in optional)]
    used = {name: a for name, a in inputs.items() if name in order}
    fixed = {name: a for name, a in constants.items() if name in order}
    outputs = ("y", "yh", "yc")[: 3 if g["kind"] == "LSTM" else 2]
    return bench.model(g["kind"], used, fixed, order, outputs=outputs, opset=14, **g["attributes"]), used


@settings(max_examples=150, deadline=None)
@given(g=cell())
def test_cells(bench: Any, g: dict[str, Any]) -> None:
    source, feeds = model(bench, g)
    assume(bench.is_tame(source, feeds))
    network = bench.check(source, feeds, tolerance=2e-5)
    each = {"LSTM": 2, "RNN": 2, "GRU": 2 + (g["attributes"].get("linear_before_reset") == 0)}[g["kind"]]
    assert len(network.matrices) == each * g["count"]


def test_matrices_of_a_gru(bench: Any) -> None:
    source, feeds = model(
        bench, {"kind": "GRU", "count": 1, "attributes": {"hidden_size": HIDDEN}, "given": ["b"], "lengths": []}
    )
    network = bench.check(source, feeds)
    sizes = {name: (m.rows, m.columns) for name, m in network.matrices.items()}
    assert sizes == {
        "layer/x": (FEATURES, 3 * HIDDEN),
        "layer/h": (HIDDEN, 2 * HIDDEN),
        "layer/rh": (HIDDEN, HIDDEN),
    }


def test_fires_do_not_depend_on_the_batch(bench: Any) -> None:
    given = {
        "kind": "LSTM",
        "count": 1,
        "attributes": {"hidden_size": HIDDEN, "direction": "reverse"},
        "given": ["lengths"],
        "lengths": [4, 2, 0],
    }
    source, feeds = model(bench, given)
    fires = bench.fires(bench.lower(source), feeds)
    expected = [0, 1, 2, 3, STEPS, STEPS + 1]
    assert sorted(fires["layer/x"][0]) == expected
    assert sorted(np.concatenate(fires["layer/h"])) == expected
    assert list(fires["layer/h"][0]) == [3, STEPS + 1]


def test_batch_first(bench: Any) -> None:
    """onnxruntime does not run layout 1, so it is compared with layout 0 of the swapped arrays, whatever is fired."""
    given = {
        "kind": "LSTM",
        "count": 2,
        "given": ["b", "h", "c", "lengths"],
        "lengths": [4, 1, 3],
        "attributes": {"hidden_size": HIDDEN, "direction": "bidirectional"},
    }
    source, feeds = model(bench, given)
    network = bench.lower(source)
    step = next(s for s in network.steps if isinstance(s, Recurrent))
    constants = {name: tensor.numpy() for name, tensor in network.tensors.items()}

    def fire(layer: str, rows: Any, fires: Any) -> Any:
        return rows @ np.ones((rows.shape[1], 4 * HIDDEN), np.float32)

    plain = run_recurrent(step, constants | feeds, fire)
    swapped = {n: np.swapaxes(a, 0, 1) if a.ndim == 3 else a for n, a in feeds.items()}
    found = run_recurrent(replace(step, layout=1), constants | swapped, fire)
    np.testing.assert_array_equal(found["y"], plain["y"].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(found["yh"], np.swapaxes(plain["yh"], 0, 1))
    np.testing.assert_array_equal(found["yc"], np.swapaxes(plain["yc"], 0, 1))


@pytest.mark.parametrize(
    "attributes", [{"hidden_size": HIDDEN + 1}, {"activations": ["Sigmoid", "Tanh", "Sine"]}, {"activations": ["Tanh"]}]
)
def test_contradictions(bench: Any, attributes: dict[str, Any]) -> None:
    source, _ = model(bench, {"kind": "LSTM", "count": 1, "given": [], "lengths": [], "attributes": attributes})
    with pytest.raises(ModelError):
        bench.lower(source)

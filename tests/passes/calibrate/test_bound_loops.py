"""Loops that are only observed run a bounded number of trips."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest

from mho.passes.calibrate.bound_loops import TRIPS, BoundedGraphs, bounded, trips_at

BODY = "<body = b (int64 i, bool c, float v) => (bool d, float w) { d = Identity(c) w = Add(v, one) }>"
NESTED = f"<body = a (int64 j, bool e, float u) => (bool f, float r) {{ f = Identity(e) r = Loop(n, , u) {BODY} }}>"


def graph(loop: str) -> np.ndarray:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float x, int64 n, bool t) => (float y)'
        f"<float one = {{1}}> {{ y = {loop} }}"
    )
    return np.frombuffer(model.SerializeToString(), np.uint8)


def result(content: np.ndarray, trips: int) -> float:
    session = onnxruntime.InferenceSession(content.tobytes())
    values = {"x": np.float32(0), "n": np.array(trips), "t": np.array(True)}
    fed = {port.name: np.asarray(values[port.name]) for port in session.get_inputs()}
    return float(session.run(None, fed)[0])


@pytest.mark.parametrize(
    ("loop", "trips", "expected"),
    [
        (f"Loop(n, , x) {BODY}", 7, 7),
        (f"Loop(n, , x) {BODY}", 2**62, TRIPS),
        (f"Loop(, t, x) {BODY}", 0, TRIPS),
        (f"Loop(n, , x) {NESTED}", 7, 49),
        (f"Loop(n, , x) {NESTED}", 2**40, trips_at(2) ** 2),
    ],
)
def test_trips(loop: str, trips: int, expected: int) -> None:
    assert result(bounded(graph(loop)), trips) == expected


def test_a_loop_around_the_graph_shares_the_trips() -> None:
    tensors = BoundedGraphs({"graph/g": graph(f"Loop(n, , x) {BODY}"), "matrix/m": np.ones(3)}, outer_loops=1)
    assert result(tensors["graph/g"], 2**40) == trips_at(2)
    assert list(tensors) == ["graph/g", "matrix/m"] and len(tensors) == 2
    np.testing.assert_array_equal(tensors["matrix/m"], np.ones(3))


def test_a_graph_without_loops_stays_as_it_is() -> None:
    content = graph("Add(x, one)")
    assert bounded(content) is content

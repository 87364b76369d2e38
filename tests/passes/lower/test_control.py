"""If, Loop and Scan with layers in their bodies; without any they are digital steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from mho.targets.steps import Branch, Digital, Loop, Scan, layers

X = np.random.default_rng(4).standard_normal((3, 2)).astype(np.float32)
W = "<float[2, 2] w = {0.1, 0.2, -0.3, 0.4}>"


def test_branch(bench: Any) -> None:
    model = bench.parse(
        f"""agraph (bool c, float[3, 2] x) => (float[3, 2] z) {W}
        {{ y = If<then_branch = a () => (float[3, 2] s) {{ [m] s = MatMul(x, w) }},
                  else_branch = b () => (float[3, 2] t) {{ t = Neg(x) }}>(c)
           z = Abs(y) }}"""
    )
    for condition in (True, False):
        network = bench.check(model, {"c": np.array(condition), "x": X})
    branch = network.steps[0]
    assert isinstance(branch, Branch)
    assert [layer.name for layer in layers(branch.then.steps)] == ["m"]
    assert {(d.node, d.unit) for d in network.decisions} >= {("m", "analog"), ("t", "digital")}


def test_branch_without_layers(bench: Any) -> None:
    model = bench.parse(
        """agraph (bool c, float[3, 2] x) => (float[3, 2] y)
        { u = Abs(x)
          [if] y = If<then_branch = a () => (float[3, 2] s) { s = Add(u, x) },
                      else_branch = b () => (float[3, 2] t) { t = Neg(u) }>(c) }"""
    )
    network = bench.check(model, {"c": np.array(True), "x": X})
    step = network.steps[1]
    assert isinstance(step, Digital)
    assert set(step.inputs) == {"c", "u", "x"}
    reasons = {d.node: d.reason for d in network.decisions}
    assert reasons["if"] == "no operator with constant weights in its bodies"
    assert reasons["s"].startswith("inside If")


def test_loop(bench: Any) -> None:
    model = bench.parse(
        f"""agraph (int64 trips, bool going, float[3, 2] x) => (float[3, 2] y, float[k, 3, 2] all) {W}
        {{ y, all = Loop<body = b (int64 i, bool c, float[3, 2] v) => (bool d, float[3, 2] n, float[3, 2] s)
             {{ d = Identity(c) [m] n = MatMul(v, w) s = Neg(n) }}>(trips, going, x) }}"""
    )
    network = bench.check(model, {"trips": np.array(4), "going": np.array(True), "x": X})
    assert isinstance(network.steps[0], Loop)
    assert len(network.matrices) == 1


def test_scan(bench: Any) -> None:
    model = bench.parse(
        f"""agraph (float[3, 2] h, float[3, 4, 2] xs) => (float[3, 2] y, float[3, 4, 2] ys) {W}
        {{ y, ys = Scan<num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
                        scan_input_directions = [1],
                        body = b (float[3, 2] s, float[3, 2] x) => (float[3, 2] t, float[3, 2] o)
             {{ [m] u = MatMul(s, w) t = Add(u, x) o = Relu(t) }}>(h, xs) }}"""
    )
    feeds = {"h": X, "xs": np.random.default_rng(5).standard_normal((3, 4, 2)).astype(np.float32)}
    (scan,) = bench.check(model, feeds).steps
    assert isinstance(scan, Scan)
    assert scan.input_reverse == (True,) and scan.output_reverse == (False,)


def test_layers_in_nested_bodies(bench: Any) -> None:
    model = bench.parse(
        f"""agraph (bool c, int64 trips, bool going, float[3, 2] x) => (float[3, 2] y) {W}
        {{ y = Loop<body = b (int64 i, bool k, float[3, 2] v) => (bool d, float[3, 2] n)
             {{ d = Identity(k)
                n = If<then_branch = p () => (float[3, 2] s) {{ [m] s = MatMul(v, w) }},
                       else_branch = q () => (float[3, 2] t) {{ t = Sub(v, x) }}>(c) }}>(trips, going, x) }}"""
    )
    for condition in (True, False):
        network = bench.check(model, {"c": np.array(condition), "trips": np.array(2), "going": np.array(True), "x": X})
    assert [layer.name for layer in layers(network.steps)] == ["m"]

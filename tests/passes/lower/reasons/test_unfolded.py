"""What follows a layer and does not ride with it is digital, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from mho.passes.lower.fuse import FuseEpilogues

ALL = ("accumulate", "add", "relu")
CASES = (
    ("[n] y = Relu(m) z = Neg(m)", "y, z", ALL, "others read the result of the layer before it too", False),
    ("r = Relu(m) [n] y = Add(r, u)", "y", ALL, "it follows a layer's activation, which comes last in a core", False),
    ("[n] y = Relu(m)", "y", (), "this machine's cores compute no activation", True),
    ("[n] y = Add(m, u)", "y", ("relu",), "this machine's cores add no values", True),
    ("[n] y = Clip(m, s)", "y", ALL, "its bounds are computed at run time", False),
    ("[n] y = Mul(m, u)", "y", ALL, "its factor is no constant of one number a column, or follows an addition", False),
    ("a = Add(m, u) [n] y = Add(a, u)", "y", ALL, "the layer before it adds a value already", False),
    ("[n] y = Add(m, s)", "y", ALL, "what it adds has another shape than the layer's result", False),
    ("[n] y = Add(m, o)", "y", ALL, "the shapes of what it adds are not known", True),
)


@pytest.mark.parametrize(("nodes", "outputs", "functions", "reason", "remedy"), CASES)
def test_reason(bench: Any, nodes: str, outputs: str, functions: tuple[str, ...], reason: str, remedy: bool) -> None:
    results = ", ".join(f"float[a_{name}, b_{name}] {name}" for name in outputs.split(", "))
    model = bench.parse(
        f"""g (float[2, 4] x, float[2, 3] u, float s, float[P, 3] p, int64[2] t) => ({results})
        <float[4, 3] w = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}>
        {{ o = Reshape(p, t) [layer] m = MatMul(x, w) {nodes} }}"""
    )
    network = FuseEpilogues(functions).run(bench.lower(model))
    found = next(d for d in network.decisions if d.node == "n")
    assert (found.unit, found.detail) == ("digital", "layer")
    assert found.reason == f"no weights: elementwise operator; {reason}"
    assert bool(found.remedy) == remedy

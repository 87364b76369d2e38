"""What follows a layer rides with it where the core can, and the outputs stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mho.passes.levels.network import Network
from mho.passes.lower.fuse import FuseEpilogues
from mho.targets.steps import Activation, Analog

ALL = ("accumulate", "add", "relu")
X = np.random.default_rng(5).standard_normal((2, 3, 4)).astype(np.float32)
CONV = (
    "<float[2, 3, 1] w = {1, -2, 3, 4, 5, -6}, float[2] b = {1, 2}, float[2, 1] s = {2, 3}, float[1, 2, 1] a = {4, 5}>"
)
DENSE = "<float[4, 2] w = {1, -2, 3, 4, 5, -6, 7, 8}, float[2] s = {2, 3}, float[1] a = {4}>"


def fused(bench: Any, text: str, feeds: dict[str, Any] | None = None, functions: tuple[str, ...] = ALL) -> Network:
    model = bench.parse(text)
    network = FuseEpilogues(functions).run(bench.lower(model))
    bench.check_network(network, model, feeds or {"x": X})
    return network


def layer(network: Network) -> Analog:
    (step,) = (step for step in network.steps if isinstance(step, Analog))
    return step


def column(network: Network, name: str | None) -> list[float]:
    assert name is not None
    return list(network.tensors[name].numpy())


def test_affine_behind_a_convolution(bench: Any) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x) => (float[2, 2, 4] y) {CONV}
        {{ [c] u = Conv(x, w, b) [mul] v = Mul(u, s) [add] y = Add(a, v) }}""",
    )
    (step,) = network.steps
    assert isinstance(step, Analog) and step.output == "y"
    assert column(network, step.scale) == [2, 3]
    assert column(network, step.bias) == [1 * 2 + 4, 2 * 3 + 5]
    assert {(d.node, d.unit) for d in network.decisions} == {("c", "analog"), ("mul", "core"), ("add", "core")}
    assert network.origins["c"].nodes == ("c", "mul", "add")
    assert set(network.tensors) == {"w", step.scale, step.bias}


def test_affine_behind_a_product(bench: Any) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x) => (float[2, 3, 2] y) {DENSE}
        {{ [m] u = MatMul(x, w) v = Add(u, s) y = Mul(v, a) }}""",
    )
    assert column(network, layer(network).scale) == [4, 4]
    assert column(network, layer(network).bias) == [8, 12]


@pytest.mark.parametrize(
    "constant", ["float[3, 2] k = {1, 2, 3, 4, 5, 6}", "float[3, 1] k = {1, 2, 3}", "float[1, 1, 1, 1] k = {2}"]
)
def test_other_constants_stay_digital(bench: Any, constant: str) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x) => (float y) {DENSE[:-1]}, {constant}>
        {{ [m] u = MatMul(x, w) y = Mul(u, k) }}""",
    )
    assert len(network.steps) == 2


RESIDUAL = f"""agraph (float[2, 3, 4] x) => (float[2, 2, 4] y) {CONV}
    {{ [c] u = Conv(x, w, b) [d] v = Conv(x, w) [add] t = Add(u, v) [relu] y = Relu(t) }}"""


def test_residual_and_activation(bench: Any) -> None:
    network = fused(bench, RESIDUAL)
    first, second = network.steps
    assert isinstance(first, Analog) and isinstance(second, Analog)
    assert (second.name, second.addend, second.output) == ("d", "u", "y")
    assert second.activation == Activation(function="relu")


@pytest.mark.parametrize(("functions", "steps"), [((), 4), (("relu",), 4), (("add",), 3), (ALL, 2)])
def test_only_what_the_core_can(bench: Any, functions: tuple[str, ...], steps: int) -> None:
    assert len(fused(bench, RESIDUAL, functions=functions).steps) == steps


def test_a_layer_moves_behind_its_addend(bench: Any) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x) => (float[2, 2, 4] y) {CONV}
        {{ [c] u = Conv(x, w, b) [d] v = Conv(x, w) p = Exp(v) [add] y = Add(u, p) }}""",
    )
    assert [step.name for step in network.steps] == ["d", "p", "c"]
    assert isinstance(network.steps[-1], Analog) and network.steps[-1].addend == "p"


def test_addend_of_another_shape_stays_digital(bench: Any) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x, float[1, 2, 4] r) => (float[2, 2, 4] y) {CONV}
        {{ [c] u = Conv(x, w, b) y = Add(u, r) }}""",
        {"x": X, "r": X[:1, :2]},
    )
    assert len(network.steps) == 2


@pytest.mark.parametrize(
    ("operator", "activation"),
    [
        ("LeakyRelu<alpha = 0.5>(u)", Activation(function="leaky_relu", slope=0.5)),
        ("Clip(u, low, high)", Activation(function="clip", low=-1, high=2)),
        ("Clip(u, , high)", Activation(function="clip", high=2)),
    ],
)
def test_activations(bench: Any, operator: str, activation: Activation) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x) => (float[2, 3, 2] y) {DENSE[:-1]}, float low = {{-1}}, float high = {{2}}>
        {{ [m] u = MatMul(x, w) y = {operator} }}""",
    )
    assert layer(network).activation == activation


def test_bounds_at_run_time_stay_digital(bench: Any) -> None:
    network = fused(
        bench,
        f"""agraph (float[2, 3, 4] x, float low) => (float[2, 3, 2] y) {DENSE}
        {{ [m] u = MatMul(x, w) y = Clip(u, low) }}""",
        {"x": X, "low": np.array(-1, np.float32)},
    )
    assert layer(network).activation is None


@pytest.mark.parametrize(
    ("outputs", "nodes"),
    [
        ("float[2, 3, 2] y, float[2, 3, 2] u", "y = Relu(u)"),
        ("float[2, 3, 2] y, float[2, 3, 2] z", "y = Relu(u) z = Neg(u)"),
        ("float[2, 3, 2] y", "y = Add(u, u)"),
    ],
)
def test_values_that_others_read_are_kept(bench: Any, outputs: str, nodes: str) -> None:
    network = fused(bench, f"agraph (float[2, 3, 4] x) => ({outputs}) {DENSE} {{ [m] u = MatMul(x, w) {nodes} }}")
    assert layer(network).output == "u"
    assert layer(network).activation is None


def test_inside_a_body(bench: Any) -> None:
    text = f"""agraph (bool c, float[2, 3, 4] x) => (float[2, 3, 2] y) {DENSE}
        {{ y = If<then_branch = p () => (float[2, 3, 2] t) {{ [m] u = MatMul(x, w) v = Add(u, s) t = Relu(v) }},
                  else_branch = q () => (float[2, 3, 2] t) {{ [n] u = MatMul(x, w) t = Relu(u) }}>(c) }}"""
    for condition in (True, False):
        network = fused(bench, text, {"c": np.array(condition), "x": X})
    (branch,) = network.steps
    assert branch.op == "branch"
    assert [len(body.steps) for body in (branch.then, branch.otherwise)] == [1, 1]

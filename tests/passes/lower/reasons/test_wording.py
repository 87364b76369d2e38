"""Reasons name the input that keeps a node digital, where it comes from, and what would change that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mho.targets.program import Decision

X = np.random.default_rng(2).standard_normal((2, 4)).astype(np.float32)
W = "<float[4, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}>"


def decision(bench: Any, text: str, node: str) -> Decision:
    network = bench.lower(bench.parse(text))
    found: Decision = next(d for d in network.decisions if d.node == node)
    return found


def test_a_factor_that_is_computed_from_constants_but_not_folded(bench: Any) -> None:
    found = decision(bench, f"g (float[2, 4] x) => (float[2, 3] y) {W} {{ [a] v = Exp(w) [m] y = MatMul(x, v) }}", "m")
    assert found.reason == "its second input is computed from constants, but not while compiling"
    assert found.detail == "'v' from node 'a' (Exp)"
    assert "fold_size_limit" in found.remedy


def test_what_is_never_folded_must_be_folded_by_the_export(bench: Any) -> None:
    text = f"""g (float[2, 4] x) => (float[2, 3] y) {W}
    {{ [a] v = Einsum<equation = "ij->ij">(w) [m] y = MatMul(x, v) }}"""
    assert decision(bench, text, "m").remedy == "export the model with its constants folded"


@pytest.mark.parametrize(
    ("inputs", "node", "reason", "detail", "remedy"),
    [
        (
            "float[2, 4, 3] x, float[5, 4, 3] v",
            "[r] k = Relu(v) [n] y = Conv(x, k)",
            "its second input, the weights, is computed at run time",
            "'k' from node 'r' (Relu)",
            "does not depend on the inputs",
        ),
        (
            "int32[2, 4] x",
            "[n] y = MatMul(x, i)",
            "its first input is int32, and only floating-point numbers meet a converter",
            "'x', an input",
            "cast that input to float32",
        ),
        (
            "float[2, 4] x, float[4, 3] v",
            "[s] q = Sigmoid(x) [n] y = MatMul(q, v)",
            "both of its factors are computed at run time, as in attention, and a crossbar holds constants",
            "'q' from node 's' (Sigmoid) and 'v', an input",
            "",
        ),
        (
            "float[1, 1, a] x",
            "[n] y = ConvTranspose<output_shape = [9]>(x, c)",
            "its padding depends on the size of its first input, which is not known",
            "'x', an input, of shape [1, 1, a]",
            "--dim NAME=N",
        ),
    ],
)
def test_reasons(bench: Any, inputs: str, node: str, reason: str, detail: str, remedy: str) -> None:
    constants = "<float[1, 1, 2] c = {1, 2}, int32[4, 1] i = {1, 2, 3, 4}>"
    found = decision(bench, f"g ({inputs}) => (float[a, b, c2] y) {constants} {{ {node} }}", "n")
    assert (found.unit, found.reason, found.detail) == ("digital", reason, detail)
    assert remedy in found.remedy and bool(remedy) == bool(found.remedy)


def test_what_a_layer_reads_beside_its_weights_is_constant(bench: Any) -> None:
    text = """g (float[1, 1, 4] x) => (float[1, 1, 3] y)
    <float[1, 1, 2] w = {1, 2}, float[1, 1] b = {3}, int64[1] s = {1}>
    { [r] c = Reshape(b, s) [n] y = Conv(x, w, c) }"""
    found = decision(bench, text, "r")
    assert (found.unit, found.reason, found.detail) == ("constant", "part of a layer's bias or scale", "n")


def test_nodes_of_a_dead_branch_are_dead(bench: Any) -> None:
    text = """g (bool c, float[2, 4] x) => (float[2, 4] y)
    { [if] z = If<then_branch = a () => (float[2, 4] t) { [s] t = Abs(x) },
                  else_branch = b () => (float[2, 4] t) { [u] t = Neg(x) }>(c)
      y = Relu(x) }"""
    for node in ("if", "s", "u"):
        found = decision(bench, text, node)
        assert (found.unit, found.reason, found.detail) == ("removed", "nothing reads its result", "")

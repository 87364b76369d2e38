"""Nodes without effect go, outputs keep their names, and what only looks idle stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mho.passes.levels.model import Model
from mho.passes.simplify import RemoveIdentities

CONSTANTS = """
<float[4] one = {1, 1, 1, 1}, float zero = {0}, int64[2] same = {-1, 4}, int64[4] none = {0, 0, 0, 0},
 int64[4] some = {0, 1, 0, 0}, float half = {0.5}, bool on = {1}, bool off = {0}>
"""

IDLE = {
    "identity": "a = Identity(r)",
    "dropout": "a = Dropout(r)",
    "dropout not training": "a = Dropout(r, half, off)",
    "transpose": "a = Transpose<perm = [0, 1]>(r)",
    "reshape": "a = Reshape(r, same)",
    "cast": "a = Cast<to = 1>(r)",
    "pad": "a = Pad(r, none)",
    "times one": "a = Mul(one, r)",
    "plus zero": "a = Add(r, zero)",
    "minus zero": "a = Sub(r, zero)",
    "by one": "a = Div(r, one)",
    "concat": "a = Concat<axis = 0>(r)",
}

BUSY = {
    "transpose": "a = Transpose<perm = [1, 0]>(r)",
    "training dropout": "a = Dropout(r, half, on)",
    "pad": "a = Pad(r, some)",
    "zero minus": "a = Sub(zero, r)",
    "one by": "a = Div(one, r)",
    "cast": "a = Cast<to = 11>(r)",
    "mask used": "a, mask = Dropout(r) b = Cast<to = 1>(mask)",
}


def _graph(body: str, kind: str = "float") -> str:
    return f"g (float[N, 4] x) => ({kind}[P, Q] y) {CONSTANTS} {{ r = Relu(x) {body} y = Neg(a) }}"


@pytest.mark.parametrize("body", IDLE.values(), ids=IDLE.keys())
def test_idle_nodes_go(body: str, parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse(_graph(body))
    left = RemoveIdentities().run(model)
    assert [node.op_type for node in left.ir.graph] == ["Relu", "Neg"]
    assert_equal(model, left)


@pytest.mark.parametrize("body", BUSY.values(), ids=BUSY.keys())
def test_busy_nodes_stay(body: str, parse: Callable[[str], Model]) -> None:
    model = parse(_graph(body, "double" if body.endswith("11>(r)") else "float"))
    left = RemoveIdentities().run(model)
    assert [node.op_type for node in left.ir.graph] == [node.op_type for node in model.ir.graph]


def test_a_constant_that_widens_the_shape_stays(parse: Callable[[str], Model]) -> None:
    model = parse("""
    g (float[N, 1] x) => (float[N, 4] y) <float[4] one = {1, 1, 1, 1}> { r = Relu(x) y = Mul(r, one) }
    """)
    assert len(RemoveIdentities().run(model).ir.graph) == 2


def test_an_output_keeps_its_name(parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse("g (float[N] x) => (float[N] y) { r = Relu(x) y = Identity(r) }")
    left = RemoveIdentities().run(model)
    assert [(node.op_type, node.outputs[0].name) for node in left.ir.graph] == [("Relu", "y")]
    assert_equal(model, left)


def test_an_input_that_is_passed_on_needs_its_node(parse: Callable[[str], Model]) -> None:
    model = parse("g (float[N] x) => (float[N] y, float[N] z) { y = Identity(x) r = Relu(x) z = Identity(r) }")
    assert [node.op_type for node in RemoveIdentities().run(model).ir.graph] == ["Identity", "Relu"]


def test_two_outputs_of_one_value(parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse("g (float[N] x) => (float[N] y, float[N] z) { r = Relu(x) y = Identity(r) z = Identity(r) }")
    left = RemoveIdentities().run(model)
    assert [node.op_type for node in left.ir.graph] == ["Relu", "Identity"]
    assert_equal(model, left)


def test_a_branch_needs_its_node(parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse("""
    g (float[N] x, bool c) => (float[N] y) {
        y = If(c) <
            then_branch = t () => (float[N] p) { a = Identity(x) b = Neg(a) d = Dropout(b) p = Identity(d) },
            else_branch = e () => (float[N] q) { q = Identity(x) }
        >
    }
    """)
    left = RemoveIdentities().run(model)
    assert [node.op_type for node in left.ir.graph.all_nodes()] == ["If", "Neg", "Identity"]
    assert_equal(model, left)

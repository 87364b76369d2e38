"""Shapes inside a Loop are proved, not believed."""

from __future__ import annotations

from collections.abc import Callable

from mho.passes.levels.model import Model
from mho.passes.simplify import Simplify


def _loop(body: str, declared: str = "float[1, 2]") -> str:
    return f"""
    g (float[1, 2] x) => (y) <int64 trips = {{3}}, bool on = {{1}}, int64 rows = {{0}}> {{
        y, count = Loop(trips, on, x, rows) <
            body = b (int64 i, bool c, {declared} s, int64 n) => (bool d, {declared} t, int64 m) {{
                d = Identity(c) {body}
            }}
        >
    }}
    """


GROWS = "t = Concat<axis = 0>(s, x) all = Shape(s) zero = Constant<value_int = 0>() m = Gather<axis = 0>(all, zero)"
KEEPS = "t = Add(s, x) all = Shape(s) zero = Constant<value_int = 0>() m = Gather<axis = 0>(all, zero)"


def _shapes(model: Model) -> dict[str, str]:
    return {value.name or "": str(value.shape) for node in model.ir.graph.all_nodes() for value in node.outputs}


def test_a_growing_value_has_no_shape(
    parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]
) -> None:
    model = parse(_loop(GROWS, "float[P, Q]"))
    assert _shapes(model)["t"] == "None"
    after = Simplify().run(model)
    assert "Shape" in [node.op_type for node in after.ir.graph.all_nodes()]
    assert_equal(model, after)


def test_a_steady_value_keeps_its_shape(
    parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]
) -> None:
    model = parse(_loop(KEEPS, "float[P, Q]"))
    assert _shapes(model)["t"] == "[1,2]"
    after = Simplify().run(model)
    assert "Shape" not in [node.op_type for node in after.ir.graph.all_nodes()]
    assert_equal(model, after)


def test_a_lie_is_not_believed(parse: Callable[[str], Model]) -> None:
    assert _shapes(parse(_loop(GROWS)))["t"] == "None"

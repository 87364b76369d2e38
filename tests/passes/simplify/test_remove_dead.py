"""What no output needs is gone; inputs and outputs stay."""

from __future__ import annotations

from collections.abc import Callable

from mho.passes.levels.model import Model
from mho.passes.simplify import RemoveDead

GRAPH = """
g (float[N] x, float[N] unused, bool c) => (float[N] y) <float[1] w = {1}, float[1] v = {2}> {
    a = Neg(x)
    b = Mul(a, v)
    n = RandomNormalLike(x)
    y = If(c) <
        then_branch = t () => (float[N] p) { d = Neg(x) p = Relu(x) },
        else_branch = e () => (float[N] q) { q = Mul(x, w) }
    >
}
"""


def test_dead_nodes_and_initializers_go(
    parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]
) -> None:
    model = parse(GRAPH)
    left = RemoveDead().run(model)
    assert [node.op_type for node in left.ir.graph.all_nodes()] == ["If", "Relu", "Mul"]
    assert list(left.ir.graph.initializers) == ["w"]
    assert [value.name for value in left.ir.graph.inputs] == ["x", "unused", "c"]
    assert len(list(model.ir.graph.all_nodes())) == 7
    assert_equal(model, left)

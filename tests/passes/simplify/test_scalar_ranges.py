"""Range reads scalars, whatever a branch hid from onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

from mho.passes.levels.model import Model
from mho.passes.simplify import ScalarRanges, Simplify

GRAPH = """
g (int64 last) => (int64[N] y) <int64[1] first = {2}, int64 step = {3}, bool known = {1}> {
    start = If(known) <
        then_branch = t () => (int64[1] p) { p = Identity(first) },
        else_branch = e () => (int64 q) { q = Identity(step) }
    >
    y = Range(start, last, step)
}
"""


def test_a_constant_of_one_element_becomes_a_scalar(
    parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]
) -> None:
    model = parse(GRAPH)
    simplified = Simplify().run(model)
    (node,) = simplified.ir.graph
    start, last, step = node.inputs
    assert start is not None and start.shape is not None and len(start.shape) == 0
    assert last in simplified.ir.graph.inputs
    assert step is not None and step.name == "step"
    assert_equal(model, simplified)


def test_scalars_stay(parse: Callable[[str], Model]) -> None:
    model = parse("g (int64 last) => (int64[N] y) <int64 zero = {0}, int64 one = {1}> { y = Range(zero, last, one) }")
    after = ScalarRanges().run(model)
    assert list(after.ir.graph.initializers) == ["zero", "one"]

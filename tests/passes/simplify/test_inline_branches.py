"""An If that always takes the same branch is that branch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mho.passes.levels.model import Model
from mho.passes.simplify import InlineBranches, Simplify


def _graph(condition: int) -> str:
    return f"""
    g (float[N, 1] x, bool c) => (float[P] y) <bool known = {{{condition}}}, int64[1] one = {{1}}> {{
        a = If(known) <
            then_branch = t () => (p) {{
                n = Neg(x)
                p = If(c) <
                    then_branch = u () => (r) {{ r = Squeeze(n, one) }},
                    else_branch = w () => (s) {{ z = Abs(n) s = Squeeze(z, one) }}
                >
            }},
            else_branch = e () => (q) {{ q = Squeeze(x, one) }}
        >
        y = Relu(a)
    }}
    """


@pytest.mark.parametrize(
    ("condition", "expected"),
    [(1, ["Neg", "If", "Squeeze", "Abs", "Squeeze", "Relu"]), (0, ["Squeeze", "Relu"])],
)
def test_the_taken_branch_stays(
    condition: int,
    expected: list[str],
    parse: Callable[[str], Model],
    assert_equal: Callable[[Model, Model], None],
) -> None:
    model = parse(_graph(condition))
    inlined = InlineBranches().run(model)
    assert [node.op_type for node in inlined.ir.graph.all_nodes()] == expected
    assert len(list(model.ir.graph.all_nodes())) == 8
    assert_equal(model, inlined)


def test_shapes_are_known_without_the_branch(parse: Callable[[str], Model]) -> None:
    inlined = InlineBranches().run(parse(_graph(0)))
    assert str(inlined.ir.graph[0].outputs[0].shape) == "[N]"


def test_an_output_keeps_its_name(parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse("""
    g (float[N] x) => (float[N] y, float[N] z) <bool known = {1}> {
        y, z = If(known) <
            then_branch = t () => (p, q) { p = Neg(x) q = Identity(x) },
            else_branch = e () => (r, s) { r = Relu(x) s = Abs(x) }
        >
    }
    """)
    simplified = Simplify().run(model)
    assert [node.op_type for node in simplified.ir.graph] == ["Neg", "Identity"]
    assert_equal(model, simplified)


def test_one_value_for_two_outputs(parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse("""
    g (float[N] x) => (float[N] y, float[N] z) <bool known = {1}> {
        y, z = If(known) <
            then_branch = t () => (p, q) { p = Neg(x) q = Identity(p) },
            else_branch = e () => (r, s) { r = Relu(x) s = Abs(x) }
        >
    }
    """)
    assert_equal(model, Simplify().run(model))

"""What simplification says of the nodes that it takes away."""

from __future__ import annotations

from collections.abc import Callable

from mho.passes.levels.model import Model
from mho.passes.simplify import Simplify

MODEL = """
small (float[N, 2, 4, 4] x) => (float[N, 3, P, Q] y, float[N, 2, 4, 4] v)
<float[3, 2, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[3] gamma = {1, 2, 3}, float[3] beta = {0, 1, 2},
 float[3] mean = {0, 0, 1}, float[3] variance = {1, 4, 9}, float one = {1}, float half = {0.5}> {
    [conv] a = Conv(x, w)
    [bn] b = BatchNormalization<epsilon = 0.0>(a, gamma, beta, mean, variance)
    [drop] d = Dropout(b)
    [same] e = Mul(d, one)
    [no] c = Constant<value = bool {0}>()
    [if] y = If<then_branch = t () => (float[N, 3, 4, 4] r) { [never] r = Neg(e) },
                else_branch = f () => (float[N, 3, 4, 4] s) { [always] s = Abs(e) }>(c)
    [rows] p = Shape<start = 1, end = 2>(d)
    [target] q = Neg(p)
    [dead] z = Relu(a)
    [halve] g = Mul(x, half)
    [double] v = Div(g, half)
}
"""


def test_each_kind_of_fate(parse: Callable[[str], Model]) -> None:
    model = parse(MODEL)
    gone = {name: (fate.unit, fate.reason) for name, fate in Simplify().run(model).history.gone.items()}
    assert gone == {
        "drop": ("removed", "it passes its input on unchanged at inference"),
        "same": ("removed", "it multiplies by 1"),
        "no": ("constant", "a constant"),
        "if": ("removed", "its condition is a constant, and the branch that it takes stands in its place"),
        "never": ("removed", "it stands in the branch of an If that is never taken"),
        "rows": ("constant", "the shape that it asks for is known"),
        "target": ("constant", "its inputs are known while compiling"),
        "dead": ("removed", "nothing reads its result"),
    }
    assert [node.name for node in model.history.nodes][:4] == ["conv", "bn", "drop", "same"]


def test_the_first_word_on_a_node_stays(parse: Callable[[str], Model]) -> None:
    once = Simplify().run(parse(MODEL))
    assert Simplify().run(once).history == once.history

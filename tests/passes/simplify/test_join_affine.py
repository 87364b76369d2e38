"""Chains behind a matrix become one Mul and one Add, and compute the same."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from mho.frontend import load_model
from mho.passes.levels.model import Model
from mho.passes.simplify import JoinAffine, origins

CHANNELS = 3
SEEDS = st.integers(0, 2**31)
LINKS = st.lists(st.sampled_from(("BatchNormalization", "Mul", "Add", "Sub", "Div", "RSub")), max_size=5)


def _operators(model: Model) -> list[str]:
    return [node.op_type for node in model.ir.graph]


class _Builder:
    """Writes Conv → link → link → … with random constants per channel or per tensor."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, shape: tuple[int, ...], low: float = -2) -> str:
        name = f"c{len(self.constants)}"
        array = self.rng.uniform(low, 2, shape).astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def link(self, kind: str, source: str) -> str:
        output = f"v{len(self.nodes)}"
        if kind == "BatchNormalization":
            numbers = [self.constant((CHANNELS,)) for _ in range(3)]
            inputs = [source, *numbers, self.constant((CHANNELS,), low=0.1)]
        else:
            shape = (CHANNELS, 1, 1) if self.rng.random() < 0.7 else (1,)
            inputs = [source, self.constant(shape, low=0.5 if kind == "Div" else -2)]
        reverse = kind == "RSub"
        inputs = inputs[::-1] if reverse else inputs
        self.nodes.append(helper.make_node("Sub" if reverse else kind, inputs, [output], name=f"{kind}{output}"))
        return output

    def model(self, kinds: list[str]) -> Model:
        self.nodes.append(helper.make_node("Conv", ["x", self.constant((CHANNELS, 2, 2, 2))], ["v"], name="conv"))
        source = "v"
        for kind in kinds:
            source = self.link(kind, source)
        graph = helper.make_graph(
            self.nodes,
            "chain",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2, 5, 5])],
            [helper.make_tensor_value_info(source, onnx.TensorProto.FLOAT, None)],
            self.constants,
        )
        return load_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, kinds=LINKS)
def test_any_chain_becomes_at_most_one_mul_and_one_add(
    seed: int, kinds: list[str], assert_equal: Callable[[Model, Model], None]
) -> None:
    model = _Builder(seed).model(kinds)
    joined = JoinAffine().run(model)
    assert _operators(joined) in (["Conv"], ["Conv", "Mul"], ["Conv", "Add"], ["Conv", "Mul", "Add"])
    assert [value.name for value in joined.ir.graph.outputs] == [value.name for value in model.ir.graph.outputs]
    assert_equal(model, joined)


def test_the_joined_nodes_know_whom_they_stand_for() -> None:
    joined = JoinAffine().run(_Builder(1).model(["BatchNormalization", "Mul"]))
    conv, mul, add = joined.ir.graph
    assert origins(conv) == ("conv",)
    assert origins(mul) == origins(add) == ("BatchNormalizationv1", "Mulv2")
    assert json.loads(mul.metadata_props["mho.origin"]) == list(origins(mul))


TWO_READERS = """
g (float[N, 2] x) => (float[N, 3] y, float[N, 3] z)
<float[2, 3] w = {1, 2, 3, 4, 5, 6}, float[3] c = {1, 2, 3}, float[3] d = {3, 4, 5}> {
    a = MatMul(x, w)
    b = Mul(a, c)
    z = Relu(b)
    y = Add(b, d)
}
"""

FROM_OUTPUT = """
g (float[N, 2] x) => (float[N, 3] a, float[N, 3] y)
<float[2, 3] w = {1, 2, 3, 4, 5, 6}, float[1] c = {2}> {
    a = MatMul(x, w)
    y = Mul(a, c)
}
"""

NOT_PER_CHANNEL = """
g (float[N, 2, 2] x) => (float[N, 2, 3] y)
<float[2, 3] w = {1, 2, 3, 4, 5, 6}, float[2, 1] c = {2, 3}> {
    a = MatMul(x, w)
    y = Mul(a, c)
}
"""

CANCELS = """
g (float[N, 2] x) => (float[N, 3] y)
<float[2, 3] w = {1, 2, 3, 4, 5, 6}, float c = {2}, float[3] d = {1, 1, 1}> {
    a = MatMul(x, w)
    b = Mul(c, a)
    e = Add(b, d)
    f = Sub(e, d)
    y = Div(f, c)
}
"""

LEFT_WEIGHT = """
g (float[N, 2, 4] x) => (float[N, 3, 4] y)
<float[3, 2] w = {1, 2, 3, 4, 5, 6}, float[3, 1] c = {2, 3, 4}, float two = {2}> {
    a = MatMul(w, x)
    b = Mul(a, c)
    y = Mul(b, two)
}
"""

BATCH_NORM_FIRST = """
g (float[N, 2, 4] x) => (float[N, 2, 4] y)
<float[2] a = {1, 2}, float[2] b = {3, 4}, float[2] m = {5, 6}, float[2] v = {1, 3}> {
    r = Relu(x)
    s = BatchNormalization(r, a, b, m, v)
    y = Mul(s, r)
}
"""

IN_A_BRANCH = """
g (float[N, 2] x, bool c) => (float[N, 3] y)
<float[2, 3] w = {1, 2, 3, 4, 5, 6}, float[1] two = {2}, float[3] d = {1, 2, 3}> {
    y = If(c) <
        then_branch = t () => (float[N, 3] p) { a = MatMul(x, w) b = Mul(a, two) e = Mul(b, d) p = Add(e, d) },
        else_branch = e () => (float[N, 3] q) { q = MatMul(x, w) }
    >
}
"""


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (TWO_READERS, ["MatMul", "Mul", "Relu", "Add"]),
        (FROM_OUTPUT, ["MatMul", "Mul"]),
        (NOT_PER_CHANNEL, ["MatMul", "Mul"]),
        (CANCELS, ["MatMul"]),
        (LEFT_WEIGHT, ["MatMul", "Mul"]),
        (BATCH_NORM_FIRST, ["Relu", "Mul", "Add", "Mul"]),
        (IN_A_BRANCH, ["If", "MatMul", "Mul", "Add", "MatMul"]),
    ],
    ids=["two readers", "from output", "not per channel", "cancels", "left weight", "batch norm first", "in a branch"],
)
def test_graphs(
    graph: str, expected: list[str], parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]
) -> None:
    model = parse(graph)
    joined = JoinAffine().run(model)
    assert [node.op_type for node in joined.ir.graph.all_nodes()] == expected
    assert_equal(model, joined)


def test_the_constants_have_one_number_per_channel() -> None:
    joined = JoinAffine().run(_Builder(3).model(["BatchNormalization", "Mul", "Add"]))
    _, mul, add = joined.ir.graph
    for node in (mul, add):
        constant = node.inputs[1]
        assert constant is not None and constant.const_value is not None
        assert constant.const_value.shape.numpy() == (CHANNELS, 1, 1)
        assert constant.dtype is ir.DataType.FLOAT


def test_training_batch_norm_stays(parse: Callable[[str], Model]) -> None:
    model = parse("""
    g (float[4, 2] x) => (float[4, 2] y, float[2] rm, float[2] rv)
    <float[2] a = {1, 2}, float[2] b = {3, 4}, float[2] m = {5, 6}, float[2] v = {1, 3}> {
        y, rm, rv = BatchNormalization<training_mode = 1>(x, a, b, m, v)
    }
    """)
    assert _operators(JoinAffine().run(model)) == ["BatchNormalization"]


def test_an_overflowing_scale_stays(parse: Callable[[str], Model]) -> None:
    model = parse("""
    g (float[4, 2] x) => (float[4, 2] y)
    <float[2, 2] w = {1, 2, 3, 4}, float c = {1e30}, float d = {1e30}> {
        a = MatMul(x, w)
        b = Mul(a, c)
        y = Mul(b, d)
    }
    """)
    assert _operators(JoinAffine().run(model)) == ["MatMul", "Mul", "Mul"]

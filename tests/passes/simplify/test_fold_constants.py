"""Small constants are computed; large ones, random ones and endless ones are not."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from mho.passes.levels.model import Model
from mho.passes.simplify import FoldConstants, RemoveDead

Parse = Callable[[str], Model]


def _operators(model: Model) -> list[str]:
    return [node.op_type for node in model.ir.graph.all_nodes()]


SHAPES = """
g (float[N, 3, 4] x) => (float[N, 12] y)
<int64[1] first = {0}, int64 two = {2}, int64[1] one = {1}> {
    s = Shape(x)
    c = Gather<axis = 0>(s, one)
    w = Gather<axis = 0>(s, two)
    w1 = Unsqueeze(w, first)
    m = Mul(c, w1)
    minus = Constant<value_int = -1>()
    minus1 = Unsqueeze(minus, first)
    t = Concat<axis = 0>(minus1, m)
    y = Reshape(x, t)
}
"""


def test_known_dimensions_of_a_symbolic_shape_fold(parse: Parse, assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse(SHAPES)
    folded = RemoveDead().run(FoldConstants().run(model))
    assert _operators(folded) == ["Reshape"]
    target = folded.ir.graph.initializers["t"].const_value
    assert target is not None and target.numpy().tolist() == [-1, 12]
    assert_equal(model, folded)


def test_an_unknown_dimension_stays(parse: Parse) -> None:
    model = parse("""
    g (float[N, 3] x) => (float[N, 3] y) <int64[1] zero = {0}, int64[1] three = {3}> {
        s = Shape(x)
        n = Slice(s, zero, zero)
        d = Gather<axis = 0>(s, zero)
        t = Concat<axis = 0>(d, three)
        y = Reshape(x, t)
    }
    """)
    assert "Gather" in _operators(FoldConstants().run(model))


def test_slices_of_a_shape(parse: Parse) -> None:
    model = parse("""
    g (float[N, 5, 6, 7] x) => (int64[2] y)
    <int64[1] one = {1}, int64[1] three = {3}, int64[1] zero = {0}, int64[1] minus = {-1}, int64[1] far = {-99}> {
        s = Shape(x)
        a = Slice(s, one, three)
        r = Slice(s, three, zero, zero, minus)
        b = Slice(r, zero, one)
        c = Slice(s, three, far, zero, minus)
        y = Add(a, b)
    }
    """)
    folded = FoldConstants().run(model).ir.graph.initializers
    numbers = {name: value.const_value.numpy().tolist() for name, value in folded.items() if value.const_value}
    assert (numbers["a"], numbers["r"], numbers["b"]) == ([5, 6], [7, 6, 5], [7])
    assert "c" not in folded


def test_large_chains_stay(parse: Parse) -> None:
    rows = ", ".join(["1"] * 64)
    model = parse(f"""
    g (float[N, 8] x) => (float[N, 8] y) <float[8, 8] w = {{{rows}}}> {{
        t = Transpose<perm = [1, 0]>(w)
        y = MatMul(x, t)
    }}
    """)
    assert _operators(FoldConstants(size_limit=63).run(model)) == ["Transpose", "MatMul"]
    assert _operators(FoldConstants(size_limit=64).run(model)) == ["MatMul"]


EXPANDING = """
g (float[4] x) => (float[4] y)
<int64[1] huge = {1000000000000}, int64 zero = {0}, int64 one = {1}, int64 end = {1000000000}> {
    a = ConstantOfShape(huge)
    b = Range(zero, end, one)
    small = Constant<value = float[1] {1}>()
    c = Expand(small, huge)
    d = ReduceSum<keepdims = 0>(a)
    f = ReduceSum<keepdims = 0>(c)
    h = ReduceSum<keepdims = 0>(b)
    i = Cast<to = 1>(h)
    j = Sum(x, d, f, i)
    y = Identity(j)
}
"""


def test_nothing_large_is_computed(parse: Parse) -> None:
    started = time.perf_counter()
    folded = FoldConstants().run(parse(EXPANDING))
    assert time.perf_counter() - started < 2
    assert [op for op in _operators(folded) if op in ("ConstantOfShape", "Range", "Expand")] == [
        "ConstantOfShape",
        "Range",
        "Expand",
    ]


RANDOM = """
g (float[4] x) => (float[4] y) <float[4] p = {0.5, 0.5, 0.5, 0.5}, float half = {0.5}, bool on = {1}> {
    a = Bernoulli(p)
    b = RandomNormal<shape = [4]>()
    c = RandomUniformLike(p)
    d = Dropout(p, half, on)
    y = Sum(x, a, b, c, d)
}
"""


def test_random_operators_stay(parse: Parse) -> None:
    model = parse(RANDOM)
    assert _operators(FoldConstants().run(model)) == _operators(model)


def test_quantised_weights_stay_quantised(parse: Parse) -> None:
    model = parse("""
    g (float[N, 2] x) => (float[N, 2] y) <int8[2, 2] q = {1, 2, 3, 4}, float scale = {0.5}, int8 zero = {0}> {
        w = DequantizeLinear(q, scale, zero)
        y = MatMul(x, w)
    }
    """)
    assert _operators(FoldConstants().run(model)) == ["DequantizeLinear", "MatMul"]


def test_constants_of_a_branch_move_to_the_main_graph(
    parse: Parse, assert_equal: Callable[[Model, Model], None]
) -> None:
    model = parse("""
    g (float[N] x, bool c) => (float[N] y) {
        y = If(c) <
            then_branch = t () => (float[N] p) {
                one = Constant<value_float = 1.0>() two = Add(one, one) p = Mul(x, two) },
            else_branch = e () => (float[N] q) { one = Constant<value_float = 3.0>() q = Mul(x, one) }
        >
    }
    """)
    folded = FoldConstants().run(model)
    assert _operators(folded) == ["If", "Mul", "Mul"]
    assert {"one", "two", "one_2"} <= set(folded.ir.graph.initializers)
    assert_equal(model, folded)


def test_a_node_that_fails_stays(parse: Parse) -> None:
    model = parse("""
    g (float[4] x) => (float[4] y) <float[3] data = {1, 2, 3}, int64[1, 1] far = {9}> {
        a = GatherND(data, far)
        y = Add(x, a)
    }
    """)
    assert _operators(FoldConstants().run(model)) == ["GatherND", "Add"]


@pytest.mark.parametrize("kind", ["float16", "double", "int32", "uint8", "bool"])
def test_element_types_are_kept(kind: str, parse: Parse) -> None:
    number = {"float16": 10, "double": 11, "int32": 6, "uint8": 2, "bool": 9}[kind]
    model = parse(f"""
    g (float[2] x) => ({kind}[2] y) <float[2] c = {{0, 1}}> {{
        a = Cast<to = {number}>(c)
        b = Cast<to = {number}>(x)
        s = Concat<axis = 0>(a, b)
        two = Constant<value_ints = [0, 2]>()
        y = Gather<axis = 0>(s, two)
    }}
    """)
    folded = FoldConstants().run(model).ir.graph.initializers["a"]
    assert folded.const_value is not None
    assert np.array_equal(folded.const_value.numpy().astype(np.float64), [0, 1])
    assert folded.dtype is not None and folded.dtype.value == number

"""Gemm and MatMul with a constant factor give what onnxruntime gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def numbers(*shape: int) -> Any:
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    flips=st.tuples(st.booleans(), st.booleans()),
    constant=st.sampled_from(["a", "b"]),
    addend=st.sampled_from([None, (), (1,), (4,), (1, 4), (3, 1), (3, 4), (1, 1)]),
    addend_constant=st.booleans(),
    alpha=st.sampled_from([1.0, -0.5]),
    beta=st.sampled_from([1.0, 0.25, 0.0]),
)
def test_gemm(
    bench: Any,
    flips: tuple[bool, bool],
    constant: str,
    addend: tuple[int, ...] | None,
    addend_constant: bool,
    alpha: float,
    beta: float,
) -> None:
    factors = {"a": numbers(*((5, 3) if flips[0] else (3, 5))), "b": numbers(*((4, 5) if flips[1] else (5, 4)))}
    if addend is not None:
        factors["c"] = numbers(*addend)
    fixed = {constant} | ({"c"} if addend_constant else set())
    constants = {n: a for n, a in factors.items() if n in fixed}
    inputs = {n: a for n, a in factors.items() if n not in fixed}
    model = bench.model(
        "Gemm", inputs, constants, tuple(factors), transA=int(flips[0]), transB=int(flips[1]), alpha=alpha, beta=beta
    )
    network = bench.check(model, inputs)
    (matrix,) = network.matrices.values()
    assert (matrix.rows, matrix.columns) == (5, 4 if constant == "b" else 3)


def test_gemm_constant_of_one_number_a_column_is_its_bias(bench: Any) -> None:
    x, w, c = numbers(3, 5), numbers(5, 4), numbers(4)
    network = bench.check(bench.model("Gemm", {"x": x}, {"w": w, "c": c}, ("x", "w", "c")), {"x": x})
    (step,) = network.steps
    np.testing.assert_array_equal(network.tensors[step.bias].numpy(), c)


MATMUL_SHAPES = [
    ((5,), (5, 4)),
    ((3, 5), (5, 4)),
    ((2, 3, 5), (5, 4)),
    ((2, 1, 3, 5), (5, 4)),
    ((3, 5), (5,)),
    ((2, 3, 5), (5,)),
    ((5,), (5,)),
    ((2, 3, 5), (2, 5, 4)),
    ((7, 2, 3, 5), (2, 5, 4)),
    ((2, 6, 3, 5), (2, 6, 5, 4)),
    ((7, 2, 3, 5), (1, 2, 5, 4)),
    ((3, 5), (2, 5, 4)),
    ((3, 5), (2, 6, 5, 4)),
    ((5,), (2, 5, 4)),
    ((3, 5), (1, 5, 4)),
    ((5,), (1, 1, 5, 4)),
    ((2, 3, 5), (1, 1, 5, 4)),
    ((1, 3, 5), (2, 5, 4)),
    ((2, 3, 5), (6, 2, 5, 4)),
    ((6, 1, 3, 5), (6, 2, 5, 4)),
    ((6, 1, 3, 5), (1, 2, 5, 4)),
    ((2, 1, 3, 1, 3, 5), (2, 7, 1, 6, 5, 4)),
]


@pytest.mark.parametrize("opset", [11, 20])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("x_shape", "w_shape"), MATMUL_SHAPES)
def test_matmul(bench: Any, side: str, opset: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...]) -> None:
    if side == "left":
        x_shape, w_shape = (s if len(s) < 2 else (*s[:-2], s[-1], s[-2]) for s in (x_shape, w_shape))
    x, w = numbers(*x_shape), numbers(*w_shape)
    order = ("x", "w") if side == "right" else ("w", "x")
    network = bench.check(bench.model("MatMul", {"x": x}, {"w": w}, order, opset=opset), {"x": x})
    assert network.decisions[0].unit == "analog"
    (matrix,) = network.matrices.values()
    assert matrix.weights == w.size


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.booleans(), st.booleans()), max_size=4),
    lacking=st.integers(0, 4),
    side=st.sampled_from(["left", "right"]),
)
def test_batch_axes_broadcast(bench: Any, sizes: list[tuple[int, bool, bool]], lacking: int, side: str) -> None:
    x_batch = tuple(size if mine else 1 for size, mine, _ in sizes)[lacking:]
    w_batch = tuple(size if its else 1 for size, _, its in sizes)
    x_shape, w_shape = (*x_batch, 3, 5), (*w_batch, 5, 4)
    if side == "left":
        x_shape, w_shape = (*x_batch, 5, 3), (*w_batch, 4, 5)
    x, w = numbers(*x_shape), numbers(*w_shape)
    order = ("x", "w") if side == "right" else ("w", "x")
    network = bench.check(bench.model("MatMul", {"x": x}, {"w": w}, order), {"x": x})
    (matrix,) = network.matrices.values()
    assert matrix.weights == w.size


def test_a_batch_axis_of_unknown_size_stays_digital(bench: Any) -> None:
    model = bench.parse(
        "agraph (float[N, 3, 1] x) => (float[M, 3, 2] y) <float[2, 1, 2] w = {0, 1, 2, 3}> { [m] y = MatMul(x, w) }"
    )
    (decision,) = bench.lower(model).decisions
    assert decision.unit == "digital"
    assert "sizes" in decision.reason


def test_integer_inputs_stay_digital(bench: Any) -> None:
    x, w = np.ones((3, 5), np.int32), np.ones((5, 4), np.int32)
    network = bench.check(bench.model("MatMul", {"x": x}, {"w": w}, ("x", "w")), {"x": x})
    assert "int32" in network.decisions[0].reason


def test_float64_keeps_its_type(bench: Any) -> None:
    x, w = numbers(3, 5).astype(np.float64), numbers(5, 4).astype(np.float64)
    bench.check(bench.model("MatMul", {"x": x}, {"w": w}, ("x", "w")), {"x": x}, tolerance=1e-6)


@pytest.mark.parametrize(
    ("inputs", "axis"),
    [
        ("float[N, 3, 5] x", 0),
        ("float[N, 7] u, float[T, N, 5] x", 1),
        ("float[2, 3, 5] x", 0),
        ("float[1, 7] u, float[3, 4, 5] x", None),
        ("float[N, 7] u, float[4, 3, 5] x", None),
    ],
)
def test_batch_axis(bench: Any, inputs: str, axis: int | None) -> None:
    model = bench.parse(
        f"""agraph ({inputs}) => (float[a, b, 2] y) <float[5, 2] w = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}>
        {{ [m] y = MatMul(x, w) }}"""
    )
    (step,) = bench.lower(model).steps
    assert step.batch_axis == axis

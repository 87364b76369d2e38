"""What lies between an initializer and a layer is read as a recipe, and disappears from the digital steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from mho.passes.levels.matrix import Recipe, evaluate
from mho.passes.levels.recipe import Centre, Parts
from mho.passes.lower.check_weights import CheckWeights, count_not_finite
from mho.targets.errors import ModelError, OptionError
from mho.targets.steps import Analog, Digital

X = np.random.default_rng(3).standard_normal((2, 4)).astype(np.float32)

CHAINS = {
    "transpose": "<float[3, 4] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}> { t = Transpose(w) [m] y = MatMul(x, t) }",
    "cast": "<float16[4, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}> { t = Cast<to = 1>(w) [m] y = MatMul(x, t) }",
    "through float16": """<float[4, 3] w = {0.1, 1.1, 2, 3, 4, 5, 6.3, 7, 8, 9, 10, 11}>
        { h = Cast<to = 10>(w) t = Cast<to = 1>(h) [m] y = MatMul(x, t) }""",
    "reshape": """<float[12] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, int64[2] s = {4, -1}>
        { t = Reshape(w, s) [m] y = MatMul(x, t) }""",
    "flatten": """<float[2, 2, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}>
        { t = Flatten<axis = 2>(w) [m] y = MatMul(x, t) }""",
    "squeeze": """<float[1, 4, 1, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, int64[2] a = {0, -2}>
        { i = Identity(w) t = Squeeze(i, a) [m] y = MatMul(x, t) }""",
    "unsqueeze": """<float[12] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
        int64[1] a = {0}, int64[2] s = {4, 3}, int64[1] b = {0}>
        { u = Unsqueeze(w, a) q = Squeeze(u, b) t = Reshape(q, s) [m] y = MatMul(x, t) }""",
    "slice": """<float[5, 4] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19},
        int64[2] from = {-1, 1}, int64[2] to = {-9, 100}, int64[2] axes = {0, 1}, int64[2] by = {-1, 1},
        int64[1] o = {0}, int64[1] f = {4}>
        { s = Slice(w, from, to, axes, by) t = Slice(s, o, f) [m] y = MatMul(x, t) }""",
    "gates in another order": """<float[4, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
        int64[1] zero = {0}, int64[1] one = {1}, int64[1] end = {4}>
        { a = Slice(w, zero, one) b = Slice(w, one, end) t = Concat<axis = 0>(b, a) [m] y = MatMul(x, t) }""",
    "quantised": """<int8[4, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -11}, float s = {0.5}, int8 z = {3}>
        { t = DequantizeLinear(w, s, z) [m] y = MatMul(x, t) }""",
    "quantised along an axis": """<uint8[4, 3] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 250}, float[3] s = {0.5, 1, 2}>
        { t = DequantizeLinear<axis = -1>(w, s) [m] y = MatMul(x, t) }""",
}


@pytest.mark.parametrize("name", CHAINS)
def test_chain(bench: Any, name: str) -> None:
    model = bench.parse(f"agraph (float[2, 4] x) => (float[2, 3] y) {CHAINS[name]}")
    network = bench.check(model, {"x": X})
    assert [type(step) for step in network.steps] == [Analog]
    decisions = {d.node: d for d in network.decisions}
    assert decisions.pop("m").unit == "analog"
    parts = {(d.unit, d.reason, d.detail) for d in decisions.values()}
    assert parts == {("constant", "part of a layer's weights", "m")}
    (matrix,) = network.matrices.values()
    assert set(network.tensors) == {matrix.recipe.tensor} == {"w"}
    assert len(matrix.origins) == 1 + len(model.graph.node)


def test_operations_of_a_recipe(bench: Any) -> None:
    for name, kind in (("gates in another order", Parts), ("quantised", Centre)):
        network = bench.lower(bench.parse(f"agraph (float[2, 4] x) => (float[2, 3] y) {CHAINS[name]}"))
        assert isinstance(network.matrices["m"].recipe.operations[0], kind)


def test_tied_embedding(bench: Any) -> None:
    """One tensor is a constant of a digital step and the source of a matrix."""
    model = bench.parse(
        """agraph (int64[2] i) => (float[2, 3] y)
        <float[3, 4] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}>
        { e = Gather(w, i) t = Transpose(w) [m] y = MatMul(e, t) }"""
    )
    network = bench.check(model, {"i": np.array([2, 0])})
    gather, layer = network.steps
    assert isinstance(gather, Digital) and gather.inputs == ("w", "i")
    assert isinstance(layer, Analog) and network.matrices["m"].recipe.tensor == "w"


def test_weight_chain_that_is_also_read_digitally(bench: Any) -> None:
    model = bench.parse(
        """agraph (float[2, 4] x) => (float[2, 3] y, float[4, 3] t)
        <float[3, 4] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}>
        { [t] t = Transpose(w) [m] y = MatMul(x, t) }"""
    )
    network = bench.check(model, {"x": X})
    assert [d.unit for d in network.decisions] == ["digital", "analog"]


def test_outputs_that_are_inputs_or_constants(bench: Any) -> None:
    model = bench.parse("agraph (float[2, 4] x) => (float[2, 4] y, float[1] c) <float[1] c = {3}> { y = Identity(x) }")
    bench.check(model, {"x": X})


def test_left_digital(bench: Any) -> None:
    model = bench.parse(f"agraph (float[2, 4] x) => (float[2, 3] y) {CHAINS['transpose']}")
    network = bench.lower(model, digital=("m",))
    assert [step.op for step in network.steps] == ["digital", "digital"]
    assert network.decisions[-1].reason == "left digital by the user"
    assert "--digital" in network.decisions[-1].remedy
    with pytest.raises(OptionError, match="nothing"):
        bench.lower(model, digital=("nothing",))


def test_equal_names_in_two_branches(bench: Any) -> None:
    model = bench.parse(
        """agraph (bool c, float[2, 4] x) => (float[2, 4] y)
        <float[4, 4] w = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}>
        { [if] y = If<then_branch = a () => (float[2, 4] t) { [m] u = MatMul(x, w) t = Relu(u) },
                      else_branch = b () => (float[2, 4] t)
                        { [m] u = MatMul(x, w) [n] v = MatMul(u, w) t = Neg(v) }>(c) }"""
    )
    for condition in (True, False):
        network = bench.check(model, {"c": np.array(condition), "x": X})
    assert len(network.matrices) == 1
    assert len(network.origins) == 3
    names = [d.node for d in network.decisions]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(bench: Any, bad: float) -> None:
    w = np.ones((4, 3), np.float32)
    w[1, 2] = w[0, 0] = bad
    network = bench.lower(bench.model("MatMul", {"x": X}, {"w": w}, ("x", "w")))
    with pytest.raises(ModelError, match="layer layer: 2 of its 12 weights, from tensor w"):
        CheckWeights().run(network)


def test_infinite_constants_of_digital_steps_are_fine(bench: Any) -> None:
    mask = onnx.numpy_helper.from_array(np.full((2, 4), -np.inf, np.float32), "m")
    model = bench.parse("agraph (float[2, 4] x) => (float[2, 4] y) { y = Add(x, m) }")
    model.graph.initializer.append(mask)
    assert CheckWeights().run(bench.lower(model)).steps


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_number_that_is_not_finite_counts(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.passes.lower.check_weights.CHUNK", 7)
    kind = ir.DataType["DOUBLE" if dtype == "float64" else dtype.removesuffix("32").upper()].numpy()
    array = np.linspace(-9e4, 9e4, 60).astype(np.float32).clip(-6e4, 6e4).reshape(3, 4, 5).astype(kind)
    assert count_not_finite(array) == 0
    array[0, 1, 2], array[2, 3, 4], array[1, 0, 0] = np.nan, np.inf, -np.inf
    assert count_not_finite(array) == 3
    assert count_not_finite(array.transpose(2, 0, 1)[1:]) == 2
    assert count_not_finite(array[:0]) == 0


def test_an_external_tensor_is_mapped_for_each_use(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.float16).reshape(3, 4)
    (tmp_path / "w.data").write_bytes(bytes(64) + numbers.tobytes())
    shape = ir.Shape(numbers.shape)
    tensor = ir.ExternalTensor("w.data", 64, 24, ir.DataType.FLOAT16, shape=shape, name="w", base_dir=tmp_path)
    first, second = (evaluate(Recipe("w"), tensor) for _ in range(2))
    np.testing.assert_array_equal(first, numbers)
    assert not np.shares_memory(first, second)
    assert tensor.raw is None

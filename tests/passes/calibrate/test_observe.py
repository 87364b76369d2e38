"""Observation: input ranges by rules and from DequantizeLinear, and the sample that is kept."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.passes.calibrate.full_scale import FullScale, round_up
from mho.passes.calibrate.observe import Observe, Reservoir
from mho.passes.calibrate.qdq import quantised_ranges
from mho.runtime.matching import match_samples
from tests.plans import draw, machine_of, network_of, parse

Array = NDArray[Any]
MODEL = parse("g (float[n, 6, 3] x) => (float[n, 6, 2] y) { r = Relu(x)  y = MatMul(r, w) }", w=draw(1, 3, 2))
DATA = {"x": draw(2, 100, 6, 3)}


def numbers(count: int) -> NDArray[np.float32]:
    return np.arange(count, dtype=np.float32)[:, None]


@given(cuts=st.lists(st.integers(0, 3000), max_size=6), limit=st.sampled_from([16, 100]))
def test_the_sample_is_bounded_and_does_not_depend_on_the_batches(cuts: list[int], limit: int) -> None:
    whole, parts = Reservoir(limit), Reservoir(limit)
    whole.add(numbers(3000))
    for part in np.split(numbers(3000), sorted(cuts)):
        parts.add(part)
    assert whole.count == parts.count == 3000
    assert limit // 3 <= len(whole.vectors()) <= limit
    assert np.array_equal(whole.vectors(), parts.vectors())


@pytest.mark.parametrize("count", [1, 16, 17, 1000, 65536, 100_000])
@pytest.mark.parametrize("period", [7, 32, 64])
def test_the_sample_is_spread_evenly(count: int, period: int) -> None:
    """No part of the data and no place of a period (such as a column of an image) is left out."""
    reservoir = Reservoir(512)
    reservoir.add(numbers(count))
    kept = reservoir.vectors()[:, 0]
    assert len(kept) >= min(count, 170)
    gaps = np.diff(np.concatenate([[-1], kept, [count]]))
    assert gaps.max() <= 3.5 * count / len(kept) + 1
    if count > 100 * period:
        places = np.bincount(kept.astype(int) % period, minlength=period)
        assert places.min() > 0


def test_a_reservoir_that_was_given_nothing() -> None:
    reservoir = Reservoir(16)
    assert reservoir.vectors().shape[0] == 0
    reservoir.add(np.zeros((0, 5), np.float32))
    assert (reservoir.count, len(reservoir.vectors())) == (0, 0)


def test_ranges_by_rule() -> None:
    network = network_of(MODEL)
    samples = match_samples(DATA, network.inputs)
    target = machine_of()
    (layer,) = Observe(rule="max").run(network, samples, target).layers.values()
    assert layer.input_range == pytest.approx(float(DATA["x"].max()), rel=2**-11)
    assert layer.fires == 6
    assert layer.sample.shape == (512, 3)
    assert layer.sample.min() == 0
    (most,) = Observe(rule="percentile", percentile=75.0).run(network, samples, target).layers.values()
    expected = np.quantile(np.maximum(DATA["x"], 0), 0.75, method="inverted_cdf")
    assert most.input_range == pytest.approx(float(expected), rel=2**-11)
    (least,) = Observe(rule="mse").run(network, samples, machine_of(bits=4)).layers.values()
    assert 0.3 * layer.input_range < least.input_range < layer.input_range


def test_only_so_many_samples_are_run() -> None:
    network = network_of(MODEL)
    told: list[int] = []
    calibrated = Observe(samples=70).run(network, match_samples(DATA, network.inputs), machine_of(), told.append)
    assert sum(told) == 70
    (layer,) = calibrated.layers.values()
    assert (layer.fires, len(layer.sample)) == (6, 420)
    assert calibrated.warnings == ()


def test_samples_that_fill_up_a_batch_are_no_fires() -> None:
    model = parse("g (float[64, 6, 3] x) => (float[64, 6, 2] y) { y = MatMul(x, w) }", w=draw(1, 3, 2))
    network = network_of(model)
    (layer,) = Observe().run(network, match_samples(DATA, network.inputs), machine_of()).layers.values()
    assert layer.fires == 6


def test_outputs_may_have_another_shape_in_every_batch() -> None:
    model = parse(
        "g (float[n, 3] x) => (int64[a, b] y, float[n, 2] z) { z = MatMul(x, w)  r = Relu(z)  y = NonZero(r) }",
        w=draw(1, 3, 2),
    )
    network = network_of(model)
    samples = match_samples({"x": draw(2, 100, 3)}, network.inputs)
    (layer,) = Observe().run(network, samples, machine_of()).layers.values()
    assert layer.fires == 1


def test_outputs_are_not_kept() -> None:
    model = parse("g (float[n, 4] x) => (float[n, 40000] y) { h = MatMul(x, w)  y = Tile(h, r) }", w=draw(1, 4, 4))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 10000]), "r"))
    network = network_of(model)
    samples = replace(match_samples({"x": draw(2, 64, 4)}, network.inputs), batch=1)
    tracemalloc.start()
    Observe().run(network, samples, machine_of())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 40000 * 4 / 2


def test_a_layer_that_never_fired_is_a_warning() -> None:
    model = parse(
        """g (bool c, float[2, 3] x) => (float[2, 3] y) {
            y = If(c) <then_branch = p () => (float[2, 3] u) { u = MatMul(x, w) },
                       else_branch = q () => (float[2, 3] v) { v = MatMul(x, k) }>
        }""",
        w=draw(1, 3, 3),
        k=draw(2, 3, 3),
    )
    network = network_of(model)
    data = {"c": np.array([True]), "x": draw(3, 1, 2, 3)}
    calibrated = Observe().run(network, match_samples(data, network.inputs), machine_of())
    fired, silent = calibrated.layers.values()
    assert (fired.fires, silent.fires, silent.input_range) == (2, 0, 1.0)
    (warning,) = calibrated.warnings
    assert (
        warning
        == f"the data never reached {list(calibrated.layers)[1]}: their ranges are set for random inputs within ±1"
    )


@pytest.mark.parametrize("rule", ["max", "mse", "percentile"])
def test_what_is_not_finite_sets_no_range(rule: Any) -> None:
    values = np.array([0.5, -2.0, np.inf, -np.inf, np.nan], np.float32)
    assert FullScale(rule, 100.0).choose(values, 8) == pytest.approx(2.0, rel=0.1)
    assert FullScale(rule, 100.0).choose(values[2:], 8) == 1.0


def test_full_scales() -> None:
    values = np.arange(-100, 101, dtype=np.float32)
    assert FullScale("max", 0.0).choose(values, 8) == 100
    assert FullScale("percentile", 100.0).choose(values, 8) == 100
    assert FullScale("percentile", 50.0).choose(np.arange(1, 101, dtype=np.float32), 8) == 50
    assert FullScale("percentile", 0.0).choose(np.arange(1, 101, dtype=np.float32), 8) == 1
    assert FullScale("mse", 0.0).choose(values, None) == 100
    assert FullScale("max", 0.0).choose(np.zeros(3, np.float32), 8) == 1
    assert FullScale("max", 0.0).choose(np.zeros(0, np.float32), 8) == 1
    assert FullScale("percentile", 50.0).choose(np.array([0, 0, 0, 7], np.float32), 8) == 7


@given(st.floats(1e-30, 1e30), st.floats(-3e-7, 3e-7))
def test_a_full_scale_has_few_digits_and_covers_what_it_is_for(value: float, change: float) -> None:
    full_scale = round_up(value)
    assert value * (1 - 2e-6) <= full_scale <= value * (1 + 2**-11)
    assert full_scale == round_up(full_scale) == round_up(full_scale * (1 + change)) == np.float32(full_scale)


@pytest.mark.parametrize("rule", ["max", "mse", "percentile"])
def test_last_digits_do_not_change_a_full_scale(rule: Any) -> None:
    """Sums in another order, as another processor adds them."""
    values = draw(5, 2000)
    other = (values.astype(np.float64) * (1 + 2e-7 * np.sin(np.arange(2000)))).astype(np.float32)
    assert not np.array_equal(values, other)
    assert FullScale(rule, 99.0).choose(values, 8) == FullScale(rule, 99.0).choose(other, 8)


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_mse_is_as_good_as_a_search(bits: int) -> None:
    values = np.random.default_rng(bits).laplace(size=20_000).astype(np.float32)
    n = 2 ** (bits - 1) - 1

    def error(scale: float) -> float:
        return float(np.mean((np.clip(np.rint(values * n / scale), -n, n) * scale / n - values) ** 2))

    best = min(error(scale) for scale in np.linspace(0.05, 1, 96) * np.abs(values).max())
    assert error(FullScale("mse", 0.0).choose(values, bits)) < 1.1 * best


def quantised(zero: Array | None, scale: Array, kind: str = "int8", mover: str = "") -> onnx.ModelProto:
    names = ", ".join(["q", "s", *(["z"] if zero is not None else [])])
    between = {"": "x = Identity(d)", "transpose": "x = Transpose <perm = [0, 2, 1]> (d)", "relu": "x = Relu(d)"}[mover]
    constants = {"s": scale, "w": draw(1, 4, 2), **({"z": zero} if zero is not None else {})}
    return parse(
        f"g ({kind}[n, 4, 4] q) => (float[n, 4, 2] y) {{ d = DequantizeLinear({names})  {between}  y = MatMul(x, w) }}",
        **constants,
    )


SCALE = np.array(0.5, np.float32)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (quantised(np.array(0, np.int8), SCALE), 63.5),
        (quantised(None, SCALE), 63.5),
        (quantised(np.array(10, np.int8), SCALE), 69.0),
        (quantised(np.array(-10, np.int8), SCALE), 68.5),
        (quantised(np.array(0, np.uint8), SCALE, "uint8"), 127.5),
        (quantised(np.array(128, np.uint8), SCALE, "uint8"), 64.0),
        (quantised(None, SCALE, "uint8"), 127.5),
        (quantised(np.array(0, np.int8), SCALE, mover="transpose"), 63.5),
    ],
)
def test_ranges_that_a_quantised_model_states(model: onnx.ModelProto, expected: float) -> None:
    network = network_of(model)
    assert list(quantised_ranges(network).values()) == [expected]
    data = {
        "q": np.ones((1, 4, 4), onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type))
    }
    (layer,) = Observe().run(network, match_samples(data, network.inputs), machine_of()).layers.values()
    assert layer.input_range == expected


@pytest.mark.parametrize(
    "model",
    [
        quantised(np.array([0, 0, 0, 0], np.int8), np.full(4, 0.5, np.float32)),
        quantised(np.array(0, np.int8), SCALE, mover="relu"),
        quantised(np.array(0, np.int32), SCALE, "int32"),
    ],
)
def test_ranges_that_it_does_not_state(model: onnx.ModelProto) -> None:
    assert quantised_ranges(network_of(model)) == {}

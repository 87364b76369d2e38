"""Conv and ConvTranspose of any geometry give what onnxruntime gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.targets.errors import ModelError
from mho.targets.steps import Analog
from mho.targets.unfolding import Window


def numbers(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@st.composite
def geometry(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    return {
        "rank": rank,
        "group": draw(st.integers(1, 3)),
        "channels": draw(st.integers(1, 2)),
        "kernels": draw(st.integers(1, 2)),
        "batch": draw(st.integers(1, 2)),
        "kernel": each(1, 3),
        "strides": each(1, 3),
        "dilations": each(1, 2),
        "pads": each(0, 2) + each(0, 2),
        "spatial": each(5, 7),
        "auto_pad": draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])),
        "bias": draw(st.booleans()),
    }


@settings(max_examples=60, deadline=None)
@given(g=geometry())
def test_conv(bench: Any, g: dict[str, Any]) -> None:
    x = numbers(g["batch"], g["group"] * g["channels"], *g["spatial"])
    w = numbers(g["group"] * g["kernels"], g["channels"], *g["kernel"])
    constants = {"w": w, "b": numbers(len(w))} if g["bias"] else {"w": w}
    keys = ["strides", "dilations", "group"] + (["pads"] if g["auto_pad"] == "NOTSET" else [])
    attributes = {key: g[key] for key in keys} | {"auto_pad": g["auto_pad"]}
    if g["auto_pad"].startswith("SAME"):  # onnxruntime refuses dilations there
        attributes["dilations"] = (1,) * g["rank"]
    network = bench.check(bench.model("Conv", {"x": x}, constants, ("x", *constants), **attributes), {"x": x})
    (matrix,) = network.matrices.values()
    assert (matrix.rows, matrix.columns) == (x.shape[1] * np.prod(g["kernel"]), len(w))
    assert matrix.groups == g["group"]
    assert network.steps[0].batch_axis == 0


@settings(max_examples=60, deadline=None)
@given(g=geometry(), data=st.data())
def test_conv_transpose(bench: Any, g: dict[str, Any], data: st.DataObject) -> None:
    x = numbers(g["batch"], g["group"] * g["channels"], *g["spatial"])
    w = numbers(x.shape[1], g["kernels"], *g["kernel"])
    constants = {"w": w, "b": numbers(g["group"] * g["kernels"])} if g["bias"] else {"w": w}
    attributes: dict[str, Any] = {key: g[key] for key in ("strides", "group", "dilations")}
    extra = tuple(data.draw(st.integers(0, s - 1)) for s in g["strides"])
    attributes["output_padding"] = extra
    reach = [d * (k - 1) for d, k in zip(g["dilations"], g["kernel"], strict=True)]
    if g["auto_pad"] == "NOTSET":
        attributes["pads"] = g["pads"]
    elif g["auto_pad"] == "VALID":
        attributes["auto_pad"] = "VALID"
    else:
        natural = [s * (n - 1) + e + r + 1 for s, n, e, r in zip(g["strides"], g["spatial"], extra, reach, strict=True)]
        cut = [data.draw(st.integers(1 + e - s, 3)) for s, e in zip(g["strides"], extra, strict=True)]
        attributes |= {
            "auto_pad": g["auto_pad"],
            "output_shape": [n - c for n, c in zip(natural, cut, strict=True)],
        }
    network = bench.check(bench.model("ConvTranspose", {"x": x}, constants, ("x", *constants), **attributes), {"x": x})
    (step,) = network.steps
    assert isinstance(step, Analog) and isinstance(step.unfolding, Window)
    assert step.unfolding.spread == g["strides"]


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (5, 3), (2, 1)])
def test_conv_transpose_same(bench: Any, auto_pad: str, kernel: int, stride: int) -> None:
    x, w = numbers(1, 2, 5, 6), numbers(2, 3, kernel, kernel)
    attributes = {"auto_pad": auto_pad, "strides": (stride, stride)}
    bench.check(bench.model("ConvTranspose", {"x": x}, {"w": w}, ("x", "w"), **attributes), {"x": x})


def test_negative_pads_crop(bench: Any) -> None:
    x, w = numbers(1, 2, 8, 8), numbers(2, 3, 1, 1)
    model = bench.model("ConvTranspose", {"x": x}, {"w": w}, ("x", "w"), pads=(1, 2, 3, 0))
    bench.check(model, {"x": x})


def test_kernel_shape_that_contradicts_the_weights(bench: Any) -> None:
    model = bench.parse(
        """agraph (float[1, 1, 8, 8] x) => (float[1, 1, H, W] y)
        <float[1, 1, 3, 3] w = {1, 1, 1, 1, 1, 1, 1, 1, 1}>
        { [bad] y = Conv<kernel_shape = [5, 5]>(x, w) }"""
    )
    with pytest.raises(ModelError, match="kernel_shape"):
        bench.lower(model)


def test_all_contradictions_are_told_together(bench: Any) -> None:
    model = bench.parse(
        """agraph (float[1, 1, 6, 6] x) => (float[a, b, c, d] y, float[e, f, g, h] z)
        <float[1, 1, 3, 3] w = {1, 1, 1, 1, 1, 1, 1, 1, 1}>
        { [bad] y = Conv<kernel_shape = [5, 5]>(x, w) [worse] z = Conv<strides = [1]>(x, w) }"""
    )
    with pytest.raises(ModelError) as raised:
        bench.lower(model)
    assert [("bad" in problem, "worse" in problem) for problem in raised.value.problems] == [
        (True, False),
        (False, True),
    ]


def test_weights_at_run_time(bench: Any) -> None:
    x, w = numbers(1, 2, 8), numbers(3, 2, 3)
    network = bench.check(bench.model("Conv", {"x": x, "w": w}, {}, ("x", "w")), {"x": x, "w": w})
    assert not network.matrices
    (decision,) = network.decisions
    assert (decision.unit, decision.reason) == ("digital", "its second input, the weights, is an input and no constant")
    assert decision.detail == "'w', an input"
    assert "initializer" in decision.remedy


def test_two_convolutions_share_weights(bench: Any) -> None:
    model = bench.parse(
        """agraph (float[1, 2, 4] x) => (float[1, 2, L] z)
        <float[2, 2, 1] w = {1, 2, 3, 4}>
        { [a] y = Conv(x, w) [b] z = Conv(y, w) }"""
    )
    network = bench.check(model, {"x": numbers(1, 2, 4)})
    assert [step.matrix for step in network.steps] == ["a", "a"]
    assert set(network.matrices) == {"a"}
    assert {"w", "a", "b"} <= set(network.matrices["a"].origins)

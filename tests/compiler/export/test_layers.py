"""Layers of every kind, small ones, as an exported model and on the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import mho
from mho.examples.builder import Builder
from mho.passes.reload.reload import ReloadTiles
from mho.passes.unfold.unfold import ChooseUnfolding
from mho.runtime.effects import Conditions, Effects
from mho.targets.target import Target
from tests.compilations import machine, pipeline
from tests.compiler.export.agreement import SELDOM, layer_by_layer, model_of, outputs_of, static

Array = NDArray[Any]
Data = Mapping[str, Array]

TARGETS = ("small", "hermes64", "everything")


@dataclass(frozen=True)
class Net:
    """A small network and data of its inputs."""

    model: onnx.ModelProto
    data: Data


def normal(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def conv(groups: int = 1, opset: int = 17, **attributes: Any) -> Net:
    net = Builder("conv", opset=opset)
    kernel = attributes.pop("kernel", (3, 3))
    size = attributes.pop("size", (9, 8))
    weight = net.weight("weight", 12, 12 // groups, *kernel, fan_in=int(12 // groups * np.prod(kernel)))
    y = net.op(
        "Conv", "conv", net.input("x", ["N", 12, *size]), weight, net.bias("bias", 12), group=groups, **attributes
    )
    net.output(net.op("Relu", "relu", y), ["N", 12, *(f"s{i}" for i in range(len(size)))])
    return Net(net.model, {"x": normal(3, 12, *size)})


def transposed(**attributes: Any) -> Net:
    net = Builder("transposed")
    weight = net.weight("weight", 8, 5, 3, 3, fan_in=72)
    y = net.op("ConvTranspose", "up", net.input("x", ["N", 8, 5, 6]), weight, net.bias("bias", 5), **attributes)
    net.output(y, ["N", 5, "h", "w"])
    return Net(net.model, {"x": normal(2, 8, 5, 6)})


def gemm(trans_a: int, trans_b: int, left: bool) -> Net:
    """A product of [33, 40] and [40, 7], the weights on the left, or of [7, 40] and [40, 33]."""
    net = Builder("gemm")
    shapes = [(33, 40), (40, 7)] if left else [(7, 40), (40, 33)]
    first, second = (s[::-1] if t else s for s, t in zip(shapes, (trans_a, trans_b), strict=True))
    x = net.input("x", second if left else first)
    weight = net.weight("weight", *(first if left else second), fan_in=40)
    y = net.op("Gemm", "gemm", *((weight, x) if left else (x, weight)), transA=trans_a, transB=trans_b)
    net.output(y, [shapes[0][0], shapes[1][1]])
    return Net(net.model, {"x": normal(*(second if left else first))})


def matmul(left: bool, element: int = TensorProto.FLOAT) -> Net:
    net = Builder("matmul", dtype=helper.tensor_dtype_to_np_dtype(element))
    x = net.input("x", ["N", 3, 40, 5] if left else ["N", 3, 5, 40], element)
    weight = net.weight("weight", *((30, 40) if left else (40, 30)), fan_in=40)
    y = net.op("MatMul", "product", *((weight, x) if left else (x, weight)))
    net.output(y, ["N", 3, 30, 5] if left else ["N", 3, 5, 30], element)
    shape = (2, 3, 40, 5) if left else (2, 3, 5, 40)
    return Net(net.model, {"x": normal(*shape).astype(helper.tensor_dtype_to_np_dtype(element))})


def residual() -> Net:
    """A layer that adds a value, and one whose activation is clipped."""
    net = Builder("residual")
    x = net.input("x", ["N", 6, 7, 7])
    y = net.op("Add", "sum", net.conv("a", x, 6, 6), x)
    y = net.op(
        "Clip", "clip", net.conv("b", y, 6, 6), net.constant("low", np.float32(0)), net.constant("high", np.float32(1))
    )
    y = net.op("LeakyRelu", "leaky", net.conv("c", y, 6, 4), alpha=0.1)
    net.output(y, ["N", 4, 7, 7])
    return Net(net.model, {"x": normal(2, 6, 7, 7)})


FLAT: Mapping[str, Callable[[], Net]] = {
    "conv": lambda: conv(pads=[1, 1, 1, 1]),
    "conv of operator set 8": lambda: conv(opset=8, pads=[1, 1, 1, 1]),
    "conv of operator set 10": lambda: conv(opset=10, strides=[2, 1]),
    "groups": lambda: conv(groups=3, pads=[1, 0, 2, 1], strides=[2, 1]),
    "depthwise": lambda: conv(groups=12, dilations=[2, 1], pads=[2, 2, 2, 2]),
    "same": lambda: conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "one axis": lambda: conv(kernel=(5,), size=(20,), strides=[2]),
    "three axes": lambda: conv(kernel=(2, 2, 2), size=(4, 5, 3)),
    "transposed": lambda: transposed(strides=[2, 2], output_padding=[1, 0], pads=[1, 1, 1, 1]),
    "gemm": lambda: gemm(0, 0, False),
    "gemm transposed": lambda: gemm(1, 1, False),
    "gemm from the left": lambda: gemm(0, 0, True),
    "gemm from the left transposed": lambda: gemm(1, 1, True),
    "matmul": lambda: matmul(False),
    "matmul from the left": lambda: matmul(True),
    "float16": lambda: matmul(False, TensorProto.FLOAT16),
    "float64": lambda: matmul(False, TensorProto.DOUBLE),
    "residual": residual,
}


def conditions_of(target: Target) -> tuple[Conditions, ...]:
    return (
        Conditions(effects=Effects.quantised()),
        Conditions(effects=static(target), seed=3, time_s=3600.0),
    )


def compiled(net: Net, target: str, **options: Any) -> mho.Compiled:
    return mho.compile(net.model, machine(target), net.data, pipeline=replace(pipeline(), **options))


def check(program: mho.Compiled, data: Data) -> None:
    for conditions in conditions_of(program.program.target):
        found = list(layer_by_layer(program, conditions, data))
        assert {layer.layer for layer in found} == {layer.name for layer in program.program.layers}
        for layer in found:
            assert layer.worst <= 1.1 and layer.apart <= SELDOM, (layer.layer, conditions)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", FLAT)
def test_layers_agree(kind: str, target: str) -> None:
    net = FLAT[kind]()
    check(compiled(net, target), net.data)


@pytest.mark.parametrize("kind", ["conv", "groups", "same", "transposed", "residual"])
@pytest.mark.parametrize("unfold", ["windows", "places"])
def test_other_unfoldings_agree(kind: str, unfold: Any) -> None:
    net = FLAT[kind]()
    program = compiled(net, "small", unfold=ChooseUnfolding(unfold=unfold))
    check(program, net.data)


def test_tiles_that_take_turns_agree() -> None:
    net = FLAT["residual"]()
    target = machine("small")
    few = replace(target, mesh=replace(target.mesh, tiles=4, width=2, height=2))
    options = pipeline(tiles=None)
    options = replace(options, reload=ReloadTiles(allow=True), partition=replace(options.partition, chips=1))
    program = mho.compile(net.model, few, net.data, pipeline=options)
    assert program.program.reload is not None
    check(program, net.data)


@pytest.mark.parametrize("kind", FLAT)
def test_ideal_layers_are_exact(kind: str) -> None:
    net = FLAT[kind]()
    program = compiled(net, "small")
    conditions = Conditions(effects=Effects.ideal())
    found = outputs_of(program, model_of(program, conditions), net.data)
    for name, expected in program.run(net.data, effects=Effects.ideal()).items():
        tolerance = 2e-3 if expected.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(found[name], expected, atol=tolerance * np.abs(expected).max())
        assert found[name].dtype == expected.dtype

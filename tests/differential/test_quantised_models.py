"""Networks that onnxruntime's own tools quantised and optimised: every product with constant weights runs on tiles."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import mho
from mho.examples.attention import TransformerSize
from mho.examples.bert import bert
from mho.examples.builder import Builder
from mho.runtime.effects import Effects
from tests.compilations import pipeline
from tests.passes.lower.single import onnxruntime_outputs

Arrays = Mapping[str, NDArray[Any]]

CLOSE = 2e-6
SMALL = TransformerSize(vocabulary=50, positions=16, layers=2, width=16, inner=32, heads=2)


def cnn() -> onnx.ModelProto:
    """Convolutions with a sum and activations between them, then two products."""
    net = Builder("cnn", seed=1)
    x = net.input("x", ["N", 3, 12, 12])
    first = net.op("Relu", "r1", net.op("Conv", "c1", x, *_kernel(net, "c1", 8, 3), pads=[1, 1, 1, 1]))
    second = net.op("Conv", "c2", first, *_kernel(net, "c2", 8, 8), pads=[1, 1, 1, 1])
    summed = net.op("Relu", "r2", net.op("Add", "a2", second, first))
    third = net.op("Sigmoid", "s3", net.op("Conv", "c3", summed, *_kernel(net, "c3", 8, 8)))
    flat = net.op("Flatten", "flat", net.op("GlobalAveragePool", "pool", third))
    hidden = net.op("Gemm", "g", flat, net.weight("g.w", 8, 10, fan_in=8), net.bias("g.b", 10))
    net.output(net.op("MatMul", "m", net.op("Relu", "r4", hidden), net.weight("m.w", 10, 6, fan_in=10)), ["N", 6])
    return net.model


def _kernel(net: Builder, name: str, kernels: int, channels: int) -> tuple[str, str]:
    weight = net.weight(f"{name}.w", kernels, channels, 3, 3, fan_in=9 * channels)
    return weight, net.bias(f"{name}.b", kernels)


def cnn_data() -> Arrays:
    return {"x": np.random.default_rng(0).standard_normal((16, 3, 12, 12)).astype(np.float32)}


def bert_data() -> Arrays:
    mask = np.ones((4, 6), np.int64)
    mask[2, 3:] = mask[3, 5:] = 0
    return {"input_ids": np.random.default_rng(0).integers(0, 50, (4, 6)), "attention_mask": mask}


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands samples to onnxruntime's quantiser one by one."""

    def __init__(self, data: Arrays) -> None:
        count = len(next(iter(data.values())))
        self._samples: Iterator[dict[str, Any]] = iter({n: a[i : i + 1] for n, a in data.items()} for i in range(count))

    def get_next(self) -> dict[str, Any] | None:
        return next(self._samples, None)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """onnxruntime's quantiser advises on the log."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def optimised(source: Path) -> Path:
    """The graph as onnxruntime's extended optimisations leave it."""
    target = source.with_suffix(".optimised.onnx")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return target


def quantised(kind: str, source: Path, data: Arrays) -> Path:
    """Weights are unsigned, so that no instruction of onnxruntime saturates."""
    target, unsigned = source.with_suffix(f".{kind}.onnx"), QuantType.QUInt8
    if kind == "float":
        return source
    if kind == "dynamic":
        quantize_dynamic(source, target, weight_type=unsigned)
        return target
    form = QuantFormat.QDQ if kind == "qdq" else QuantFormat.QOperator
    quantize_static(source, target, Reader(data), quant_format=form, activation_type=unsigned, weight_type=unsigned)
    return target


CASES: list[tuple[str, str, bool, dict[str, int]]] = [
    ("cnn", "float", True, {"FusedConv": 2, "Conv": 1, "FusedGemm": 1, "MatMul": 1}),
    ("cnn", "qdq", False, {"Conv": 3, "Gemm": 1, "MatMul": 1}),
    ("cnn", "qdq", True, {"QLinearConv": 3, "QGemm": 1, "QLinearMatMul": 1}),
    ("cnn", "qoperator", False, {"QLinearConv": 3, "QGemm": 1, "QLinearMatMul": 1}),
    ("cnn", "dynamic", False, {"ConvInteger": 3, "MatMulInteger": 2}),
    ("bert", "float", True, {"MatMul": 12}),
    ("bert", "qdq", True, {"QLinearMatMul": 12}),
    ("bert", "dynamic", False, {"MatMulInteger": 12}),
    ("bert", "dynamic", True, {"MatMulIntegerToFloat": 6, "DynamicQuantizeMatMul": 6}),
]


@pytest.mark.parametrize(("network", "kind", "optimise", "layers"), CASES)
def test_networks(network: str, kind: str, optimise: bool, layers: dict[str, int], tmp_path: Path) -> None:
    model, data = (cnn(), cnn_data()) if network == "cnn" else (bert(0, SMALL), bert_data())
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    path = quantised(kind, path, data)
    path = optimised(path) if optimise else path
    compiled = mho.compile(path, "ideal256", data, pipeline=pipeline(tiles=None))
    assert Counter(layer.operator for layer in compiled.program.layers) == layers
    found = compiled.run(data, effects=Effects.ideal())
    for name, wanted in onnxruntime_outputs(onnx.load(path), data).items():
        assert np.abs(found[name] - wanted).max() <= CLOSE * np.abs(wanted).max()


@pytest.mark.parametrize("kind", ["qdq", "qoperator", "dynamic"])
def test_quantised_networks_survive_converters_and_float16(kind: str, tmp_path: Path) -> None:
    """On a machine with converters of 8 bits and a digital unit of float16, no form of the network loses its sums."""
    path = tmp_path / "model.onnx"
    onnx.save(cnn(), path)
    compiled = mho.compile(quantised(kind, path, cnn_data()), "hermes64", cnn_data(), pipeline=pipeline())
    (exact,) = compiled.run(cnn_data(), effects=Effects.ideal()).values()
    (found,) = compiled.run(cnn_data(), effects=Effects.quantised()).values()
    assert 10 * np.log10(np.sum(exact**2) / np.sum((found - exact) ** 2)) > 30

"""Transformers: every projection is analog, products of two activations are digital, and results are onnxruntime's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import mho
from mho.examples.attention import TransformerSize
from mho.examples.bert import bert
from mho.examples.builder import Builder
from mho.examples.gpt2 import gpt2
from mho.examples.matrices import matrices
from mho.examples.vit import VitSize, vit
from mho.runtime.effects import Effects
from mho.stages import Stages
from tests.compilations import pipeline
from tests.differential.reference import IDEAL_TOLERANCE, reference, worst_error

Array = NDArray[Any]

TINY = TransformerSize(vocabulary=60, positions=16, layers=2, width=24, inner=48, heads=3)
HURRY = pipeline(effort=0.05)


def tokens(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, TINY.vocabulary, shape)


@dataclass(frozen=True)
class Transformer:
    """A network, inputs for it, and how many projections and products of activations it has."""

    model: Callable[[], onnx.ModelProto]
    data: Mapping[str, Array]
    projections: int
    products: int


TRANSFORMERS = {
    "bert": Transformer(
        lambda: bert(size=TINY), {"input_ids": tokens(3, 9), "attention_mask": np.ones((3, 9), np.int64)}, 12, 4
    ),
    "gpt2": Transformer(lambda: gpt2(size=TINY), {"input_ids": tokens(3, 9)}, 9, 4),
    "vit": Transformer(
        lambda: vit(size=VitSize(pixels=8, patch=4, classes=5, layers=2, width=24, inner=48, heads=3)),
        {"image": np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)},
        14,
        4,
    ),
}


def check_products(compiled: mho.Compiled, projections: int, products: int) -> None:
    """Each operator with a matrix is analog but for the products of activations, whose reason names both factors."""
    found = [d for d in compiled.program.decisions if d.operator in ("MatMul", "Gemm", "Conv")]
    analog = [d for d in found if d.unit == "analog"]
    digital = [d for d in found if d.unit == "digital"]
    assert (len(analog), len(digital)) == (projections, products)
    for decision in digital:
        assert decision.reason.startswith("both of its factors are computed at run time")
        assert decision.detail.count("'") == 4
        assert decision.remedy == ""


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_projections_are_analog_and_results_exact(name: str) -> None:
    network = TRANSFORMERS[name]
    model = network.model()
    compiled = mho.compile(model, "ideal256", network.data, pipeline=HURRY, stages=Stages(verify=True))
    check_products(compiled, network.projections, network.products)
    assert sum(m.weights for m in compiled.program.matrices) == sum(rows * columns for rows, columns in matrices(model))
    found = compiled.run(network.data, effects=Effects.ideal())
    assert worst_error(found, reference(model, compiled, network.data, None)) <= IDEAL_TOLERANCE


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_without_data_the_dimensions_are_enough(name: str) -> None:
    network = TRANSFORMERS[name]
    compiled = mho.compile(network.model(), "ideal256", dimensions={"S": 5}, pipeline=HURRY)
    check_products(compiled, network.projections, network.products)


@pytest.mark.parametrize("vocabulary", [60, 300])
def test_a_tied_table_is_stored_once(vocabulary: int, tmp_path: Path) -> None:
    size = TransformerSize(vocabulary, positions=16, layers=1, width=24, inner=48, heads=3)
    compiled = mho.compile(gpt2(size=size), "ideal256", {"input_ids": tokens(3, 9)}, pipeline=HURRY)
    compiled.save(tmp_path / "gpt2.mho")
    tensors = mho.Compiled.load(tmp_path / "gpt2.mho").program.tensors
    table, matrix = tensors["constant/embedding.token_table"], tensors["matrix/logits"]
    assert np.shares_memory(table, matrix)
    np.testing.assert_array_equal(matrix[0], table.T)
    data = {"input_ids": tokens(3, 9)}
    again = mho.Compiled.load(tmp_path / "gpt2.mho").run(data, effects=Effects.ideal())
    np.testing.assert_array_equal(again["logits"], compiled.run(data, effects=Effects.ideal())["logits"])


def cached_decoder(width: int = 12) -> onnx.ModelProto:
    """One layer of attention over what came before, which goes in as `past` and out as `present` [N, T, width]."""
    net = Builder("cached", seed=5)
    x = net.input("x", ["N", "S", width])
    past = [net.input(f"past_{part}", ["N", "P", width]) for part in ("key", "value")]
    query, key, value = (net.linear(part, x, width, width) for part in ("query", "key", "value"))
    keys, values = (
        net.op("Concat", f"present_{part}", before, fresh, axis=1)
        for part, before, fresh in zip(("key", "value"), past, (key, value), strict=True)
    )
    scores = net.op("MatMul", "scores", query, net.op("Transpose", "columns", keys, perm=[0, 2, 1]))
    mixed = net.op("MatMul", "mixed", net.op("Softmax", "shares", scores, axis=-1), values)
    net.output(net.linear("y", mixed, width, width), ["N", "S", width])
    for present in (keys, values):
        net.output(present, ["N", "T", width])
    return net.model


def numbers(*shape: int) -> Array:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


STATE = {"present_key": "past_key", "present_value": "past_value"}


def test_a_cache_comes_in_and_goes_out() -> None:
    model = cached_decoder()
    data = {"x": numbers(4, 3, 12), "past_key": numbers(4, 6, 12), "past_value": numbers(4, 6, 12)}
    compiled = mho.compile(model, "ideal256", data, pipeline=HURRY)
    check_products(compiled, projections=4, products=2)
    for length in (6, 0, 9):
        data |= {"past_key": numbers(4, length, 12), "past_value": numbers(4, length, 12)}
        found = compiled.run(data, effects=Effects.ideal())
        assert found["present_key"].shape == (4, length + 3, 12)
        assert worst_error(found, reference(model, compiled, data, None)) <= IDEAL_TOLERANCE


def last(value: Any) -> Array:
    """The value behind the last sample, of those that cannot stand in one array."""
    found: Array = value[-1] if isinstance(value, list) else value
    return found


def test_a_cache_that_is_carried_grows_with_each_token(tmp_path: Path) -> None:
    model, text = cached_decoder(), numbers(7, 1, 12)
    empty = {"past_key": np.zeros((1, 0, 12), np.float32), "past_value": np.zeros((1, 0, 12), np.float32)}
    data = {"x": text, **empty}
    compiled = mho.compile(model, "ideal256", data, state=STATE, pipeline=HURRY)
    found = compiled.run(data, effects=Effects.ideal(), state=STATE)
    expected = reference(model, compiled, data, STATE)
    grown, wanted = ({name: last(value) for name, value in outputs.items()} for outputs in (found, expected))
    assert grown["present_key"].shape[-2:] == (7, 12)
    assert worst_error(grown, wanted) <= IDEAL_TOLERANCE
    assert worst_error({"y": found["y"]}, {"y": expected["y"]}) <= IDEAL_TOLERANCE
    onnx.save(model, tmp_path / "cached.onnx")
    file = tmp_path / "cached.onnx"
    validated = compiled.validate(data, output="y", state=STATE, effects=Effects.ideal(), model=file)
    assert validated.runs[0].max_abs_error is not None and validated.runs[0].max_abs_error < 1e-4


def test_a_llama_maps_with_its_cache() -> None:
    llama = pytest.importorskip("mho.examples.llama")
    size = llama.SIZES["tiny"]
    model = llama.llama(size=size)
    cache = (2, size.kv_heads, 3, size.head_width)
    past = {f"past_key_values.{i}.{part}": numbers(*cache) for i in range(size.layers) for part in ("key", "value")}
    ids, places = tokens(2, 4), np.tile(np.arange(3, 7), (2, 1))
    data = {"input_ids": ids, "position_ids": places, "attention_mask": np.ones((2, 7), np.int64), **past}
    compiled = mho.compile(model, "ideal256", data, pipeline=HURRY)
    check_products(compiled, projections=7 * size.layers + 1, products=2 * size.layers)
    found = compiled.run(data, effects=Effects.ideal())
    assert worst_error(found, reference(model, compiled, data, None)) <= IDEAL_TOLERANCE

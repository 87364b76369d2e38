"""Eight convolutional networks: the weights and blocks that the literature counts, and the onnx package's sizes."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.packing import KNOWN, matrices_of, packed
from mho.examples.generate import NETWORKS
from mho.frontend import load_model
from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.pack.pack import Mode, Pack
from mho.pipeline import Pipeline
from mho.stages import Stages
from mho.targets.catalog import load_target

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
Shape = tuple[int, int, int]


def shapes(model: onnx.ModelProto) -> list[Shape]:
    return [(m.rows, m.columns, m.groups) for m in matrices_of(model)]


def light_shapes(name: str) -> list[Shape]:
    """Of a model whose weights are computed by nodes of its own, and whose products are transposed."""
    model = onnx.load(LIGHT / name)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    sizes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inferred.value_info}
    sizes |= {t.name: tuple(t.dims) for t in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            outgoing, *incoming = sizes[node.input[1]]
            groups = next((a.i for a in node.attribute if a.name == "group"), 1)
            found.append((int(np.prod(incoming)) * groups, outgoing, groups))
        elif node.op_type == "Gemm":
            columns, rows = sizes[node.input[1]]
            found.append((rows, columns, 1))
    return found


@pytest.mark.parametrize(
    ("network", "light"),
    [
        ("alexnet", "light_bvlc_alexnet.onnx"),
        ("squeezenet", "light_squeezenet.onnx"),
        ("googlenet", "light_inception_v1.onnx"),
        ("shufflenet", "light_shufflenet.onnx"),
    ],
)
def test_sizes_are_those_of_the_light_models(network: str, light: str) -> None:
    assert shapes(NETWORKS[network](0)) == light_shapes(light)


@pytest.mark.parametrize("name", KNOWN)
def test_volume_and_blocks_are_the_published_ones(name: str) -> None:
    volume, alone, pipelined, sequential = KNOWN[name]
    matrices = matrices_of(NETWORKS[name](0))
    assert ceil(sum(m.weights for m in matrices) / 256**2) == volume
    assert len(packed(matrices, Pack("none")).tiling.tiles) == alone
    if name != "inception-v3":
        assert len(packed(matrices, Pack("pipelined", "free", effort="fast")).tiling.tiles) < (pipelined or alone)
    found = packed(matrices, Pack("sequential", "free")).tiling
    assert len(found.tiles) == found.tiles_lower_bound == volume <= (sequential or alone)


@pytest.mark.parametrize(("name", "pixels"), [("squeezenet", 224), ("shufflenet", 224), ("mobilenet-v2", 224)])
def test_networks_run(name: str, pixels: int) -> None:
    model = NETWORKS[name](0)
    onnx.checker.check_model(model, full_check=True)
    image = np.random.default_rng(0).standard_normal((1, 3, pixels, pixels), dtype=np.float32)
    (logits,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": image})
    assert logits.shape == (1, 1000) and np.isfinite(logits).all() and 1e-4 < logits.std() < 1e4


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "googlenet", "inception-v3"])
def test_larger_networks_are_valid(name: str) -> None:
    model = NETWORKS[name](0)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.output[0]
    assert [d.dim_value or d.dim_param for d in inferred.type.tensor_type.shape.dim] == ["N", 1000]


@pytest.mark.parametrize("mode", ["pipelined", "sequential"])
@pytest.mark.parametrize("name", ["squeezenet", "googlenet"])
def test_the_compiler_packs_what_the_benchmark_packs(name: str, mode: Mode) -> None:
    """The matrices of the lowered network take as many tiles as those that are read off the graph."""
    model = NETWORKS[name](0)
    network = Pipeline().network(load_model(model), load_target("ideal256"), Stages())
    lowered = [Matrix(m.name, Recipe(m.name), m.rows, m.columns, m.groups) for m in network.matrices.values()]
    pack = Pack(mode, effort="fast")
    assert len(packed(lowered, pack).tiling.tiles) == len(packed(matrices_of(model), pack).tiling.tiles)

"""All passes on all trained networks, and the golden text of a small one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import onnx_ir as ir
import pytest

from mho.frontend import load_model
from mho.passes.levels.model import Model
from mho.passes.simplify import (
    FoldConstants,
    InferShapes,
    InlineBranches,
    JoinAffine,
    RemoveDead,
    RemoveIdentities,
    Simplify,
    bind_dimensions,
)


class Golden(Protocol):
    """Compares a text with a kept one."""

    def check(self, name: str, text: str) -> None: ...


NETWORKS = (
    "alibaba-ad-autoencoder",
    "alibaba-vww-mobilenet",
    "all-minilm-l6-v2-f16",
    "autoencoder1d-convtranspose",
    "basic-pitch",
    "byte-sentence-bilstm",
    "cct-2-32-structure",
    "dtln-stage1",
    "fastestdet",
    "mlperf-tiny-autoencoder",
    "mlperf-tiny-dscnn",
    "mlperf-tiny-resnet8",
    "mlperf-tiny-resnet8-int8-qdq",
    "mnist-cnn",
    "mnist-lstm",
    "nemo-int8-dscnn",
    "resnet20-cifar10",
    "resnet20-cifar10-external-data",
    "resnet32-cifar10",
    "silero-vad-16k-fixed",
    "silero-vad-ifless",
    "super-resolution-x3",
    "ultraface-rfb-320",
)


@pytest.mark.shared
@pytest.mark.parametrize("name", NETWORKS)
def test_trained_networks_keep_their_outputs(
    name: str, shared: Path, assert_equal: Callable[[Model, Model], None]
) -> None:
    model = load_model(shared / "models" / name / "model.onnx")
    assert_equal(model, Simplify().run(model))


@pytest.mark.shared
def test_bound_dimensions_keep_the_outputs(shared: Path, assert_equal: Callable[[Model, Model], None]) -> None:
    model = load_model(shared / "models" / "all-minilm-l6-v2-f16" / "model.onnx")
    bound = bind_dimensions(model, {"N": 2, "S": 3})
    assert_equal(bound, Simplify().run(bound))


SMALL = """
small (float[N, 2, 4, 4] x) => (float[N, 3] y)
<float[3, 2, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[3] gamma = {1, 2, 3}, float[3] beta = {0, 1, 2},
 float[3] mean = {0, 0, 1}, float[3] variance = {1, 4, 9}, float two = {2}> {
    [conv] a = Conv(x, w)
    [bn] b = BatchNormalization<epsilon = 0.0>(a, gamma, beta, mean, variance)
    [double] c = Mul(b, two)
    [drop] d = Dropout(c)
    [shape] s = Shape<start = 1, end = 2>(d)
    [minus] m = Constant<value_ints = [-1]>()
    [target] t = Concat<axis = 0>(m, s)
    [pool] p = GlobalAveragePool(d)
    [flat] y = Reshape(p, t)
    [dead] z = Relu(a)
}
"""


def test_golden(parse: Callable[[str], Model], text: Callable[[Model], str], golden: Golden) -> None:
    golden.check("simplify/small.txt", text(Simplify().run(parse(SMALL))))


PASSES = (InferShapes(), FoldConstants(), InlineBranches(), RemoveIdentities(), JoinAffine(), RemoveDead(), Simplify())


@pytest.mark.parametrize("step", PASSES, ids=lambda step: type(step).__name__)
def test_a_pass_never_changes_its_input(
    step: InferShapes, parse: Callable[[str], Model], text: Callable[[Model], str]
) -> None:
    model = parse(SMALL)
    before = text(model)
    step.run(model)
    assert text(model) == before


def test_equal_outputs(parse: Callable[[str], Model], assert_equal: Callable[[Model, Model], None]) -> None:
    model = parse(SMALL)
    assert_equal(model, Simplify().run(model))


def test_simplified_twice_is_simplified_once(parse: Callable[[str], Model], text: Callable[[Model], str]) -> None:
    once = Simplify().run(parse(SMALL))
    assert text(Simplify().run(once)) == text(once)


def test_tensors_are_shared(parse: Callable[[str], Model]) -> None:
    model = parse(SMALL)
    weight = model.ir.graph.initializers["w"].const_value
    assert isinstance(weight, ir.TensorProtocol)
    assert Simplify().run(model).ir.graph.initializers["w"].const_value is weight

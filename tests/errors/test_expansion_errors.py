"""Weight expansions that a model does not allow."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import mho
from mho.examples.builder import Builder
from mho.passes.expand.expand_weights import ExpandWeights
from mho.targets.errors import OptionError
from tests.shell import Shell


def network() -> onnx.ModelProto:
    net = Builder("two")
    x = net.input("x", ["N", 24])
    hidden = net.op("Relu", "relu", net.gemm("dense", x, 24, 24))
    square = net.op("MatMul", "square", hidden, net.op("Transpose", "turned", hidden, perm=[1, 0]))
    net.output(net.op("MatMul", "out", square, hidden), ["N", 24])
    return net.model


def problems(layers: dict[str, float]) -> tuple[str, ...]:
    with pytest.raises(OptionError) as caught:
        mho.compile(network(), "hermes64", pipeline=mho.Pipeline(expand=ExpandWeights(layers)))
    return tuple(caught.value.problems)


def test_a_factor_out_of_its_range() -> None:
    assert problems({"dense": 17}) == ("expand.layers (--expand) dense = 17: a factor is at least 1 and at most 16",)
    assert problems({"dense": float("nan")})[0].endswith("dense = nan: a factor is at least 1 and at most 16")


def test_a_node_that_the_model_has_not_and_all_other_problems() -> None:
    assert problems({"dense1": 0.5, "relu": 2}) == (
        "expand.layers (--expand) dense1 = 0.5: a factor is at least 1 and at most 16",
        "expand.layers (--expand) dense1 = 0.5: the model has no such node; did you mean dense?",
        "expand.layers (--expand) relu = 2: it is a Relu; weights of Conv, GRU, Gemm, LSTM, MatMul, RNN are expanded",
    )


def test_a_node_without_constant_weights() -> None:
    assert problems({"square": 2}) == (
        "expand.layers (--expand) square = 2: the weights of this MatMul are not constant, or are not its second input",
    )


def test_a_random_matrix_that_is_too_large() -> None:
    net = Builder("wide")
    net.output(net.gemm("dense", net.input("x", ["N", 5000]), 5000, 2), ["N", 2])
    with pytest.raises(OptionError) as caught:
        mho.compile(net.model, "hermes64", pipeline=mho.Pipeline(expand=ExpandWeights({"dense": 16})))
    assert caught.value.problems == (
        "expand.layers (--expand) dense = 16: its random matrix would have 400,000,000 elements; "
        "at most 268,435,456 are made",
    )


def test_the_command_line_says_it_in_a_sentence(run: Shell, tmp_path: Path) -> None:
    onnx.save_model(network(), tmp_path / "two.onnx")
    found = run("compile", tmp_path / "two.onnx", "-t", "hermes64", "--expand", "dens=2")
    assert (found.code, found.err) == (
        2,
        "mho: expand.layers (--expand) dens = 2: the model has no such node; did you mean dense?\n",
    )
    assert run("compile", "two.onnx", "-t", "hermes64", "--expand", "dense").code == 2
    assert not (tmp_path / "two.mho").exists()

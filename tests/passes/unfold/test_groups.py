"""Grouped convolutions: which form is taken, what is said of it, and what is left digital."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest

from mho.examples.builder import Builder
from mho.passes.levels.matrix import evaluate
from mho.passes.levels.network import Network
from mho.passes.lower import Lower
from mho.passes.lower.rule import Declined
from mho.passes.pack.pack import Mode, Pack
from mho.passes.unfold.figures import Bench
from mho.passes.unfold.groups import CHEAPER, TOO_EMPTY, ChooseGroups, Form, whole
from mho.passes.verify.network import verify_network
from mho.targets.errors import OptionError
from mho.targets.steps import Analog, Digital
from mho.targets.target import Costs, Target
from tests.passes.conftest import import_model
from tests.passes.unfold.networks import bench, machine

DEPTHWISE, HALVES = (8, 8, 8), (300, 200, 2)
"""Channels in, channels out and groups: small groups, and groups that are larger than an array of 256 × 256."""


def model(shape: tuple[int, int, int], kernel: int = 1) -> onnx.ModelProto:
    incoming, outgoing, groups = shape
    net = Builder("net")
    x = net.input("x", ["N", incoming, 4, 4])
    weight = net.weight("w", outgoing, incoming // groups, kernel, kernel, fan_in=incoming)
    net.output(net.op("Conv", "conv", x, weight, group=groups), ["N", outgoing, "H", "W"])
    return net.model


def chosen(
    shape: tuple[int, int, int], options: ChooseGroups, target: Target, kernel: int = 1, packing: Mode = "pipelined"
) -> Network:
    imported = import_model(model(shape, kernel))
    lower = Lower()
    found = options.run(lower.run(imported), bench(target, packing), partial(lower.run, imported))
    assert verify_network(found) == ()
    return found


def test_whole_groups_share_blocks_by_default() -> None:
    network = chosen(DEPTHWISE, ChooseGroups(), machine(64, 64), kernel=3)
    assert network.matrices["conv"].groups == 8
    (decision,) = network.decisions
    assert decision.unit == "analog"
    assert decision.because == (
        "constant weights, whole groups in a block: 72 × 8 in 8 groups: block-diagonal 2 tiles, 4 fires, 8 MVMs, 288 "
        "words in, 0.879 % of the cells; dense 2 tiles, 4 fires, 8 MVMs, 288 words in, 0.879 % of the cells; digital "
        "36 passes of a digital unit, whose time is not published"
    )


def test_groups_larger_than_an_array_are_dense_where_that_needs_fewer_tiles() -> None:
    # Two groups of 300 × 100: two row blocks each, or 600 × 200 in three blocks.
    shape = (600, 200, 2)
    network = chosen(shape, ChooseGroups(), machine(256, 256))
    assert (network.matrices["conv"].groups, network.matrices["conv"].zeros) == (1, 60_000)
    assert "block-diagonal 4 tiles" in network.decisions[0].detail and "dense 3 tiles" in network.decisions[0].detail
    # In any arrangement, the blocks of 150 × 100 stand two by one in a tile.
    assert chosen(shape, ChooseGroups(), machine(256, 256), packing="sequential").matrices["conv"].groups == 2


@dataclass(frozen=True)
class Crowded(Bench):
    """A machine on which nothing that one layer saves saves the network a tile."""

    def tiles(self, network: Network) -> int:
        return 7


def test_dense_matrices_must_save_the_packed_network_a_tile() -> None:
    lower, imported = Lower(), import_model(model((600, 200, 2)))
    crowded = Crowded(machine(256, 256), Pack(mode="pipelined"))
    for options, groups in ((ChooseGroups(), 2), (ChooseGroups(grouped="dense"), 1)):
        network = options.run(lower.run(imported), crowded, partial(lower.run, imported))
        assert network.matrices["conv"].groups == groups


def test_a_dense_matrix_is_the_block_diagonal_one_with_zeros() -> None:
    network = chosen((6, 9, 3), ChooseGroups(), machine(64, 64))
    matrix = network.matrices["conv"]
    source = network.tensors[matrix.recipe.tensor]
    apart, together = evaluate(matrix.recipe, source), evaluate(whole(matrix).recipe, source)
    assert together.shape == (1, 6, 9)
    expected = np.zeros((6, 9), np.float32)
    for group in range(3):
        expected[2 * group : 2 * group + 2, 3 * group : 3 * group + 3] = apart[group]
    np.testing.assert_array_equal(together[0], expected)
    assert together.dtype == apart.dtype


FAST = Costs(mvm_latency_ns=1000, mvm_energy_nj=100, digital_latency_ns=10, digital_energy_nj=1)


@pytest.mark.parametrize(
    ("costs", "digital"),
    [
        ({}, True),
        ({"digital_latency_ns": 200}, False),
        ({"digital_energy_nj": 50}, False),
        ({"digital_energy_nj": None}, False),
        ({"mvm_energy_nj": None}, False),
    ],
)
def test_it_leaves_the_tiles_only_where_published_figures_are_better_in_time_and_energy(
    costs: Mapping[str, Any], digital: bool
) -> None:
    network = chosen(DEPTHWISE, ChooseGroups(), machine(256, 256, replace(FAST, **costs)), kernel=3)
    (step,) = network.steps
    assert isinstance(step, Digital if digital else Analog)
    if digital:
        (decision,) = network.decisions
        assert (decision.reason, decision.remedy) == (CHEAPER, "give --grouped block-diagonal")
        assert "digital 36 passes of a digital unit, 360 ns" in decision.detail


def test_the_user_may_say_how_empty_tiles_may_be() -> None:
    network = chosen(DEPTHWISE, ChooseGroups(digital_below=0.01), machine(256, 256), kernel=3)
    assert isinstance(network.steps[0], Digital)
    assert network.decisions[0].reason == TOO_EMPTY
    assert isinstance(chosen(HALVES, ChooseGroups(digital_below=0.01), machine(256, 256)).steps[0], Analog)


@pytest.mark.parametrize("named", ["grouped", "grouped_of"])
def test_the_form_may_be_asked_for(named: str) -> None:
    def asked(form: Form) -> Network:
        options = ChooseGroups(grouped=form) if named == "grouped" else ChooseGroups(grouped_of={"conv": form})
        return chosen(DEPTHWISE, options, machine(64, 64))

    assert asked("dense").matrices["conv"].groups == 1
    assert asked("block-diagonal").matrices["conv"].groups == 8
    assert isinstance(asked("digital").steps[0], Digital)


def test_a_name_that_is_no_grouped_convolution() -> None:
    with pytest.raises(OptionError) as caught:
        chosen(DEPTHWISE, ChooseGroups(grouped_of={"dense": "dense", "x": "digital"}), machine(64, 64))
    assert caught.value.problems == (
        "group.grouped_of names dense, which is no grouped convolution on tiles; there are conv",
        "group.grouped_of names x, which is no grouped convolution on tiles; there are conv",
    )


def test_other_layers_stay_as_they_are() -> None:
    lower, imported = Lower(), import_model(model((4, 6, 1)))
    network = lower.run(imported)

    def never(left: Mapping[str, Declined]) -> Network:
        raise AssertionError(left)

    assert ChooseGroups(grouped="digital").run(network, bench(machine(64, 64), "none"), never) == network

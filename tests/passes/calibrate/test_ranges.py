from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from mho.passes.calibrate.full_scale import Rule
from mho.passes.calibrate.ranges import STRIP, SetRanges, dac_inputs, strip_sums, strips
from mho.passes.levels.network import Calibrated
from mho.passes.replicate.replicate import Replicate
from mho.passes.tile.tile import Tile, blocks_of
from mho.targets.target import Converter, WeightScale
from tests.passes.tilings import Shape, calibrated, machine

RULES: tuple[Rule, ...] = ("mse", "percentile", "max")


@pytest.mark.parametrize("scale", ["column", "tile"])
def test_the_largest_sum_is_the_range_of_the_rule_max(scale: WeightScale) -> None:
    network = calibrated([Shape(90, 40)], vectors=50)
    tiling = Tile().run(network, machine(64, 64, scale=scale))
    ranges = SetRanges("max").run(tiling).adc_ranges
    inputs = network.layers["l0"].sample.astype(np.float64) / 2
    weights = network.network.tensors["m0"].numpy()[0].astype(np.float64)
    for block in tiling.blocks:
        part = weights[slice(*block.rows), slice(*block.columns)]
        largest = np.abs(part).max(axis=0) if scale == "column" else np.abs(part).max()
        sums = inputs[:, slice(*block.rows)] @ (part / largest)
        assert ranges["l0", block.number] == pytest.approx(np.abs(sums).max(), rel=2**-11)


def test_a_matrix_that_is_read_only_stays_as_it_is() -> None:
    stored = np.full((1, 4, 2), 3, np.float32)
    stored.setflags(write=False)
    (sums,) = strip_sums(stored, [((0, 4), (0, 2))], np.ones((1, 4), np.float32), "column")
    assert sums.tolist() == [[4.0, 4.0]]
    assert sums.dtype == np.float32


def test_blocks_before_one_converter_are_summed_and_scaled_together() -> None:
    network = calibrated([Shape(120, 10)], vectors=50)
    ranges = SetRanges("max").run(Tile().run(network, machine(64, 64, analog_rows=128))).adc_ranges
    whole = SetRanges("max").run(Tile().run(network, machine(128, 64))).adc_ranges
    assert ranges["l0", 0] == ranges["l0", 1] == pytest.approx(whole["l0", 0], rel=1e-6)


def test_replicas_have_equal_ranges() -> None:
    tiling = Replicate(2).run(Tile().run(calibrated([Shape(100, 10)]), machine(64, 64)))
    ranges = SetRanges().run(tiling).adc_ranges
    assert ranges["l0", 0] == ranges["l0", 2] and ranges["l0", 1] == ranges["l0", 3]
    assert ranges["l0", 0] != ranges["l0", 1]


def test_inputs_beyond_the_dac_are_clipped() -> None:
    network = calibrated([Shape(10, 4)])
    seen = replace(network.layers["l0"], sample=np.full((3, 10), -7, np.float32))
    assert (dac_inputs(seen, 10) == -1).all()


def test_a_fixed_range_is_the_machines() -> None:
    tiling = Tile().run(calibrated([Shape(100, 10)]), machine(64, 64, adc=Converter(bits=8, range=10.0)))
    assert SetRanges().run(tiling).adc_ranges == {("l0", 0): 10.0, ("l0", 1): 10.0}


@pytest.mark.parametrize("rule", RULES)
def test_silent_and_unseen_layers_have_ranges(rule: Rule) -> None:
    network = calibrated([Shape(10, 4), Shape(10, 4)])
    silent = replace(network.layers["l0"], sample=np.zeros((3, 10), np.float32))
    unseen = replace(network.layers["l1"], sample=np.zeros((0, 1), np.float32))
    tiling = Tile().run(Calibrated(network.network, {"l0": silent, "l1": unseen}), machine())
    ranges = SetRanges(rule).run(tiling).adc_ranges
    assert ranges["l0", 0] == 1.0
    assert 0.5 < ranges["l1", 1] < 10


def test_sums_of_grouped_matrices_see_their_own_inputs() -> None:
    network = calibrated([Shape(36, 8, groups=4, kernel=9)], vectors=5)
    stored = network.network.tensors["m0"].numpy()
    block = blocks_of(network.network.matrices["m0"], machine(32, 32).crossbar, 9)[1]
    inputs = dac_inputs(network.layers["l0"], 36)
    (sums,) = strip_sums(stored, [(block.rows, block.columns)], inputs, "column")
    for offset, column in enumerate(range(*block.columns)):
        weights = stored[column // 2, :, column % 2]
        own = inputs[:, column // 2 * 9 : column // 2 * 9 + 9] @ (weights / np.abs(weights).max())
        assert sums[:, offset] == pytest.approx(own, abs=1e-5)


def test_mse_clips_what_is_rare() -> None:
    network = calibrated([Shape(20, 4)], vectors=400)
    sample = network.layers["l0"].sample * np.float32(0.05)
    sample[0] = np.where(network.network.tensors["m0"].numpy()[0, :, 0] > 0, 2, -2)
    seen = {"l0": replace(network.layers["l0"], sample=sample)}
    few_bits = machine(adc=Converter(bits=4))
    tiling = Tile().run(Calibrated(network.network, seen), few_bits)
    ranges = {rule: SetRanges(rule).run(tiling).adc_ranges["l0", 0] for rule in RULES}
    assert ranges["mse"] < 0.8 * ranges["max"]


def test_strips_join_neighbours_of_equal_rows() -> None:
    slots = [((0, 4), (0, 4)), ((4, 8), (0, 4)), ((0, 4), (4, 7)), ((4, 8), (5, 8))]
    assert list(strips(slots)) == [[slots[0], slots[2]], [slots[1]], [slots[3]]]
    wide = [((0, 4), (start, start + 256)) for start in range(0, 2 * STRIP, 256)]
    assert [len(strip) for strip in strips(wide)] == [STRIP // 256] * 2
    assert list(strips([])) == []


@pytest.mark.parametrize("scale", ["column", "tile"])
def test_a_strip_sums_what_its_blocks_do(scale: Literal["column", "tile"]) -> None:
    random = np.random.default_rng(4)
    stored, inputs = random.standard_normal((1, 8, 12)), random.standard_normal((5, 8)).astype(np.float32)
    slots = [((2, 8), (0, 5)), ((2, 8), (5, 12))]
    together = list(strip_sums(stored, slots, inputs, scale))
    for slot, sums in zip(slots, together, strict=True):
        (alone,) = strip_sums(stored, [slot], inputs, scale)
        np.testing.assert_allclose(sums, alone, rtol=1e-5, atol=1e-5)

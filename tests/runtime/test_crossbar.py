"""Blocks hold the stored matrix, whatever the cut; devices belong to matrix and slice, noise to layer and fire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.crossbar import ProgrammedBlock, largest_weights, output_noise, program_blocks
from mho.runtime.effects import Conditions, Effects
from mho.targets.catalog import load_target
from mho.targets.isa import Load
from mho.targets.mapping import CostFacts, MappingFacts
from mho.targets.program import Manifest, Program

IDEAL = Conditions(effects=Effects.ideal(), time_s=86400.0)
YEAR = Conditions(time_s=365 * 86400.0)


def program_of(target: str, **matrices: NDArray[Any]) -> Program:
    """A program that holds stored matrices and nothing else."""
    costs = CostFacts(latency_ns=None, interval_ns=None, energy_nj=None, excluded=(), layers_ns={}, layers_nj={})
    return Program(
        manifest=Manifest(mho="0", versions={}, model="", model_digest="", options={}, seed=0),
        target=load_target(target),
        inputs=(),
        outputs=(),
        matrices=(),
        layers=(),
        decisions=(),
        sequence=(),
        cores=(),
        mapping=MappingFacts(tiles_lower_bound=0, chips=1, grid=(1, 1), solvers=(), links=(), schedule=(), costs=costs),
        tensors={f"matrix/{name}": matrix for name, matrix in matrices.items()},
    )


def random_matrix(rows: int, columns: int) -> NDArray[np.float32]:
    return np.random.default_rng(rows).normal(0, 0.3, (1, rows, columns)).astype(np.float32)


def load_of(rows: tuple[int, int], columns: tuple[int, int], **changes: object) -> Load:
    plain = Load(block=0, matrix="m", replica=0, rows=rows, columns=columns, scale_rows=rows)
    return replace(plain, **changes)  # type: ignore[arg-type]


def program_block(program: Program, load: Load, conditions: Conditions) -> ProgrammedBlock:
    return program_blocks(program, (load,), conditions)[load.block]


@pytest.mark.parametrize("target", ["ideal256", "hermes64", "analog34"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_ideal_blocks_are_the_stored_matrix(target: str, dtype: type[np.float32] | type[np.float16]) -> None:
    stored: NDArray[Any] = random_matrix(40, 30).astype(dtype)
    stored[0, :, 7] = 0
    stored.setflags(write=False)
    block = program_block(program_of(target, m=stored), load_of((3, 21), (5, 30)), IDEAL)
    assert block.weights.dtype == block.scale.dtype == np.float32
    assert np.abs(block.weights).max() == 1
    assert block.weights * block.scale == pytest.approx(stored[0, 3:21, 5:30].astype(np.float32), rel=3e-7)


def test_the_whole_matrix_is_not_changed_by_programming() -> None:
    stored = random_matrix(8, 8)
    before = stored.copy()
    program_block(program_of("hermes64", m=stored), load_of((0, 8), (0, 8)), YEAR)
    assert np.array_equal(stored, before)


def test_devices_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of("hermes64", m=random_matrix(300, 900))
    loads = [
        load_of((row, row + 100), (column, column + 300), block=row + column)
        for row in (0, 100, 200)
        for column in (0, 300, 600)
    ]
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(program_blocks(program, loads, YEAR))
    for other in found[1:]:
        assert list(other) == list(found[0])
        for number, block in found[0].items():
            assert np.array_equal(block.weights, other[number].weights)
            assert np.array_equal(block.scale, other[number].scale)


def test_groups_are_dense_with_zeros_between() -> None:
    stored = np.arange(1, 17, dtype=np.float32).reshape(4, 2, 2)
    block = program_block(program_of("ideal256", m=stored), load_of((1, 6), (0, 5)), IDEAL)
    dense = np.zeros((8, 8), np.float32)
    for group in range(4):
        dense[2 * group : 2 * group + 2, 2 * group : 2 * group + 2] = stored[group]
    assert block.weights * block.scale == pytest.approx(dense[1:6, 0:5])


def test_scale_a_column_and_a_tile() -> None:
    weights = np.array([[1, -2, 0], [-4, 1, 0]], np.float32)
    assert np.array_equal(largest_weights(weights, "column"), [4, 2, 1])
    assert np.array_equal(largest_weights(weights, "tile"), [4, 4, 4])
    assert np.array_equal(largest_weights(0 * weights, "tile"), [1, 1, 1])


def test_scale_rows_reach_beyond_the_block() -> None:
    stored = random_matrix(20, 6)
    program = program_of("analog34", m=stored)
    loads = [load_of((0, 12), (0, 6), scale_rows=(0, 20)), load_of((12, 20), (0, 6), scale_rows=(0, 20), block=1)]
    for conditions in (IDEAL, YEAR):
        together = program_blocks(program, loads, conditions)
        assert np.array_equal(together[0].scale, together[1].scale)
        for load in loads:
            alone = program_block(program, load, conditions)
            assert np.array_equal(alone.weights, together[load.block].weights)
            assert np.array_equal(alone.scale, together[load.block].scale)
    ideal = program_blocks(program, loads, IDEAL)
    assert np.array_equal(ideal[0].scale, np.abs(stored[0]).max(axis=0))
    both = np.concatenate([ideal[0].weights, ideal[1].weights]) * ideal[0].scale
    assert both == pytest.approx(stored[0], rel=3e-7)


def test_devices_belong_to_matrix_replica_and_slice() -> None:
    stored = random_matrix(20, 6)
    program = program_of("hermes64", m=stored, other=stored)
    here = program_block(program, load_of((0, 10), (0, 6)), YEAR).weights
    moved = load_of((0, 10), (0, 6), block=9, row_offset=100, column_offset=50)
    assert np.array_equal(here, program_block(program, moved, YEAR).weights)
    for other in (
        load_of((0, 10), (0, 6), replica=1),
        load_of((0, 10), (0, 6), matrix="other"),
    ):
        assert not np.array_equal(here, program_block(program, other, YEAR).weights)
    ideal = program_block(program, load_of((0, 10), (0, 6), replica=1), IDEAL).weights
    assert np.abs(here - ideal).max() < 0.6


def test_compensation_is_digital() -> None:
    """It changes the scale behind the converter and leaves the drifted weights as they are."""
    program = program_of("hermes64", m=random_matrix(200, 100))
    load = load_of((0, 200), (0, 100))
    on = program_block(program, load, YEAR)
    off = program_block(program, load, replace(YEAR, effects=Effects(compensation=False)))
    machine = replace(program.target, device=replace(program.target.device, compensation="none"))
    without = program_block(replace(program, target=machine), load, YEAR)
    assert np.array_equal(on.weights, off.weights) and np.array_equal(on.weights, without.weights)
    assert np.array_equal(off.scale, without.scale)
    factors = on.scale / off.scale
    assert factors.min() > 1.3 and np.ptp(factors) < 1e-6
    ideal = program_block(program, load, IDEAL)
    stored = ideal.weights * ideal.scale
    assert abs(np.vdot(on.weights * on.scale, stored) / np.vdot(stored, stored) - 1) < 0.08
    assert np.vdot(off.weights * off.scale, stored) / np.vdot(stored, stored) < 0.75


def test_output_noise() -> None:
    target, fires = load_target("hermes64"), np.arange(3000)
    noise = output_noise(target, Conditions(), "conv1", 3, fires, 100)
    assert noise is not None and noise.shape == (3000, 100) and noise.dtype == np.float32
    assert float(noise.std(dtype=np.float64)) == pytest.approx(0.04, rel=0.01)
    part = output_noise(target, Conditions(time_s=5.0), "conv1", 3, fires[1000:1010], 100)
    assert part is not None and np.array_equal(part, noise[1000:1010])
    for conditions, layer, block in (
        (Conditions(seed=1), "conv1", 3),
        (Conditions(), "conv2", 3),
        (Conditions(), "conv1", 4),
    ):
        other = output_noise(target, conditions, layer, block, fires, 100)
        assert other is not None
        assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(noise.size)


def test_no_output_noise_where_off_or_absent() -> None:
    fires = np.arange(3)
    assert output_noise(load_target("hermes64"), Conditions(effects=Effects.quantised()), "l", 0, fires, 4) is None
    assert output_noise(load_target("ideal256"), Conditions(), "l", 0, fires, 4) is None


def test_conditions_choose_the_compensation() -> None:
    program = program_of("hermes64", m=random_matrix(40, 30))
    load = load_of((0, 40), (0, 30))
    scales = {
        kind: program_block(program, load, replace(YEAR, compensation=kind)).scale
        for kind in (None, "none", "global", "column")
    }
    np.testing.assert_array_equal(scales[None], scales["global"])
    assert np.ptp(scales["global"] / scales["none"]) < 1e-6 < np.ptp(scales["column"] / scales["none"])
    assert (scales["column"] / scales["none"]).min() > 1

"""Stuck cells of a fault map reach the weights that lie on them, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.crossbar import pairs_of, program_blocks
from mho.runtime.effects import Conditions, Effects
from mho.targets.errors import ProgramError
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.isa import CoreProgram, Load, Site
from mho.targets.program import Program
from mho.targets.target import Crossbar, Device, DeviceModel, Target
from tests.runtime.test_crossbar import program_of

HERE, THERE = Site(chip=0, x=0, y=0), Site(chip=0, x=1, y=0)
FAULTS = Conditions(effects=replace(Effects.ideal(), faults=True))


def machine(significance: tuple[float, ...] = (1.0,), devices: int = 2, model: DeviceModel = "pcm") -> Target:
    crossbar = Crossbar(rows=16, columns=12, devices_per_weight=devices, weight_scale="column")
    return Target(name="m", title="m", crossbar=crossbar, device=Device(model=model, significance=significance))


def load_of(block: int = 0, rows: tuple[int, int] = (0, 4), **changes: Any) -> Load:
    plain = Load(block=block, matrix="m", replica=0, rows=rows, columns=(0, 3), scale_rows=rows)
    return replace(plain, **changes)


def program(target: Target, stuck: tuple[StuckCell, ...], *loads: Load, **dead: Any) -> Program:
    """The first load stands here, where the faults are, the second there."""
    cores = tuple(
        CoreProgram(site=site, loads=(load,), kernels=()) for site, load in zip((HERE, THERE), loads, strict=False)
    )
    weights = np.full((1, 10, 3), 0.5, np.float32)
    faults = FaultMap(tiles=(TileFaults(site=HERE, stuck=stuck, **dead),))
    return replace(program_of("ideal256", m=weights), target=target, cores=cores, faults=faults)


def changed(found: NDArray[np.float32]) -> dict[tuple[int, int], float]:
    """Weights that are not 1, the largest of their column."""
    return {(int(i), int(j)): float(found[i, j]) for i, j in np.argwhere(np.abs(found - 1) > 1e-6)}


def cell(row: int, column: int, polarity: Any = "+", level: Any = "low") -> StuckCell:
    return StuckCell(row=row, column=column, polarity=polarity, level=level)


@pytest.mark.parametrize("model", ["pcm", "ideal"])
def test_a_cell_is_found_by_its_physical_place(model: DeviceModel) -> None:
    load = load_of(row_offset=5, column_offset=2)
    stuck = (cell(6, 3), cell(8, 4, "-", "high"), cell(7, 2, "+", "high"), cell(4, 2), cell(9, 2), cell(6, 5))
    block = program_blocks(program(machine(model=model), stuck, load), [load], FAULTS)[0]
    assert changed(block.weights) == {(1, 1): 0.0, (3, 2): 0.0}
    off = program_blocks(program(machine(model=model), stuck, load), [load], Conditions(effects=Effects.ideal()))[0]
    assert changed(off.weights) == {}


def test_dead_lines_move_blocks_along() -> None:
    load = load_of(row_offset=1, column_offset=2)
    stuck = (cell(2, 4), cell(6, 5), cell(3, 3), cell(5, 4))
    found = program(machine(), stuck, load, rows=(0, 5), columns=(3,))
    assert changed(program_blocks(found, [load], FAULTS)[0].weights) == {(0, 1): 0.0, (3, 2): 0.0}


def test_only_the_tile_that_is_listed() -> None:
    here, there = load_of(), load_of(1, (4, 8))
    found = program_blocks(program(machine(), (cell(0, 0),), here, there), [here, there], FAULTS)
    assert changed(found[0].weights) == {(0, 0): 0.0} and changed(found[1].weights) == {}


def test_blocks_that_add_their_charge_are_programmed_as_one() -> None:
    here, there = load_of(scale_rows=(0, 8)), load_of(1, (4, 8), scale_rows=(0, 8))
    whole = program(machine(), (cell(1, 2),), here, there)
    conditions = Conditions(compensation="global", time_s=3600.0)
    together = program_blocks(whole, [here, there], conditions)
    for load in (here, there):
        alone = program_blocks(whole, [load], conditions)[load.block]
        assert np.array_equal(alone.weights, together[load.block].weights)
        assert np.array_equal(alone.scale, together[load.block].scale)
    assert changed(program_blocks(whole, [there], FAULTS)[1].weights) == {}
    flipped = program(machine(), (cell(1, 2),), load_of(0, (4, 8), scale_rows=(0, 8)), load_of(1, scale_rows=(0, 8)))
    last = load_of(0, (4, 8), scale_rows=(0, 8))
    assert changed(program_blocks(flipped, [last], FAULTS)[0].weights) == {(1, 2): 0.0}


def test_a_cell_is_all_pairs_and_copies_of_a_polarity() -> None:
    target = machine((1.0, 3.0), 8)
    target = replace(target, crossbar=replace(target.crossbar, balanced_reads=True))
    load = load_of()
    found = program_blocks(program(target, (cell(0, 1), cell(2, 0, "-", "high")), load), [load], FAULTS)[0]
    assert changed(found.weights) == {(0, 1): 0.0, (2, 0): 0.0}


def test_weights_of_fewer_devices_share_a_cell() -> None:
    """A cell of four devices is two weights of two."""
    load = load_of(devices=2)
    found = program_blocks(program(machine((1.0, 1.0), 4), (cell(1, 0), cell(2, 1)), load), [load], FAULTS)[0]
    assert changed(found.weights) == {(1, 0): 0.0, (1, 1): 0.0, (2, 2): 0.0}


def test_a_weight_of_more_devices_loses_a_pair() -> None:
    """A cell of two devices is one of two pairs; the pairs of a weight of 1 hold half of it each."""
    load = load_of(devices=4)
    found = program_blocks(program(machine(), (cell(1, 0), cell(2, 3)), load), [load], FAULTS)[0]
    assert changed(found.weights) == {(1, 0): 0.5, (2, 1): 0.5}


def test_blocks_beyond_the_lines_that_are_left() -> None:
    load = load_of(row_offset=12)
    with pytest.raises(ProgramError, match="block 0 reaches beyond the 15 lines that are not dead"):
        program_blocks(program(machine(), (cell(0, 0),), load, rows=(3,)), [load], FAULTS)


def test_pairs_of_other_numbers_of_devices() -> None:
    assert pairs_of(machine((1.0, 1.0), 4), load_of()) == (1.0, 1.0)
    assert pairs_of(machine((1.0, 1.0), 4), load_of(devices=4)) == (1.0, 1.0)
    assert pairs_of(machine((1.0, 1.0), 4), load_of(devices=2)) == (1.0,)
    assert pairs_of(machine(), load_of(devices=6)) == (1.0, 1.0, 1.0)
    assert pairs_of(machine((3.0, 1.0), 4, "ideal"), load_of(devices=3)) == (3.0, 1.0)
    for target, devices in (
        (machine((1.0, 1.0), 4), 3),
        (machine((1.0, 3.0), 4), 2),
        (machine((1.0,), 4), 2),
        (machine((1.0,), 4, "hermes-two-device"), 8),
    ):
        with pytest.raises(ProgramError, match=f"block 0: {devices} devices cannot make a weight where 4 devices"):
            pairs_of(target, load_of(devices=devices))


def test_a_crossbar_without_size_has_its_cells_too() -> None:
    target = replace(machine(), crossbar=Crossbar(weight_scale="column"))
    load = load_of()
    assert changed(program_blocks(program(target, (cell(3, 1),), load), [load], FAULTS)[0].weights) == {(3, 1): 0.0}

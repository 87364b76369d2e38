from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.partition.partition import PartitionChips
from mho.targets.errors import FitError
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, tiling
from tests.plans import compile_model, machine_of, parse


def network(mesh: Mesh, analog: bool = False) -> Tiling:
    return tiling(chain((16, 16), (16, 8), (8, 8), (8, 4)), machine(mesh), analog=analog)


def problem(tiled: Tiling, chips: int | None = None, tiles: int | None = None) -> str:
    with pytest.raises(FitError) as caught:
        PartitionChips(chips=chips, tiles=tiles, effort="fast").run(Ranged(tiled, {}))
    return str(caught.value)


LAYERS = (
    "Tiles saved by leaving a layer digital (--digital LAYER), or by less of it; * is enough: "
    "l0 16* (4 with 12 of its 16 rows), l1 8 (2 with 12 of its 16 rows), l2 4 (2 with 4 of its 8 rows), "
    "l3 2 (1 with 4 of its 8 rows)."
)


def test_too_few_chips_allowed() -> None:
    assert problem(network(Mesh(tiles=8)), chips=2).splitlines() == [
        "The network needs 30 tiles, but 2 chips of bench with 8 tiles each are allowed: 14 tiles too many; 4 chips "
        "would do.",
        "Each of these is enough: --chips 4 (room for 32 tiles); --allow-reload (30 tiles in turn on 16, 14.02 "
        "rewritten an inference).",
        LAYERS,
    ]


def test_one_tile_too_many_for_one_chip() -> None:
    assert problem(network(Mesh(tiles=29)), chips=1).splitlines() == [
        "The network needs 30 tiles, but 1 chip of bench with 29 tiles is allowed: 1 tile too many; 2 chips would do.",
        "Each of these is enough: --chips 2 (room for 58 tiles); --allow-reload (30 tiles in turn on 29, 1.03 "
        "rewritten an inference).",
        "Tiles saved by leaving a layer digital (--digital LAYER), or by less of it; * is enough: "
        "l0 16* (4* with 12 of its 16 rows), l1 8* (2* with 12 of its 16 rows), l2 4* (2* with 4 of its 8 rows), "
        "l3 2* (1* with 4 of its 8 rows).",
    ]


def test_more_tiles_than_the_user_allows() -> None:
    assert problem(network(Mesh()), tiles=20).splitlines() == [
        "The network needs 30 tiles, but 20 are allowed: 10 tiles too many.",
        "Each of these is enough: --tiles 30; --allow-reload (30 tiles in turn on 20, 10.02 rewritten an inference).",
        LAYERS,
    ]


def test_all_limits_are_reported_together() -> None:
    told = problem(network(Mesh(tiles=8)), chips=2, tiles=20).splitlines()
    assert "4 chips would do" in told[0] and "10 tiles too many" in told[1]
    assert told[2].startswith("Each of these is enough: --chips 4 --tiles 30 (room for 32 tiles); --allow-reload (")
    assert len(told) == 4


def test_remedies_that_help_too_little_come_last() -> None:
    copies = tiling(chain((16, 16), (4, 2), (2, 2)), machine(Mesh(tiles=8)), replicas={"l0": 2, "l1": 2, "l2": 2})
    told = problem(copies, chips=1).splitlines()
    assert told[1].startswith("Each of these is enough: --chips 5 (room for 40 tiles); --allow-reload (")
    assert told[2] == (
        "These help, but not enough: --pack pipelined (35 tiles, 27 too many); --pack sequential (34 tiles, 26 too "
        "many); --replicate 1 (18 tiles, 10 too many); --pack sequential --replicate 1 (17 tiles, 9 too many)."
    )


def test_what_is_enough_is_told_first() -> None:
    small = tiling(chain((2, 2), (2, 2), (2, 2), (2, 2)), machine(Mesh(tiles=1)))
    told = problem(small, chips=1).splitlines()
    assert told[1].startswith("Each of these is enough: --pack sequential (1 tile); --chips 4 (room for 4 tiles); ")
    assert told[2] == "This helps, but not enough: --pack pipelined (2 tiles, 1 too many)."


def test_fewer_devices_a_weight_are_tried() -> None:
    target = machine(Mesh(tiles=3))
    choice = replace(target, crossbar=replace(target.crossbar, devices_per_weight=4, devices_choices=(2,)))
    told = problem(tiling(chain((4, 8), (4, 8)), choice), chips=1).splitlines()
    assert told[1].startswith("Each of these is enough: --devices 2 (2 tiles); --chips 2 (room for 6 tiles); ")


def test_charge_before_one_converter_is_not_reloaded() -> None:
    assert "--allow-reload" not in problem(network(Mesh(tiles=5), analog=True), chips=1)


def test_a_converter_group_larger_than_a_chip() -> None:
    assert problem(network(Mesh(tiles=3), analog=True)) == (
        "4 tiles add their charge before one converter and need one chip, but a chip of bench has 3 tiles. Lower "
        "crossbar.analog_rows of the machine."
    )


def test_cores_whose_buffers_are_too_small() -> None:
    """One core adds up the sums of another; the rows are cut in two of 10."""
    model = parse(
        "g (float[N, 20] x) => (float[N, 6] y) <float[20, 6] w> { y = MatMul(x, w) }", w=np.ones((20, 6), np.float32)
    )
    target = machine_of(rows=10)
    samples = {"x": np.ones((2, 20), np.float32)}
    roomy = replace(target, core=replace(target.core, buffer_words=38))
    assert max(core.memory.words for core in compile_model(model, samples, roomy).cores if core.memory) == 38
    with pytest.raises(FitError) as caught:
        compile_model(model, samples, replace(target, core=replace(target.core, buffer_words=36)))
    assert str(caught.value) == (
        "1 of 2 cores need more buffer than core.buffer_words = 36; the most is 38 words (inputs 20, sums 6, arriving "
        "partial sums 6, outputs 6) in core 0:0,0 with MatMul_y: put fewer layers in a tile with --pack none, or leave "
        "lines of the crossbars spare with --spare-rows and --spare-columns, so that vectors are shorter"
    )

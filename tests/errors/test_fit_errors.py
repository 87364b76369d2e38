from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.place.partition import PartitionChips
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


def test_too_few_chips_allowed() -> None:
    assert problem(network(Mesh(tiles=8)), chips=2) == (
        "The network needs 30 tiles, but 2 chips of bench with 8 tiles each are allowed: 14 tiles too many; 4 chips "
        "would do. Most tiles go to l0 (16), l1 (8), l2 (4). Allow more chips (--chips 4), pack several blocks into a "
        "tile (--pack sequential) or use fewer replicas (--replicate 1)."
    )


def test_one_tile_too_many_for_one_chip() -> None:
    assert problem(network(Mesh(tiles=29)), chips=1) == (
        "The network needs 30 tiles, but 1 chip of bench with 29 tiles each is allowed: 1 tile too many; 2 chips "
        "would do. Most tiles go to l0 (16), l1 (8), l2 (4). Allow more chips (--chips 2), pack several blocks into a "
        "tile (--pack sequential) or use fewer replicas (--replicate 1)."
    )


def test_more_tiles_than_the_user_allows() -> None:
    assert problem(network(Mesh()), tiles=20) == (
        "The network needs 30 tiles, but 20 are allowed: 10 tiles too many. Most tiles go to l0 (16), l1 (8), l2 (4). "
        "Allow more tiles (--tiles 30), pack several blocks into a tile (--pack sequential) or use fewer replicas "
        "(--replicate 1)."
    )


def test_all_limits_are_reported_together() -> None:
    assert len(problem(network(Mesh(tiles=8)), chips=2, tiles=20).splitlines()) == 2


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

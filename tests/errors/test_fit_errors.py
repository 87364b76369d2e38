from __future__ import annotations

import pytest

from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.place.partition import PartitionChips
from mho.targets.errors import FitError
from mho.targets.target import Mesh
from tests.passes.placings import chain, machine, tiling


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

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.tile.replicate import Replicate, fill
from mho.passes.tile.tile import Tile
from mho.passes.verify.tiling import verify_tiling
from mho.targets.errors import OptionError
from tests.passes.tilings import Shape, calibrated, machine

NETWORK = (Shape(300, 10, fires=100), Shape(64, 64, fires=30), Shape(10, 10, fires=1))


def test_every_matrix_is_copied() -> None:
    tiling = Replicate(3).run(Tile().run(calibrated(NETWORK), machine(256, 256, analog_rows=512)))
    assert tiling.replicas == {"m0": 3, "m1": 3, "m2": 3}
    assert len(tiling.tiles) == 3 * 4
    assert [(b.matrix, b.replica, b.converter) for b in tiling.blocks[:4]] == [
        ("m0", 0, 0),
        ("m0", 0, 0),
        ("m0", 1, 2),
        ("m0", 1, 2),
    ]
    assert verify_tiling(tiling, "none") == ()


def test_fill_gives_the_budget_to_the_slowest() -> None:
    tiling = Replicate("fill", tiles=12).run(Tile().run(calibrated(NETWORK), machine()))
    assert tiling.replicas == {"m0": 4, "m1": 3, "m2": 1}
    assert len(tiling.tiles) == 12
    assert tiling.solvers[-1].objective == tiling.solvers[-1].bound == 25.0


def test_fill_leaves_a_network_that_does_not_fit_alone() -> None:
    tiling = Replicate("fill", tiles=1).run(Tile().run(calibrated(NETWORK), machine()))
    assert set(tiling.replicas.values()) == {1}


def test_options_are_checked() -> None:
    tiling = Tile().run(calibrated(NETWORK), machine())
    with pytest.raises(OptionError, match="1 or more"):
        Replicate(0).run(tiling)
    with pytest.raises(OptionError, match="--tiles"):
        Replicate("fill").run(tiling)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=4),
    st.integers(0, 20),
)
def test_fill_is_within_budget_and_optimal(matrices: list[tuple[int, int]], budget: int) -> None:
    fires = {str(i): float(f) for i, (f, _) in enumerate(matrices)}
    tiles = {str(i): t for i, (_, t) in enumerate(matrices)}
    copies = fill(fires, tiles, budget)
    least = sum(tiles.values())
    assert sum(tiles[n] * copies[n] for n in tiles) <= max(budget, least)
    assert all(1 <= copies[n] <= fires[n] for n in tiles)
    choices = product(*(range(1, int(f) + 1) for f in fires.values()))
    best = min(
        max(f / c for f, c in zip(fires.values(), choice, strict=True))
        for choice in choices
        if sum(t * c for t, c in zip(tiles.values(), choice, strict=True)) <= max(budget, least)
    )
    assert max(fires[n] / copies[n] for n in tiles) == best

"""Tiles whose blocks take turns within an interval."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Pack
from mho.passes.pack.turns import least_tiles, pack_within
from mho.passes.replicate.search import copied
from mho.passes.tile.tile import Tile
from mho.passes.verify.tiling import verify_tiling
from mho.passes.workload.interval import interval_of, loads_of
from tests.passes.tilings import Shape, calibrated, machine

SEQUENTIAL = Pack("sequential", effort="fast")

networks = st.lists(
    st.builds(Shape, st.integers(1, 20), st.integers(1, 20), fires=st.integers(1, 40).map(float)),
    min_size=1,
    max_size=5,
)


def cut(shapes: list[Shape], analog_rows: int | None = None) -> Tiling:
    return Tile().run(calibrated(shapes), machine(8, 8, analog_rows))


def busy(tiling: Tiling) -> dict[str, float]:
    return {name: load.busy(tiling.replicas[name]) for name, load in loads_of(tiling).items()}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks, st.integers(1, 3), st.floats(1, 100), st.sampled_from([None, 16]))
def test_no_tile_works_longer_than_the_interval_or_its_block(
    shapes: list[Shape], copies: int, interval: float, analog_rows: int | None
) -> None:
    single = cut(shapes, analog_rows)
    tiling = copied(single, dict.fromkeys(single.replicas, copies))
    packed = pack_within(tiling, interval, busy(tiling), SEQUENTIAL)
    assert verify_tiling(packed) == ()
    assert packed.blocks == tiling.blocks
    assert interval_of(packed) <= max(interval, *busy(tiling).values())
    assert (
        packed.tiles_lower_bound
        <= len(packed.tiles)
        <= len(Pack("pipelined", effort="fast", cuts="even").run(tiling).tiles)
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks, st.lists(st.integers(1, 4), min_size=5, max_size=5), st.sampled_from(["one", "all", "within"]))
def test_the_bound_holds_for_every_packing_and_number_of_copies(
    shapes: list[Shape], copies: list[int], way: str
) -> None:
    single = cut(shapes)
    tiling = copied(single, dict(zip(single.replicas, copies, strict=False)))
    if way == "within":
        packed = pack_within(tiling, 2 * max(busy(tiling).values()), busy(tiling), SEQUENTIAL)
    else:
        packed = Pack("pipelined" if way == "one" else "sequential", effort="fast", cuts="even").run(tiling)
    total = {name: load.least_total(1) for name, load in loads_of(single).items()}
    assert least_tiles(single, interval_of(packed), total) <= len(packed.tiles)


def test_fast_matrices_share_a_tile_and_slow_ones_do_not() -> None:
    """Four blocks of 4 × 8 that work 10 each share tiles in pairs within 20; the one of 20 stands alone."""
    shapes = [*[Shape(4, 8, fires=10)] * 4, Shape(4, 8, fires=20)]
    tiling = cut(shapes)
    times = busy(tiling)
    assert len(pack_within(tiling, 20.0, times, SEQUENTIAL).tiles) == 3
    assert len(pack_within(tiling, 10.0, times, SEQUENTIAL).tiles) == 5
    assert least_tiles(tiling, 20.0, times) == 3

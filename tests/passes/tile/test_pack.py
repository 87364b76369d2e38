from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.tiling import Tiling
from mho.passes.levels.tiling_text import tiling_text
from mho.passes.tile.pack import Mode, Pack
from mho.passes.tile.pack_bounds import Piece, lower_bound
from mho.passes.tile.pack_heuristics import diagonal_packing, rectangle_packing, without
from mho.passes.tile.replicate import Replicate
from mho.passes.tile.tile import Tile
from mho.passes.verify.tiling import verify_tiling
from tests.conftest import Golden
from tests.passes.tilings import RESNET9, RESNET20, Shape, calibrated, machine

MODES: tuple[Mode, ...] = ("none", "pipelined", "sequential")


def tiled(shapes: list[Shape] | tuple[Shape, ...], rows: int, columns: int, analog_rows: int | None = None) -> Tiling:
    return Tile().run(calibrated(shapes, vectors=1), machine(rows, columns, analog_rows))


def fewest_tiles(pieces: list[Piece], rows: int, columns: int) -> int:
    """The fewest tiles with blocks on diagonals, by trying everything."""

    def place(index: int, tiles: list[tuple[int, int]], best: int) -> int:
        if len(tiles) >= best:
            return best
        if index == len(pieces):
            return len(tiles)
        piece = pieces[index]
        for i, (r, c) in enumerate(tiles):
            if r >= piece.rows and c >= piece.columns:
                rest = [*tiles[:i], (r - piece.rows, c - piece.columns), *tiles[i + 1 :]]
                best = place(index + 1, rest, best)
        return place(index + 1, [*tiles, (rows - piece.rows, columns - piece.columns)], best)

    return place(0, [], len(pieces) + 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 40)), min_size=1, max_size=12),
    st.sampled_from([None, 32, 64]),
    st.sampled_from(MODES),
)
def test_packings_hold_their_rules(shapes: list[tuple[int, int]], analog_rows: int | None, mode: Mode) -> None:
    tiling = tiled([Shape(r, c) for r, c in shapes], 32, 32, analog_rows)
    packed = Pack(mode, effort="fast").run(tiling)
    assert verify_tiling(packed, mode) == ()
    assert packed.blocks == tiling.blocks
    assert packed.tiles_lower_bound <= len(packed.tiles) <= len(tiling.tiles)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=7))
def test_small_packings_are_the_best(shapes: list[tuple[int, int]]) -> None:
    pieces = [Piece(i, r, c, i) for i, (r, c) in enumerate(shapes)]
    packed = Pack("pipelined").run(tiled([Shape(r, c) for r, c in shapes], 32, 32))
    fewest = fewest_tiles(pieces, 32, 32)
    assert len(packed.tiles) == fewest
    assert lower_bound(pieces, machine(32, 32).crossbar, diagonal=True) <= fewest
    assert packed.solvers[-1].status == "OPTIMAL" and packed.solvers[-1].bound == fewest


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=30))
def test_rectangles_take_no_more_tiles_than_diagonals(shapes: list[tuple[int, int]]) -> None:
    pieces = [Piece(i, r, c, i) for i, (r, c) in enumerate(shapes)]
    crossbar = machine(32, 32).crossbar
    diagonal, rectangles = (lower_bound(pieces, crossbar, diagonal=d) for d in (True, False))
    assert rectangles <= diagonal
    assert len(rectangle_packing(pieces, crossbar, rectangles)) <= len(diagonal_packing(pieces, crossbar, diagonal))


@pytest.mark.parametrize(("mode", "size", "tiles"), [("pipelined", 512, 16), ("sequential", 512, 2)])
def test_resnet20_is_packed_optimally(mode: Mode, size: int, tiles: int) -> None:
    packed = Pack(mode).run(tiled(RESNET20, size, size))
    assert len(packed.tiles) == packed.tiles_lower_bound == tiles
    assert packed.solvers[-1].status == "OPTIMAL"


@pytest.mark.parametrize(
    ("mode", "shapes", "quick", "tiles"),
    [
        ("pipelined", [(9, 2), (6, 10), (11, 3), (1, 6), (10, 7)], 3, 2),
        ("sequential", [(6, 3), (9, 7), (10, 7), (4, 6), (9, 9), (9, 8), (9, 2)], 2, 1),
    ],
)
def test_the_solver_improves_what_quick_packings_leave(
    mode: Mode, shapes: list[tuple[int, int]], quick: int, tiles: int
) -> None:
    pieces = [Piece(i, r, c, i) for i, (r, c) in enumerate(shapes)]
    packing = diagonal_packing if mode == "pipelined" else rectangle_packing
    assert len(packing(pieces, machine(20, 20).crossbar, tiles)) == quick
    packed = Pack(mode).run(tiled([Shape(r, c) for r, c in shapes], 20, 20))
    assert len(packed.tiles) == packed.tiles_lower_bound == tiles
    assert verify_tiling(packed, mode) == ()


def test_a_thousand_copies_are_packed_near_the_bound() -> None:
    tiling = Replicate(40).run(tiled(RESNET20, 256, 256))
    packed = Pack("sequential").run(tiling)
    assert verify_tiling(packed) == ()
    assert len(packed.tiles) <= 1.03 * packed.tiles_lower_bound


def test_packing_is_repeatable() -> None:
    shapes = [Shape(20 + 13 * i % 150, 20 + 29 * i % 150) for i in range(25)]
    tiling = tiled(shapes, 256, 256)
    for mode in MODES:
        first, second = (Pack(mode, seed=3, effort="fast").run(tiling) for _ in range(2))
        assert first.tiles == second.tiles


def test_a_taken_corner_leaves_the_largest_rectangles() -> None:
    assert without([(0, 0, 10, 10)], (0, 0, 4, 6)) == [(4, 0, 10, 10), (0, 6, 10, 10)]
    assert without([(0, 0, 4, 4)], (4, 4, 8, 8)) == [(0, 0, 4, 4)]
    assert without([(0, 0, 4, 4)], (0, 0, 4, 4)) == []


def test_text_of_packed_tilings(golden: Golden) -> None:
    tiling = Replicate(2).run(tiled([RESNET9[-1], RESNET9[0], Shape(500, 30)], 256, 256, 512))
    text = "\n".join(tiling_text(Pack(mode).run(tiling)) for mode in MODES)
    golden.check("passes/pack.txt", text)

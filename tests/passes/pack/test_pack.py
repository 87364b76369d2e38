from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import ceil
from random import Random
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mho.passes.levels.demands import Demands, Part, Pin
from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.levels.tiling import Tiling
from mho.passes.levels.tiling_text import tiling_text
from mho.passes.pack.bounds import Piece, least_tiles, lower_bound
from mho.passes.pack.heuristics import diagonal_packing, rectangle_packing, without
from mho.passes.pack.pack import Mode, Pack
from mho.passes.pack.pipelined import deals
from mho.passes.pack.whole import WholePacking
from mho.passes.pack.windows import repack
from mho.passes.replicate.replicate import Replicate
from mho.passes.solver import budget
from mho.passes.tile.blocks import converter_groups
from mho.passes.tile.tile import Tile
from mho.passes.verify.tiling import verify_tiling
from mho.passes.workload.interval import interval_of
from mho.targets.errors import OptionError
from mho.targets.isa import Site
from mho.targets.target import Regime
from tests.conftest import Golden
from tests.passes.tilings import RESNET9, RESNET20, Shape, calibrated, machine

MODES: tuple[Mode, ...] = ("none", "pipelined", "sequential")

SQUEEZENET = (
    (27, 64),
    *((64, 16), (16, 64), (144, 64), (128, 16), (16, 64), (144, 64)),
    *((128, 32), (32, 128), (288, 128), (256, 32), (32, 128), (288, 128)),
    *((256, 48), (48, 192), (432, 192), (384, 48), (48, 192), (432, 192)),
    *((384, 64), (64, 256), (576, 256), (512, 64), (64, 256), (576, 256)),
    (512, 1000),
)


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


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 16]))
    kernel = draw(st.sampled_from([1, 3]))
    return Shape(groups * kernel * draw(st.integers(1, 20)), groups * draw(st.integers(1, 25)), groups, kernel)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(shapes(), min_size=1, max_size=6),
    st.sampled_from([(32, 32), (24, 36), (16, 31)]),
    st.sampled_from([None, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from(MODES),
    st.sampled_from(["free", "even"]),
)
def test_packings_hold_their_rules(
    network: list[Shape],
    size: tuple[int, int],
    charge: int | None,
    copies: int,
    mode: Mode,
    cuts: Literal["free", "even"],
) -> None:
    """Every weight once a replica, nothing overlaps, the charge of converters and the rule of the mode."""
    tiling = Replicate(copies).run(tiled(network, *size, None if charge is None else charge * size[0]))
    packed = Pack(mode, cuts, effort="fast").run(tiling)
    assert verify_tiling(packed, mode) == ()
    assert packed.tiles_lower_bound <= len(packed.tiles) <= len(tiling.tiles)
    if cuts == "even":
        assert packed.blocks == tiling.blocks


@settings(max_examples=20, deadline=None)
@given(st.lists(shapes(), min_size=1, max_size=5), st.sampled_from([(32, 32), (24, 36), (16, 31)]))
def test_free_cuts_leave_no_cell_between_sequential_blocks(network: list[Shape], size: tuple[int, int]) -> None:
    packed = Pack("sequential", "free", effort="fast").run(tiled(network, *size))
    weights = sum(s.rows * s.columns // s.groups for s in network)
    assert len(packed.tiles) == packed.tiles_lower_bound == ceil(weights / (size[0] * size[1]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=7))
def test_small_packings_are_the_best(shapes: list[tuple[int, int]]) -> None:
    pieces = [Piece(i, r, c, i) for i, (r, c) in enumerate(shapes)]
    tiling = tiled([Shape(r, c) for r, c in shapes], 32, 32)
    packed = Pack("pipelined", "even").run(tiling)
    fewest = fewest_tiles(pieces, 32, 32)
    assert len(packed.tiles) == fewest
    assert lower_bound(pieces, machine(32, 32).crossbar, diagonal=True) <= fewest
    assert packed.solvers[-1].status == "OPTIMAL" and packed.solvers[-1].bound == fewest
    assert len(Pack("pipelined", "free").run(tiling).tiles) <= fewest


MOST_PIECES = 7
"""Of a cut that the exhaustive search looks at; more of them seldom take fewer tiles."""


def partitions(total: int, limit: int, most: int | None = None) -> Iterator[tuple[int, ...]]:
    """Ways to write a total as a sum of parts of at most `limit`, their order aside."""
    if total == 0:
        yield ()
    for part in range(1, min(total, limit, most or total) + 1):
        yield from ((part, *rest) for rest in partitions(total - part, limit, part))


def all_cuts(rows: int, columns: int, size: tuple[int, int]) -> set[tuple[tuple[int, int], ...]]:
    """Every way to cut columns through a whole matrix, and rows of each part anywhere."""
    found = set()
    for widths in partitions(columns, size[1]):
        for heights in product(*(list(partitions(rows, size[0])) for _ in widths)):
            found.add(tuple(sorted((h, w) for w, each in zip(widths, heights, strict=True) for h in each)))
    return found


@settings(max_examples=25, deadline=None)
@example([(4, 4), (4, 4)], (3, 3))
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=2),
    st.sampled_from([(3, 3), (4, 3), (3, 4)]),
)
def test_the_bound_holds_for_every_way_to_cut(matrices: list[tuple[int, int]], size: tuple[int, int]) -> None:
    cuts = product(*(all_cuts(r, c, size) for r, c in matrices))
    every = {tuple(sorted(piece for cut in each for piece in cut)) for each in cuts}
    most = max(MOST_PIECES, min(map(len, every)))
    few = [pieces for pieces in every if len(pieces) <= most]
    fewest = min(fewest_tiles([Piece(i, r, c, i) for i, (r, c) in enumerate(pieces)], *size) for pieces in few)
    packed = Pack("pipelined", "free").run(tiled([Shape(r, c) for r, c in matrices], *size))
    assert packed.tiles_lower_bound <= fewest
    assert len(packed.tiles) <= fewest + 1
    assert fewest <= len(packed.tiles) or len(packed.blocks) > most


def test_cutting_rows_elsewhere_saves_tiles() -> None:
    """Three matrices of 20 rows fill two tiles of 32 rows where one of them is cut in two, and three where none is."""
    tiling = tiled([Shape(20, 8)] * 3, 32, 32)
    assert len(Pack("pipelined", "even").run(tiling).tiles) == 3
    packed = Pack("pipelined", "free").run(tiling)
    assert len(packed.tiles) == packed.tiles_lower_bound == 2
    assert sorted(b.rows[1] - b.rows[0] for b in packed.blocks) == [8, 12, 20, 20]


def test_cuts_share_converters_in_order_but_not_a_tile() -> None:
    tiling = tiled([Shape(80, 20), Shape(60, 10), Shape(50, 12)], 32, 32, analog_rows=64)
    packed = Pack("pipelined", "free").run(tiling)
    assert len(packed.tiles) < len(tiling.tiles)
    sizes = sorted(len(group) for group in converter_groups(packed.blocks))
    assert sizes[-1] > 1
    assert verify_tiling(packed, "pipelined") == ()


def test_windows_close_what_dealing_out_leaves() -> None:
    """The remainders of SqueezeNet's matrices, whose proven bound is met by windows alone."""
    crossbar = machine().crossbar
    matrices = [Matrix(f"m{i}", Recipe(f"m{i}"), r, c) for i, (r, c) in enumerate(SQUEEZENET)]
    dealt = next(deals([(m, 0) for m in matrices], crossbar))
    bound = least_tiles([(m, 1) for m in matrices], crossbar, diagonal=True)
    packed = repack(dealt, crossbar, bound, budget("normal").share(10), seed=0)
    assert (len(dealt.tiles), len(packed.tiles), bound) == (35, 31, 31)


def test_windows_of_rectangles_save_a_tile() -> None:
    random = Random(73)
    pieces = [Piece(i, random.randint(2, 12), random.randint(2, 12), i) for i in range(60)]
    crossbar = machine(20, 20).crossbar
    bound = lower_bound(pieces, crossbar, diagonal=False)
    quick, proved = WholePacking(crossbar, False, budget("normal"), windows=False).run(pieces)
    solved, _ = WholePacking(crossbar, False, budget("normal")).run(pieces)
    assert (len(quick), len(solved), proved) == (8, 7, bound)


def test_a_machine_says_how_blocks_may_share_a_tile() -> None:
    def on(*packing: Regime, mode: Mode | None = None) -> Tiling:
        target = machine(32, 32)
        target = replace(target, crossbar=replace(target.crossbar, packing=packing))
        return Pack(mode, "even").run(Tile().run(calibrated([Shape(20, 8), Shape(9, 20), Shape(20, 8)], 1), target))

    assert len(on().tiles) == 3
    assert len(on("pipelined").tiles) == 2 == len(on("pipelined", "sequential").tiles)
    assert len(on("sequential").tiles) == 1 == len(on("pipelined", "sequential", mode="sequential").tiles)
    with pytest.raises(OptionError, match=r"--pack.* = sequential.*bench.*--pack pipelined or --pack none"):
        on("pipelined", mode="sequential")


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
    packed = Pack(mode, "even").run(tiled(RESNET20, size, size))
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
    packed = Pack(mode, "even").run(tiled([Shape(r, c) for r, c in shapes], 20, 20))
    assert len(packed.tiles) == packed.tiles_lower_bound == tiles
    assert verify_tiling(packed, mode) == ()


def test_a_thousand_copies_are_packed_near_the_bound() -> None:
    tiling = Replicate(40).run(tiled(RESNET20, 256, 256))
    packed = Pack("sequential", "free").run(tiling)
    assert verify_tiling(packed) == ()
    assert len(packed.tiles) <= 1.03 * packed.tiles_lower_bound


def test_what_takes_turns_within_an_interval_is_only_parted_by_what_is_asked() -> None:
    """Packing anew would let more blocks of a tile take turns than the copies were counted for."""
    shapes = [Shape(100, 40, fires=40.0), Shape(60, 20, fires=24.0), Shape(90, 70, fires=6.0), Shape(9, 9, fires=2.0)]
    pack = Pack("sequential", effort="fast")
    filled = Replicate("fill", tiles=6).run(tiled(shapes, 100, 100), pack)
    forbidden = replace(filled, demands=Demands(forbidden=frozenset({Site(0, 0, 0)})))
    assert pack.run(forbidden).tiles == filled.tiles
    assert interval_of(filled) < interval_of(pack.run(replace(filled, packed=False)))
    pinned = pack.run(replace(filled, demands=Demands(pins=(Pin(Part("m3", ("m3",)), chip=0),))))
    assert verify_tiling(pinned) == ()
    assert len(pinned.tiles) > len(filled.tiles)
    assert interval_of(pinned) <= interval_of(filled)
    held = [{pinned.blocks[seat.block].matrix for seat in seats} for seats in pinned.tiles]
    assert {"m3"} in held and not any("m3" in names and len(names) > 1 for names in held)
    assert [facts.objective for facts in pinned.solvers if facts.search == "pack"] == [len(pinned.tiles)]


def test_packing_is_repeatable() -> None:
    shapes = [Shape(20 + 13 * i % 150, 20 + 29 * i % 150) for i in range(25)]
    tiling = tiled(shapes, 256, 256)
    for mode in MODES:
        first, second = (Pack(mode, "free", seed=3, effort="fast").run(tiling) for _ in range(2))
        assert first.tiles == second.tiles


def test_a_taken_corner_leaves_the_largest_rectangles() -> None:
    assert without([(0, 0, 10, 10)], (0, 0, 4, 6)) == [(4, 0, 10, 10), (0, 6, 10, 10)]
    assert without([(0, 0, 4, 4)], (4, 4, 8, 8)) == [(0, 0, 4, 4)]
    assert without([(0, 0, 4, 4)], (0, 0, 4, 4)) == []


def test_text_of_packed_tilings(golden: Golden) -> None:
    tiling = Replicate(2).run(tiled([RESNET9[-1], RESNET9[0], Shape(500, 30)], 256, 256, 512))
    text = "\n".join(tiling_text(Pack(mode, "free").run(tiling)) for mode in MODES)
    golden.check("passes/pack.txt", text)

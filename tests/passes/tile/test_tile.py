from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.levels.tiling_text import tiling_text
from mho.passes.tile.blocks import converter_groups, scale_rows
from mho.passes.tile.tile import Tile, blocks_of, even_spans
from mho.passes.verify.tiling import verify_tiling
from mho.targets.target import Target
from tests.conftest import Golden
from tests.passes.tilings import PTB_LSTM, RESNET9, Shape, calibrated, machine


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 16]))
    kernel = draw(st.sampled_from([1, 3, 9]))
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 50))
    return Shape(groups * kernel * height, groups * width, groups, kernel)


@st.composite
def machines(draw: st.DrawFn) -> Target:
    rows, columns = draw(st.integers(4, 64)), draw(st.integers(4, 64))
    return machine(rows, columns, draw(st.sampled_from([None, rows, 2 * rows, 4 * rows])))


@settings(max_examples=60, deadline=None)
@given(st.lists(shapes(), min_size=1, max_size=4), machines())
def test_each_weight_is_in_one_block_that_fits(network: list[Shape], target: Target) -> None:
    tiling = Tile().run(calibrated(network, vectors=1), target)
    assert verify_tiling(tiling, "none") == ()
    assert tiling.tiles_lower_bound <= len(tiling.tiles) == len(tiling.blocks)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 600))
def test_even_spans_are_the_fewest_and_even(total: int, limit: int) -> None:
    spans = even_spans(total, limit)
    lengths = [stop - start for start, stop in spans]
    assert sum(lengths) == total and max(lengths) <= limit
    assert (len(spans) - 1) * limit < total
    assert max(lengths) - min(lengths) <= 1


def test_published_networks_take_the_published_number_of_tiles() -> None:
    resnet9 = Tile().run(calibrated(RESNET9, vectors=1), machine())
    assert len(resnet9.tiles) == 40
    assert {b.rows[1] - b.rows[0] for b in resnet9.blocks if b.matrix == "m5"} == {252}
    lstm = Tile().run(calibrated(PTB_LSTM, vectors=1), machine())
    assert len(lstm.tiles) == 26
    assert {b.columns[1] - b.columns[0] for b in lstm.blocks if b.matrix == "m0"} == {252}


def test_rows_are_cut_between_channels_where_that_costs_no_block() -> None:
    crossbar = machine(512, 512).crossbar
    matrix = Matrix("m", Recipe("m"), 2304, 10)
    assert [b.rows for b in blocks_of(matrix, crossbar, 9)][:2] == [(0, 459), (459, 918)]
    assert [b.rows for b in blocks_of(matrix, crossbar)][:2] == [(0, 460), (460, 921)]
    tight = Matrix("m", Recipe("m"), 512, 10)
    assert [b.rows for b in blocks_of(tight, machine(256, 256).crossbar, 64 + 64)] == [(0, 256), (256, 512)]
    assert [b.rows for b in blocks_of(Matrix("m", Recipe("m"), 500, 10), machine().crossbar, 100)] == [
        (0, 250),
        (250, 500),
    ]


@pytest.mark.parametrize(
    ("analog_rows", "converters"), [(None, [0, 1, 2, 3, 4]), (1024, [0, 0, 2, 2, 4]), (2048, [0, 0, 0, 0, 4])]
)
def test_row_blocks_share_a_converter_up_to_the_limit(analog_rows: int | None, converters: list[int]) -> None:
    tiling = Tile().run(calibrated([Shape(2304, 8, kernel=9)], vectors=1), machine(512, 512, analog_rows))
    assert [b.converter for b in tiling.blocks] == converters
    groups = list(converter_groups(tiling.blocks))
    assert [scale_rows(g)[0] for g in groups] == [tiling.blocks[head].rows[0] for head in sorted(set(converters))]


def test_blocks_of_depthwise_matrices_hold_whole_groups() -> None:
    blocks = blocks_of(Matrix("m", Recipe("m"), 96 * 9, 96, 96), machine(512, 512).crossbar, 9)
    assert [(b.rows, b.columns, b.weights) for b in blocks] == [
        ((0, 432), (0, 48), 432),
        ((432, 864), (48, 96), 432),
    ]


def test_text_of_a_small_tiling(golden: Golden) -> None:
    network = calibrated([Shape(40, 20, kernel=4), Shape(24, 8, groups=4), Shape(30, 3)], vectors=1)
    golden.check("passes/tile.txt", tiling_text(Tile().run(network, machine(16, 16, analog_rows=32))))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.workload import traffic
from mho.passes.workload.tile_flows import TileFlows
from mho.passes.workload.traffic import tile_flows
from tests.passes.placings import chain, dense, digital, machine, network, tiling

sizes = st.integers(1, 6).map(lambda k: 4 * k)


def pairs(flows: TileFlows) -> dict[tuple[int, int], float]:
    ends = zip(flows.source.tolist(), flows.target.tolist(), strict=True)
    return dict(zip(ends, flows.words.tolist(), strict=True))


def test_partial_sums_go_to_the_first_row_block() -> None:
    tiled = tiling(chain((12, 6)), machine(), {"l0": 10.0})
    assert pairs(tile_flows(tiled)) == {(1, 0): 40.0, (2, 0): 40.0, (4, 3): 20.0, (5, 3): 20.0}


def test_columns_meet_the_rows_that_read_them() -> None:
    tiled = tiling(chain((4, 8), (8, 4)), machine(), {"l0": 3.0, "l1": 5.0})
    assert pairs(tile_flows(tiled)) == {(0, 2): 20.0, (1, 3): 20.0, (3, 2): 20.0}


def test_what_is_not_aligned_comes_from_everywhere() -> None:
    steps = (dense("a", "x"), digital("mix", ("Transpose",), "a.y"), dense("b", "mix.y"))
    tiled = tiling(network(steps, {"a": (4, 8), "b": (8, 4)}), machine())
    assert pairs(tile_flows(tiled)) == {(0, 2): 2.0, (0, 3): 2.0, (1, 2): 2.0, (1, 3): 2.0, (3, 2): 4.0}


def test_replicas_share_the_positions() -> None:
    tiled = tiling(chain((4, 4), (4, 4)), machine(), {"l0": 8.0, "l1": 8.0}, {"l0": 2, "l1": 2})
    assert pairs(tile_flows(tiled)) == {(0, 2): 8.0, (0, 3): 8.0, (1, 2): 8.0, (1, 3): 8.0}


def test_addends_go_to_where_the_sums_are() -> None:
    steps = (dense("a", "x"), dense("b", "x", addend="a.y"))
    tiled = tiling(network(steps, {"a": (4, 8), "b": (8, 8)}), machine())
    assert pairs(tile_flows(tiled)) == {(0, 2): 4.0, (1, 4): 4.0, (3, 2): 4.0, (5, 4): 4.0}


@given(sizes, sizes, sizes, st.integers(1, 3), st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_every_word_that_is_read_is_sent(rows: int, middle: int, columns: int, copies: int, most: int) -> None:
    fires = {"l0": 6.0, "l1": 6.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic, "MOST_PAIRS", most)
        tiled = tiling(chain((rows, middle), (middle, columns)), machine(), fires, {"l1": copies})
        flows = tile_flows(tiled)
    sums = 6.0 * (middle * (rows // 4 - 1) + columns * (middle // 4 - 1))
    assert flows.words.sum() == pytest.approx(sums + 6.0 * middle * (columns // 4))
    assert (flows.source != flows.target).all()
    assert (np.diff(flows.source * len(tiled.tiles) + flows.target) > 0).all()

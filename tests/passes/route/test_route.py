from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.route.route import distances
from mho.passes.verify.plan import route
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.isa import Site
from mho.targets.routes import Deliveries, Floor, Routes, as_array


def flow(*entries: tuple[int, int, float]) -> TileFlows:
    source, target, words = zip(*entries, strict=True)
    return TileFlows(np.array(source), np.array(target), np.array(words))


def routes(flows: TileFlows, sites: tuple[Site, ...], grid: tuple[int, int], column_first: bool = False) -> Routes:
    ways = np.full(len(flows.source), column_first)
    count = np.ones(len(flows.source), np.int64)
    return Routes.of(Floor.of(sites, grid), Deliveries(flows.source, count, flows.target, flows.words, ways))


def text(sites: tuple[Site, ...], width: int, *entries: tuple[int, int, float]) -> list[str]:
    return [f"{e.source}>{e.target} {e.words:g}" for e in routes(flow(*entries), sites, (width, width)).traffic()]


def test_words_go_along_the_row_first() -> None:
    sites = (Site(0, 0, 0), Site(0, 2, 1))
    assert text(sites, 3, (0, 1, 5.0)) == ["0:0,0>0:1,0 5", "0:1,0>0:2,0 5", "0:2,0>0:2,1 5"]
    assert text(sites, 3, (1, 0, 5.0)) == ["0:0,1>0:0,0 5", "0:1,1>0:0,1 5", "0:2,1>0:1,1 5"]


def test_words_to_another_chip_leave_and_enter_at_facing_edges() -> None:
    sites = (Site(0, 0, 1), Site(2, 1, 0))
    assert text(sites, 2, (0, 1, 3.0)) == ["0:0,1>0:1,1 3", "0:1,1>2:0,1 3", "2:0,1>2:1,1 3", "2:1,1>2:1,0 3"]
    assert text(sites, 2, (1, 0, 3.0)) == ["0:0,0>0:0,1 3", "0:1,0>0:0,0 3", "2:0,0>0:1,0 3", "2:1,0>2:0,0 3"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_links_carry_what_a_walk_along_every_route_finds(data: st.DataObject) -> None:
    width, height, chips = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    every = [Site(c, x, y) for c in range(chips) for x in range(width) for y in range(height)]
    sites = tuple(data.draw(st.permutations(every)))
    column_first = data.draw(st.booleans())
    tile = st.integers(0, len(sites) - 1)
    entries = data.draw(st.lists(st.tuples(tile, tile, st.integers(1, 9)), max_size=20))
    flows = TileFlows.merge([flow(*((a, b, float(w)) for a, b, w in entries))] if entries else [])
    expected: Counter[tuple[Site, Site]] = Counter()
    hops = []
    for a, b, words in zip(flows.source.tolist(), flows.target.tolist(), flows.words.tolist(), strict=True):
        way = list(pairwise(route(sites[a], sites[b], width, column_first)))
        expected.update(dict.fromkeys(way, words))
        hops.append(sum(one.chip == two.chip for one, two in way))
    links = routes(flows, sites, (width, height), column_first).traffic()
    assert {(e.source, e.target): e.words for e in links} == pytest.approx(dict(expected))
    assert [(e.source, e.target) for e in links] == sorted(expected)
    assert distances(as_array(sites), (width, height), flows.source, flows.target).tolist() == hops

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.verify.plan import route
from mho.targets.isa import Site
from mho.targets.routes import Deliveries
from tests.targets.routings import deliveries, entries_on, every_site, machines, routes


def test_a_tree_carries_every_word_once_over_a_link() -> None:
    made = routes([(0, (4, 5), 7.0, False)], (3, 2))
    assert [f"{e.source}>{e.target} {e.words:g}" for e in made.traffic()] == [
        "0:0,0>0:1,0 7",
        "0:1,0>0:1,1 7",
        "0:1,0>0:2,0 7",
        "0:2,0>0:2,1 7",
    ]
    column = routes([(0, (4, 5), 7.0, True)], (3, 2))
    assert [str(e.target) for e in column.traffic()] == ["0:0,1", "0:1,1", "0:2,1"]


def test_two_ways_of_words_to_another_chip() -> None:
    (row,) = [routes([(2, (5,), 1.0, False)], (2, 2), 2).way(0)]
    (column,) = [routes([(2, (5,), 1.0, True)], (2, 2), 2).way(0)]
    assert row == (Site(0, 0, 1), Site(0, 1, 1), Site(1, 0, 1), Site(1, 1, 1), Site(1, 1, 0))
    assert column == (Site(0, 0, 1), Site(0, 0, 0), Site(0, 1, 0), Site(1, 0, 0), Site(1, 1, 0))


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_links_are_those_of_a_walk_along_every_way(data: st.DataObject) -> None:
    grid, chips = data.draw(machines())
    sites = every_site(grid, chips)
    entries = data.draw(entries_on(len(sites)))
    made = routes(entries, grid, chips)
    expected: Counter[tuple[Site, Site]] = Counter()
    lengths, number = [], 0
    for source, targets, words, column_first in entries:
        ways = [route(sites[source], sites[target], grid[0], column_first) for target in targets]
        for way in ways:
            assert made.way(number) == way
            number += 1
        tree = dict.fromkeys((link for way in ways for link in pairwise(way)), words)
        expected.update(tree)
        lengths.append(len(tree))
    assert {(e.source, e.target): e.words for e in made.traffic()} == expected
    assert [(e.source, e.target) for e in made.traffic()] == sorted(expected)
    assert made.sums(np.ones(len(made.words))).tolist() == lengths
    value = np.arange(len(made.words), dtype=np.float64)
    assert np.isclose(made.sums(value) @ made.deliveries.words, value @ made.words)


def test_deliveries_are_read_as_they_were_stored() -> None:
    made = deliveries([(0, (1, 2), 3.5, True), (2, (0,), 1.0, False)])
    read = Deliveries.stored(made.tensors())
    for name in ("source", "count", "target", "words", "column_first"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert made.some(np.array([False, True])).target.tolist() == [0]
    assert made.renumbered(np.array([2, 1, 0])).target.tolist() == [1, 0, 2]

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.targets import replay as replays
from mho.targets.replacement import Controller, FiringOrder
from mho.targets.replay import cyclic_writes, fewest_writes, replay

TILES = 8


def belady_writes(visits: Sequence[int], tiles: int, inferences: int) -> int:
    """The fewest pages that must be programmed to visit these in order in each of so many inferences."""
    pages = {page: number for number, page in enumerate(dict.fromkeys(visits))}
    single = FiringOrder(tuple((n,) for n in pages.values()), tuple(pages[page] for page in visits))
    return replay(single, tiles, inferences).writes


def one_layer(pages: int, alternate: bool = False) -> FiringOrder:
    return FiringOrder((tuple(range(pages)),), (0,), alternate)


def layered(*sizes: int, alternate: bool = True) -> FiringOrder:
    """Layers of so many pages, one after another."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    pages = tuple(tuple(range(start, start + size)) for start, size in zip(starts, sizes, strict=True))
    return FiringOrder(pages, tuple(range(len(sizes))), alternate)


@pytest.mark.parametrize(("pages", "writes"), [(16, 8_538), (64, 56_895), (12, 4_370), (32, 24_776)])
def test_the_given_order_takes_beladys_writes(pages: int, writes: int) -> None:
    assert belady_writes(range(pages), TILES, 1000) == writes
    assert cyclic_writes(pages, TILES, 1000) == writes


@pytest.mark.parametrize(
    ("order", "writes"),
    [
        (one_layer(16, alternate=True), 8_008),
        (one_layer(64, alternate=True), 56_008),
        (layered(4, 4, 4), 4_008),
        (layered(6, 4, 2), 4_008),
        (layered(16, 8, 8), 24_008),
        (layered(11, 11, 10), 24_008),
    ],
)
def test_alternating_takes_as_few_as_any_order_can(order: FiringOrder, writes: int) -> None:
    assert replay(order, TILES, 1000).writes == writes == fewest_writes(order, TILES, 1000)


def test_a_batch_writes_each_page_once_and_all_tiles_between_two_segments() -> None:
    order = replace(one_layer(16), batch=True)
    found = replay(order, TILES, 1)
    assert (found.writes, found.segments, found.layer_parts[0]) == (16, 2, 2)
    assert set(found.tile_writes.values()) == {2}
    assert replay(order, TILES, 3).writes == 16 + 9 + 9  # seven pages of the batch before are still there when needed


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(1, 4))
def test_a_batch_that_comes_back_to_its_pages_has_the_fewest_writes(visits: list[int], tiles: int) -> None:
    pages = {page: number for number, page in enumerate(dict.fromkeys(visits))}
    order = FiringOrder(tuple((n,) for n in pages.values()), tuple(pages[page] for page in visits), batch=True)
    assert replay(order, tiles, 1).writes == least_by_trying(visits, tiles)


def least_by_trying(visits: Sequence[int], tiles: int) -> int:
    """The fewest writes over all choices of what to write over."""
    states = {frozenset[int](): 0}
    for page in visits:
        after: dict[frozenset[int], int] = {}
        for held, writes in states.items():
            if page in held:
                choices = [(held, writes)]
            elif len(held) < tiles:
                choices = [(held | {page}, writes + 1)]
            else:
                choices = [(held - {out} | {page}, writes + 1) for out in held]
            for state, count in choices:
                after[state] = min(count, after.get(state, count))
        states = after
    return min(states.values(), default=0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 4))
def test_no_replacement_writes_less_than_beladys(visits: list[int], tiles: int, inferences: int) -> None:
    assert belady_writes(visits, tiles, inferences) == least_by_trying(visits * inferences, tiles)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_no_order_inside_layers_writes_less_than_the_bound(sizes: list[int], tiles: int) -> None:
    order = layered(*sizes)
    states: dict[tuple[int, ...], None] = {(): None}
    for layer in order.order * 2:
        states = {(*before, *turn): None for before in states for turn in permutations(order.pages[layer])}
        states = dict(list(states.items())[:300])  # a sample of the orders is enough to catch a bound that is too high
    bound = fewest_writes(order, tiles, 2)
    assert all(least_by_trying(visits, tiles) >= bound for visits in states)
    assert replay(order, tiles, 2).writes >= bound


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_not_followed_is_counted_alike(sizes: list[int], tiles: int, inferences: int, alternate: bool) -> None:
    order = layered(*sizes, alternate=alternate)
    whole = replay(order, tiles, inferences)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replays, "MOST_VISITS", 24 * sum(sizes))
        assert replay(order, tiles, inferences).writes == whole.writes
    assert whole.inferences == inferences


def test_a_rate_goes_on_where_the_order_does_not_come_round(monkeypatch: pytest.MonkeyPatch) -> None:
    order = layered(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4)
    exact = replay(order, TILES, 500).writes
    monkeypatch.setattr(replays, "MOST_VISITS", 1)
    assert replay(order, TILES, 500).writes == pytest.approx(exact, rel=0.2)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 5), st.lists(st.integers(0, 3), max_size=30))
def test_each_page_has_a_tile_of_its_own_when_it_fires(sizes: list[int], tiles: int, fired: list[int]) -> None:
    order = layered(*sizes)
    controller = Controller(order, tiles)
    held: dict[int, int] = {}
    for layer in fired:
        visits = list(controller.fire(layer % len(sizes)))
        assert sorted(v.page for v in visits) == sorted(order.pages[layer % len(sizes)])
        for visit in visits:
            assert visit.written == (held.get(visit.tile) != visit.page)
            assert 0 <= visit.tile < tiles
            held[visit.tile] = visit.page
        assert len(set(held.values())) == len(held)


def test_segments_are_runs_of_pages_that_are_there_together() -> None:
    """Of sixteen pages eight are still there from the inference before, and the others come together."""
    found = replay(one_layer(16, alternate=True), TILES, 100)
    assert (found.layer_parts[0], found.segments) == (200, 101)
    streaming = replay(one_layer(16), TILES, 8)  # each is written over the page that fired last
    assert (streaming.layer_parts[0], streaming.segments) == (72, 65)
    there = replay(layered(4, 4), TILES, 10)
    assert (there.segments, there.layer_parts) == (1, {0: 10, 1: 10})


def test_most_writes_and_cells_are_of_all_inferences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MOST_VISITS", 160)
    found = replay(one_layer(16, alternate=True), TILES, 1000)
    assert found.inferences == 10
    assert found.most_writes(1000) == 100 * 11  # the first filling, and ten times one for each tile
    assert found.cells([3] * 16) == 3 * found.writes


def test_a_layer_that_fires_out_of_turn_is_still_served() -> None:
    controller = Controller(layered(2, 2, 2), 2)
    for layer in (2, 2, 0, 1, 1, 0):
        assert len(list(controller.fire(layer))) == 2
    assert controller.writes >= 6

from __future__ import annotations

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.verify.plan import route
from mho.targets.deadlock import cyclic_channels, dependencies
from mho.targets.isa import Site
from mho.targets.routes import Routes
from tests.targets.routings import TURNING, Entry, entries_on, every_site, machines, routes

Channel = tuple[int, Site, Site]


def waits(entries: list[Entry], grid: tuple[int, int], chips: int, virtual: int) -> set[tuple[Channel, Channel]]:
    """The channel-dependency graph, found by walking along every way."""
    sites = every_site(grid, chips)
    found = set()
    for source, targets, _, column_first in entries:
        layer = int(column_first and virtual > 1)
        for target in targets:
            hops = [(layer, *hop) for hop in pairwise(route(sites[source], sites[target], grid[0], column_first))]
            found |= set(pairwise(hops))
    return found


def acyclic(edges: set[tuple[Channel, Channel]]) -> bool:
    graph: dict[Channel, set[Channel]] = {}
    for before, after in edges:
        graph.setdefault(after, set()).add(before)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return False
    return True


def edges_of(made: Routes, virtual: int) -> set[tuple[Channel, Channel]]:
    links = made.floor.links + len(made.crossings)
    before, after = dependencies(made, virtual)
    ends = [
        [(layer, *made.ends(link)) for layer, link in (divmod(channel, links) for channel in channels.tolist())]
        for channels in (before, after)
    ]
    assert len(set(zip(*ends, strict=True))) == len(before)
    return set(zip(*ends, strict=True))


@given(st.data(), st.integers(1, 2))
@settings(max_examples=120, deadline=None)
def test_the_graph_is_that_of_a_walk_and_its_cycles_are_found(data: st.DataObject, virtual: int) -> None:
    grid, chips = data.draw(machines())
    entries = data.draw(entries_on(grid[0] * grid[1] * chips))
    made = routes(entries, grid, chips)
    expected = waits(entries, grid, chips, virtual)
    assert edges_of(made, virtual) == expected
    assert (cyclic_channels(made, virtual) == ()) == acyclic(expected)


@given(st.data(), st.sampled_from(["row", "column", "two channels", "east", "west", "south", "north"]))
@settings(max_examples=120, deadline=None)
def test_ways_that_cannot_deadlock(data: st.DataObject, kind: str) -> None:
    """All of one order, both in two channels, or in one channel the unusual order where nothing goes back."""
    grid, chips = data.draw(machines())
    sites = every_site(grid, chips)
    entries = data.draw(entries_on(len(sites), most=30))

    def all_go(sign: int, across: bool, source: int, targets: tuple[int, ...]) -> bool:
        ends = [sites[core] for core in (source, *targets)]
        begin, *stops = [sign * (end.chip * 100 + end.x if across else end.y) for end in ends]
        return min(stops) >= begin

    orders: dict[str, Callable[[int, tuple[int, ...]], bool]] = {
        "row": lambda *_: False,
        "column": lambda *_: True,
        "east": lambda s, t: all_go(1, True, s, t),
        "west": lambda s, t: all_go(-1, True, s, t),
        "south": lambda s, t: not all_go(1, False, s, t),
        "north": lambda s, t: not all_go(-1, False, s, t),
    }
    if kind in orders:
        entries = [(s, t, w, orders[kind](s, t)) for s, t, w, _ in entries]
    assert cyclic_channels(routes(entries, grid, chips), 2 if kind == "two channels" else 1) == ()


def test_a_circle_is_told_link_by_link() -> None:
    made = routes(list(TURNING), (2, 2))
    circle = cyclic_channels(made, 1)
    assert sorted(circle) == ["0:0,0 → 0:1,0", "0:0,1 → 0:0,0", "0:1,0 → 0:1,1", "0:1,1 → 0:0,1"]
    assert circle[(circle.index("0:0,0 → 0:1,0") + 1) % 4] == "0:1,0 → 0:1,1"
    assert cyclic_channels(made, 2) == ()

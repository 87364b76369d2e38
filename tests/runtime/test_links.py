from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.runtime.links import Network
from mho.targets.errors import ProgramError
from mho.targets.isa import CoreProgram, Site
from mho.targets.mapping import RouteFacts
from mho.targets.program import Program
from mho.targets.routes import Routes
from tests.programs import tiny_program
from tests.targets.routings import TURNING, entries_on, machines, routes


def program_of(made: Routes, virtual_channels: int) -> Program:
    """A program that does nothing but deliver."""
    count = len(made.floor.place)
    sites = (made.floor.site(number) for number in range(count))
    tiny = tiny_program()
    facts = RouteFacts(mode="balanced", virtual_channels=virtual_channels, multicast=True, link_words=8)
    mapping = replace(tiny.mapping, grid=made.floor.grid, chips=made.floor.chips, links=made.traffic(), routes=facts)
    cores = tuple(CoreProgram(site=site, loads=(), kernels=()) for site in sites)
    return replace(tiny, cores=cores, mapping=mapping, tensors=made.deliveries.tensors())


def test_vectors_that_turn_in_a_circle_stand_still() -> None:
    made = routes(list(TURNING), (2, 2))
    with pytest.raises(ProgramError, match="deadlock, vectors wait for ever") as refused:
        Network(program_of(made, 1)).deliver_everything()
    assert "link 0:0,0 → 0:1,0 for link 0:1,0 → 0:1,1" in str(refused.value)
    assert Network(program_of(made, 2)).deliver_everything() == 4


@given(st.data(), st.integers(1, 2))
@settings(max_examples=80, deadline=None)
def test_what_has_no_circle_arrives(data: st.DataObject, virtual: int) -> None:
    """All deliveries at once, over links that hold one vector each."""
    grid, chips = data.draw(machines())
    entries = data.draw(entries_on(grid[0] * grid[1] * chips, most=30))
    if virtual == 1:
        first = data.draw(st.booleans())
        entries = [(source, targets, words, first) for source, targets, words, _ in entries]
    made = routes(entries, grid, chips)
    assert Network(program_of(made, virtual)).deliver_everything() == len(made.deliveries.target)


def test_a_way_between_cores_and_one_that_is_not_told() -> None:
    network = Network(program_of(routes([(0, (3,), 1.0, True)], (2, 2)), 2))
    arrived: list[Site] = []
    flight = network.flight(Site(0, 0, 0), Site(0, 1, 1), arrived.append)
    assert flight is not None
    assert flight.branches[None] == ((Site(0, 0, 0), Site(0, 0, 1), 1),)
    assert network.flight(Site(0, 1, 1), Site(0, 0, 0), arrived.append) is None
    assert Network(tiny_program()).flight(Site(0, 0, 0), Site(0, 1, 0), arrived.append) is None


def test_a_program_without_routes_delivers_nothing() -> None:
    assert Network(tiny_program()).deliver_everything() == 0

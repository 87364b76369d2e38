"""What `mho check` says of routes and buffers that contradict the rest of a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from mho.targets.check.check import check_program
from mho.targets.isa import Accumulate, CoreProgram, Memory
from mho.targets.mapping import LineBuffer
from mho.targets.program import Program
from mho.targets.routes import Routes
from mho.targets.target import Core
from mho.targets.text import parse_program, print_program
from tests.plans import compile_model, machine_of, parse
from tests.targets.routings import TURNING, deliveries, routes


@cache
def program() -> Program:
    """Two layers, of which the first is cut into row blocks, on a chip of 4 × 4."""
    draw = np.random.default_rng(0)
    model = parse(
        """g (float[N, 40] x) => (float[N, 8] y) <float[40, 12] v, float[12, 8] w> {
            h = MatMul(x, v)
            r = Relu(h)
            y = MatMul(r, w)
        }""",
        v=draw.normal(size=(40, 12)).astype(np.float32),
        w=draw.normal(size=(12, 8)).astype(np.float32),
    )
    return compile_model(model, {"x": draw.normal(size=(6, 40)).astype(np.float32)}, machine_of(rows=8, columns=8))


def with_routes(**changes: Any) -> Program:
    return replace(program(), mapping=replace(program().mapping, routes=replace(_facts(), **changes)))


def _facts() -> Any:
    assert program().mapping.routes is not None
    return program().mapping.routes


def with_tensor(name: str, change: Callable[[Any], Any]) -> Program:
    made = program()
    return replace(made, tensors={**made.tensors, f"route/{name}": change(made.tensors[f"route/{name}"].copy())})


def with_core(change: Callable[[CoreProgram], CoreProgram]) -> Program:
    first, *others = program().cores
    return replace(program(), cores=(change(first), *others))


def put(index: int, value: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[index] = value
        return array

    return change


def says(made: Program, sentence: str) -> None:
    problems = check_program(made)
    assert any(sentence in problem for problem in problems), problems


def test_what_is_compiled_is_sound_and_survives_as_text() -> None:
    made = program()
    assert check_program(made) == ()
    assert made.mapping.links
    assert parse_program(print_program(made), made.tensors) == made


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("words", lambda a: a.astype(np.float32), "route/words is float32 of shape"),
        ("words", lambda a: a[:-1], "the tensors of the routes differ in length"),
        ("count", put(0, 0), "the tensors of the routes differ in length"),
        ("target", put(0, 99), "the routes name cores that are none of the"),
        ("source", put(0, -1), "the routes name cores that are none of the"),
        ("words", put(0, np.nan), "the words of a delivery are no number from 0"),
        ("column_first", put(0, True), "the routes are said to be xy, and not all of them are"),
        ("words", put(0, 1e6), "words; the routes lay 1"),
    ],
)
def test_arrays_of_routes(name: str, change: Callable[[Any], Any], sentence: str) -> None:
    says(with_tensor(name, change), sentence)


def test_a_tensor_that_is_missing() -> None:
    tensors = {name: array for name, array in program().tensors.items() if name != "route/count"}
    says(replace(program(), tensors=tensors), "the tensor route/count of the routes is not there")


def test_facts_of_routes() -> None:
    says(with_routes(virtual_channels=2), "need 2 virtual channels a link; those of the machine: not published")
    says(with_routes(multicast=True), "the routes multicast, which the machine is not said to do")
    says(with_routes(link_words=3), "links hold 3 words, and the longest vector has 8")


def test_links_that_carry_something_else() -> None:
    first, *others = program().mapping.links
    mapping = program().mapping
    less = replace(program(), mapping=replace(mapping, links=tuple(others)))
    says(less, f"link {first.source} → {first.target} is said to carry 0 words; the routes lay {first.words:g} on it")
    says(replace(program(), mapping=replace(mapping, links=(first, first, *others))), "a link is listed twice")


def test_more_sites_than_can_be_looked_at() -> None:
    *others, last = program().cores
    far = replace(last, site=replace(last.site, chip=2**31 - 1))
    says(replace(program(), cores=(*others, far)), "sites; routes over more than 16777216 are not checked")


def test_a_message_without_a_way() -> None:
    made = program()
    routed = replace(made, tensors={**made.tensors, **deliveries([]).tensors()})
    says(routed, "and no route goes there")


def test_ways_that_wait_in_a_circle() -> None:
    made = routes(list(TURNING), (2, 2))
    says(turning(made, 1), "deadlock: vectors on these links can wait for each other in a circle: 0:0,0 → 0:1,0, then")
    assert not any("deadlock" in problem for problem in check_program(turning(made, 2)))


def turning(made: Routes, virtual_channels: int) -> Program:
    """A program without layers on a chip of 2 × 2 whose deliveries are given."""
    cores = tuple(CoreProgram(site=made.floor.site(number), loads=(), kernels=()) for number in range(4))
    facts = replace(_facts(), mode="balanced", virtual_channels=virtual_channels, link_words=8)
    mapping = replace(program().mapping, grid=(2, 2), links=made.traffic(), routes=facts)
    mesh = replace(program().target.mesh, virtual_channels=virtual_channels)
    target = replace(program().target, mesh=mesh)
    return replace(program(), target=target, cores=cores, mapping=mapping, tensors=made.deliveries.tensors())


def test_sizes_of_buffers() -> None:
    memory = program().cores[0].memory
    assert memory is not None

    def without(core: CoreProgram) -> CoreProgram:
        return replace(core, memory=replace(memory, channel_words=memory.channel_words - 1))

    says(with_core(without), "core 0:0,0: its channel buffer of 23 words is too small for the 24 of its layers")
    small = replace(program().target, core=Core(functions=program().target.core.functions, buffer_words=50))
    says(replace(program(), target=small), f"core 0:0,0: its buffers take {memory.words} words of 50")
    large = replace(memory, input_words=1000)
    assert check_program(with_core(lambda core: replace(core, memory=large))) == ()
    assert check_program(with_core(lambda core: replace(core, memory=None))) == ()


def test_a_channel_without_room() -> None:
    def shallow(core: CoreProgram) -> CoreProgram:
        kernel = core.kernels[0]
        body = tuple(replace(i, depth=0) if isinstance(i, Accumulate) else i for i in kernel.body)
        return replace(
            core, kernels=(replace(kernel, body=body),), memory=Memory(**dict.fromkeys(vars(core.memory), 99))
        )

    says(with_core(shallow), "has room for no message, so core")


def test_lines_of_what_slides_no_window() -> None:
    mapping = replace(program().mapping, lines=(LineBuffer(layer="y", rows=1, words=4),))
    says(replace(program(), mapping=mapping), "a line buffer is of y, which slides no window")

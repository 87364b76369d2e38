"""Schedules that a program cannot keep are refused, by the program alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import mho
from mho.examples import digits
from mho.passes.schedule.schedule import Schedule
from mho.runtime.check_needs import check_needs
from mho.stages import Stages
from mho.targets.check.check import check_program
from mho.targets.mapping import Need, Slot
from mho.targets.program import Program
from tests.compilations import digits_on, pipeline, small


def program() -> Program:
    return digits_on("hermes64", "pipelined", 1).program


def changed(made: Program, step: str, **to: Any) -> Program:
    """The program with another slot of one step."""
    slots = tuple(replace(slot, **to) if slot.step == step else slot for slot in made.mapping.schedule)
    return replace(made, mapping=replace(made.mapping, schedule=slots))


def slot(made: Program, step: str) -> Slot:
    return next(slot for slot in made.mapping.schedule if slot.step == step)


def problems(made: Program) -> str:
    return "\n".join((*check_program(made), *check_needs(made)))


def test_what_the_compiler_makes_is_sound() -> None:
    made = program()
    assert problems(made) == ""
    assert {need.step for need in slot(made, "conv2").needs} == {"conv1"}
    assert slot(made, "conv2").start_ns < slot(made, "conv1").end_ns


def test_rows_before_the_rows_that_they_need() -> None:
    made = program()
    conv = slot(made, "conv2")
    early = changed(made, "conv2", start_ns=0.0, results=((0, conv.results[0][1] - conv.start_ns), *conv.results[1:]))
    assert "step conv2 begins row 0 at 0 ns, before row" in problems(early)
    fewer = tuple(replace(need, ahead=need.ahead - 1) for need in conv.needs)
    assert "step conv2 waits for too few rows of conv1" in problems(changed(made, "conv2", needs=fewer))
    assert "step conv2 does not wait for conv1, which makes" in problems(changed(made, "conv2", needs=()))


def test_needs_are_followed_through_digital_graphs() -> None:
    made = program()
    digital = slot(made, "residual")
    assert digital.needs
    assert "step residual does not wait for conv" in problems(changed(made, "residual", needs=digital.needs[:1]))
    late = replace(digital.needs[0], stride=0)
    assert problems(changed(made, "residual", needs=(late, *digital.needs[1:]))) != ""


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ({"rows": 3}, "the results of 3 rows are told of rows 0,"),
        ({"results": ()}, "has 4 rows and does not tell when they are there"),
        ({"rows": 2**30}, "rows, at most 1048576 can be scheduled"),
        ({"end_ns": 1.0}, "ends before it starts"),
        ({"row_ns": 1e9}, "faster than 1e+09 ns a row"),
        ({"needs": (Need(step="nobody"),)}, "waits for nobody, which has no slot"),
    ],
)
def test_slots_that_contradict_themselves(to: dict[str, Any], words: str) -> None:
    made = program()
    step = next(slot.step for slot in made.mapping.schedule if slot.rows == 4 and slot.start_ns > 1)
    assert words in problems(changed(made, step, **to))


def test_steps_without_a_slot_and_with_two() -> None:
    made = program()
    first, *rest = made.mapping.schedule
    assert f"step {first.step} has no slot" in problems(
        replace(made, mapping=replace(made.mapping, schedule=tuple(rest)))
    )
    twice = replace(made, mapping=replace(made.mapping, schedule=(first, first, *rest)))
    assert f"step {first.step} has 2 slots" in problems(twice)


def test_a_layer_cannot_be_faster_than_its_slowest_tile() -> None:
    made = program()
    last = slot(made, "dense2")
    short = changed(made, "dense2", end_ns=last.start_ns + 1.0, row_ns=0.0)
    assert "step dense2 takes 1 ns, its layer dense2 520 ns" in problems(short)


def test_layers_in_one_tile_take_turns() -> None:
    made = digits_on("small", "sequential", 1).program
    found = _together_with(made, slot(made, "conv1"))
    assert any("use the same tile or unit at the same time" in problem for problem in found)
    assert not any("the same tile" in problem for problem in _together_with(program(), slot(program(), "conv1")))


def _together_with(made: Program, moved: Slot) -> tuple[str, ...]:
    """What is wrong once every layer's slot is where another one's is."""
    layers = {layer.name for layer in made.layers}
    slots = tuple(
        replace(slot, start_ns=moved.start_ns, end_ns=moved.end_ns, rows=1, results=(), row_ns=0.0, needs=())
        if slot.step in layers
        else replace(slot, needs=())
        for slot in made.mapping.schedule
    )
    return check_program(replace(made, mapping=replace(made.mapping, schedule=slots)))


def test_turns_repeat_with_the_interval() -> None:
    made = program()
    mapping = made.mapping
    timing = replace(mapping.timing, mode="throughput")
    busiest = max(mapping.costs.layers_ns.values())
    fast = replace(mapping, timing=timing, costs=replace(mapping.costs, interval_ns=busiest / 2))
    assert "use the same tile or unit at the same time of" in problems(replace(made, mapping=fast))
    none = replace(mapping, timing=timing, costs=replace(mapping.costs, interval_ns=0.0))
    assert problems(replace(made, mapping=none)) == ""


def test_a_pipeline_is_sound() -> None:
    example, passes = digits(), replace(pipeline("sequential"), schedule=Schedule(mode="throughput"))
    stages = Stages(verify=True)
    made = mho.compile(example.model, small(), example.calibration_data, pipeline=passes, stages=stages).program
    assert made.mapping.timing.mode == "throughput"
    assert problems(made) == ""


def test_a_program_of_an_older_format_has_whole_steps() -> None:
    """Slots that tell of no rows and no needs are in order where every step waits for the ends of others."""
    made = program()
    order = [replace(slot, rows=1, results=(), needs=(), free_ns=None) for slot in made.mapping.schedule]
    length = max(slot.end_ns for slot in order)
    apart = [replace(slot, start_ns=i * length, end_ns=(i + 1) * length, row_ns=0.0) for i, slot in enumerate(order)]
    assert problems(replace(made, mapping=replace(made.mapping, schedule=tuple(apart)))) == ""
    swapped = replace(made, mapping=replace(made.mapping, schedule=tuple(order)))
    assert "does not wait for" in problems(swapped)

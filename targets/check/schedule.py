"""Checks of a schedule by the program alone: no row before the rows that it needs, and nothing used twice at a time.

That the needs are those of the values is checked in `mho.runtime.check_needs`, which can read digital graphs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mho.targets.isa import CoreProgram, Load
from mho.targets.mapping import Need, Slot
from mho.targets.program import Program
from mho.targets.steps import Digital, layers, walk

SLACK = 1e-9
"""Of the last moment of a schedule: what rounding may be wrong by."""

MOST_ROWS = 2**20
"""A schedule that claims more rows than this for a step is refused before its rows are counted out."""


def check_schedule(program: Program) -> Iterator[str]:
    """What is wrong with the slots, a sentence each; nothing where there is no schedule."""
    schedule = program.mapping.schedule
    if not schedule:
        return
    slots = {slot.step: slot for slot in schedule}
    yield from (
        f"step {name} has {count} slots" for name, count in Counter(s.step for s in schedule).items() if count > 1
    )
    steps = [step.name for step in walk(program.sequence) if not isinstance(step, Digital)]
    yield from (f"step {name} has no slot in the schedule" for name in steps if name not in slots)
    shapes = list(check_slots(schedule))
    yield from shapes
    if not shapes:
        yield from _durations(program, slots)
        yield from Turns.of(program).problems(slots)


def check_slots(schedule: Iterable[Slot]) -> Iterator[str]:
    """What is wrong with slots by themselves: curves of results, and rows that begin before what they need is there."""
    slots = {slot.step: slot for slot in schedule}
    slack = SLACK * max((slot.end_ns for slot in slots.values()), default=0.0) + SLACK
    bad = [problem for slot in slots.values() for problem in _curve(slot, slack)]
    yield from bad
    if not bad:
        for slot in slots.values():
            yield from (problem for need in slot.needs for problem in _early(slot, need, slots, slack))


def _curve(slot: Slot, slack: float) -> Iterator[str]:
    if slot.end_ns < slot.start_ns:
        yield f"step {slot.step} ends before it starts"
    if slot.rows > MOST_ROWS:
        yield f"step {slot.step} has {slot.rows} rows, at most {MOST_ROWS} can be scheduled"
        return
    if not slot.results:
        if slot.rows > 1:
            yield f"step {slot.step} has {slot.rows} rows and does not tell when they are there"
        return
    rows, times = zip(*slot.results, strict=True)
    if rows[0] != 0 or rows[-1] != slot.rows - 1 or any(b <= a for a, b in pairwise(rows)):
        yield f"step {slot.step}: the results of {slot.rows} rows are told of rows {', '.join(map(str, rows[:8]))}"
        return
    if times[0] < slot.start_ns + slot.row_ns - slack or abs(times[-1] - slot.end_ns) > slack:
        yield f"step {slot.step} gives its rows from {times[0]:g} to {times[-1]:g} ns outside its slot"
    for (row, time), (next_row, next_time) in pairwise(slot.results):
        if next_time - time < (next_row - row) * slot.row_ns - slack:
            yield f"step {slot.step} gives rows {row} to {next_row} faster than {slot.row_ns:g} ns a row"


def _early(slot: Slot, need: Need, slots: Mapping[str, Slot], slack: float) -> Iterator[str]:
    other = slots.get(need.step)
    if other is None:
        yield f"step {slot.step} waits for {need.step}, which has no slot"
        return
    results = slot.results_ns()
    starts = results - (results[0] - slot.start_ns)
    last = need.last(slot.rows, other.rows)
    there = np.where(last >= 0, other.results_ns()[last], 0.0)
    late = np.nonzero(there > starts + slack)[0]
    if len(late):
        row = int(late[0])
        yield (
            f"step {slot.step} begins row {row} at {starts[row]:g} ns, before row {int(last[row])} of {need.step} is "
            f"there at {there[row]:g} ns"
        )


def _durations(program: Program, slots: Mapping[str, Slot]) -> Iterator[str]:
    """No layer takes less than the time that its slowest tile is busy."""
    for layer in layers(program.sequence):
        busy, slot = program.mapping.costs.layers_ns.get(layer.name), slots.get(layer.step)
        taken = None if slot is None else slot.busy_until_ns - slot.start_ns
        if busy is not None and taken is not None and taken < busy * (1 - SLACK) - SLACK:
            yield f"step {layer.step} takes {taken:g} ns, its layer {layer.name} {busy:g} ns"


@dataclass(frozen=True)
class Turns:
    """What takes turns: steps that share the lines of a crossbar, or a digital unit.

    Attributes:
        shared: sets of steps of which one runs at a time.
        interval_ns: after which everything happens again; None for one inference alone.
    """

    shared: frozenset[frozenset[str]]
    interval_ns: float | None = None

    @staticmethod
    def of(program: Program) -> Turns:
        """By the loads of the cores."""
        users: dict[str, set[str]] = {}
        for layer in layers(program.sequence):
            users.setdefault(layer.matrix, set()).add(layer.step)
        together = {names for core in program.cores for names in _together(core)}
        together |= {frozenset({matrix.name}) for matrix in program.matrices}
        steps = {frozenset(step for name in names for step in users.get(name, ())) for names in together}
        mapping = program.mapping
        repeats = mapping.timing.mode == "throughput"
        return Turns(frozenset(steps), mapping.costs.interval_ns or None if repeats else None)

    def problems(self, slots: Mapping[str, Slot]) -> Iterator[str]:
        """Pairs of steps that use the same at the same time."""
        units: dict[str, set[str]] = {}
        for slot in slots.values():
            if slot.unit:
                units.setdefault(slot.unit, set()).add(slot.step)
        clashes = {
            (a.step, b.step)
            for steps in (*self.shared, *units.values())
            for a, b in self._clashes([slots[step] for step in steps if step in slots])
        }
        for one, other in sorted(clashes):
            when = "at the same time" if self.interval_ns is None else f"at the same time of {self.interval_ns:g} ns"
            yield f"{one} and {other} use the same tile or unit {when}"

    def _clashes(self, slots: list[Slot]) -> Iterator[tuple[Slot, Slot]]:
        taken = [slot for slot in slots if slot.busy_until_ns > slot.start_ns]
        slack = SLACK * max((slot.busy_until_ns for slot in taken), default=0.0) + SLACK
        period = self.interval_ns
        if period is None:
            arcs = sorted((slot.start_ns, slot.busy_until_ns, slot.step, slot) for slot in taken)
        else:
            arcs = sorted(
                (slot.start_ns % period, slot.start_ns % period + slot.busy_until_ns - slot.start_ns, slot.step, slot)
                for slot in taken
            )
            arcs += [(start + period, end + period, step, slot) for start, end, step, slot in arcs[:1]]
            yield from ((slot, slot) for start, end, _, slot in arcs if end - start > period + slack)
        for (_, end, _, one), (start, _, _, other) in pairwise(arcs):
            if start < end - slack and one is not other:
                yield one, other


def _together(core: CoreProgram) -> Iterator[frozenset[str]]:
    """The matrices of blocks in a core that share rows or columns with each other, directly or by others."""
    if len({load.matrix for load in core.loads}) < 2:
        return
    groups: list[list[Load]] = []
    for load in core.loads:
        touching = [group for group in groups if any(_share(load, other) for other in group)]
        groups = [group for group in groups if group not in touching]
        groups.append([load, *(other for group in touching for other in group)])
    yield from (frozenset(load.matrix for load in group) for group in groups)


def _share(a: Load, b: Load) -> bool:
    height, other_height = a.rows[1] - a.rows[0], b.rows[1] - b.rows[0]
    width, other_width = a.columns[1] - a.columns[0], b.columns[1] - b.columns[0]
    rows = a.row_offset < b.row_offset + other_height and b.row_offset < a.row_offset + height
    columns = a.column_offset < b.column_offset + other_width and b.column_offset < a.column_offset + width
    return rows or columns

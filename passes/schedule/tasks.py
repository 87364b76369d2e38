"""`tasks`: the steps of a placed network as the schedule sees them: how long, on what, and after what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mho.passes.schedule.costs import LayerCost
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.reach import Made, Reaches, Rows
from mho.passes.schedule.units import unit_time
from mho.targets.cost import Work, firing_ns, pace_ns, rounds
from mho.targets.mapping import Overlap
from mho.targets.rows import WHOLE, Reach
from mho.targets.steps import (
    Analog,
    Body,
    Branch,
    Digital,
    Loop,
    Recurrent,
    Scan,
    Step,
    bodies,
    captures,
    reads,
    writes,
)


@dataclass(frozen=True)
class Wait:
    """Rows of another task, by its number, that the rows of a task wait for."""

    task: int
    reach: Reach = WHOLE


@dataclass(frozen=True)
class Pool:
    """Digital units of one kind on one chip; as many as wanted where their number is unknown."""

    chip: int
    unit: str
    count: int | None

    def name(self, number: int) -> str:
        return f"digital unit {self.unit} {number} of chip {self.chip}"


@dataclass(frozen=True)
class Task:
    """Something that takes its resources for a time, or marks a moment: the beginning or end of a control step.

    Row r begins when the rows that it needs are there and row r − 1 has left its place: its resources work for
    `row_ns` on it; its result is there `tail_ns + way_ns` later. After the last row the resources work for `tail_ns`.

    Attributes:
        step: its name; lanes: all that it takes; pool: the digital units of which it takes one.
        opens, closes: whether it is only the beginning, or the end, of a control step.
    """

    step: str
    rows: int = 1
    row_ns: float = 0.0
    tail_ns: float = 0.0
    way_ns: float = 0.0
    waits: tuple[Wait, ...] = ()
    lanes: frozenset[int] = frozenset()
    pool: Pool | None = None
    opens: bool = False
    closes: bool = False

    @property
    def busy_ns(self) -> float:
        """How long it takes its resources where no row waits."""
        return self.rows * self.row_ns + self.tail_ns

    @property
    def limited(self) -> bool:
        """Whether it takes one of a known number of digital units."""
        return self.pool is not None and self.pool.count is not None

    @property
    def least_ns(self) -> float:
        """From its beginning to its last result where no row waits."""
        return self.busy_ns + self.way_ns


def tasks(machine: Machine, layers: Mapping[str, LayerCost], overlap: Overlap) -> tuple[Task, ...]:
    """The tasks of a network in the order of its steps; every task waits for earlier ones only."""
    listing = _Listing(machine, layers, Reaches(machine.network) if overlap == "rows" else None)
    listing.steps(machine.network.steps, {}, None)
    return tuple(listing.found)


@dataclass(frozen=True)
class _Value:
    """A value that a task makes."""

    task: int
    chip: int
    rows: Rows = field(default_factory=Rows)


@dataclass(frozen=True)
class _Listing:
    """Collects tasks while it walks the steps. Rows are told apart in the main sequence only."""

    machine: Machine
    layers: Mapping[str, LayerCost]
    reaches: Reaches | None
    found: list[Task] = field(default_factory=list)

    def steps(self, steps: Iterable[Step], values: dict[str, _Value], inside: int | None) -> list[int]:
        """Lists steps in order; `inside` is the task that begins the body that they are of."""
        listed: list[int] = []
        for step in steps:
            captured = [name for body in bodies(step) for name in captures(body)]
            read = {name: values[name] for name in (*reads(step), *captured) if name in values}
            made = self._made(step, read, inside)
            waits = [Wait(value.task, made.reach(name)) for name, value in read.items()]
            if inside is not None:
                waits.append(Wait(inside))
            chip = self._chip(step, read.values())
            number = self._step(step, made.rows, _joined(waits), values, chip)
            listed.append(number)
            values |= {name: _Value(number, chip, _rows_of(step, name, made.rows)) for name in writes(step)}
        return listed

    def _made(self, step: Step, read: Mapping[str, _Value], inside: int | None) -> Made:
        if self.reaches is None or inside is not None:
            return Made()
        return self.reaches.made(step, {name: value.rows for name, value in read.items()})

    def _step(self, step: Step, rows: Rows, waits: tuple[Wait, ...], values: dict[str, _Value], chip: int) -> int:
        """Lists a step and returns the number of the task that has its results."""
        match step:
            case Analog():
                return self._add(self._fire(step, rows.count, waits))
            case Recurrent():
                return self._add(self._recur(step, rows.count, waits))
            case Digital():
                return self._add(self._compute(step, rows.count, waits, chip))
            case Branch() | Loop() | Scan():
                begin = self._add(Task(step.name, waits=waits, opens=True))
                inner = [number for body in bodies(step) for number in self._body(body, values, begin, chip)]
                ends = (Wait(number) for number in dict.fromkeys((begin, *inner)))
                return self._add(Task(step.name, waits=tuple(ends), closes=True))

    def _body(self, body: Body, values: dict[str, _Value], begin: int, chip: int) -> list[int]:
        given = dict.fromkeys(body.inputs, _Value(begin, chip))
        return self.steps(body.steps, {**values, **given}, begin)

    def _add(self, task: Task) -> int:
        self.found.append(task)
        return len(self.found) - 1

    def _fire(self, step: Analog, rows: int, waits: tuple[Wait, ...]) -> Task:
        """The positions of a replica one after another, the same number in every row."""
        machine, target = self.machine, self.machine.target
        positions, layer = machine.positions(step.name), self.layers[step.name]
        busy = layer.busy_ns or 0.0
        pace = max((pace_ns(target, work) for work in set(layer.lane_work.values())), default=0.0)
        row = busy if rows == 1 else min(busy, positions * pace) / rows
        way = machine.transport_ns(step.name) if busy else 0.0
        return Task(step.name, rows, row, max(busy - rows * row, 0.0), way, waits, frozenset(layer.lane_work))

    def _recur(self, step: Recurrent, rows: int, waits: tuple[Wait, ...]) -> Task:
        """Time steps one after another; in each the x and h matrices fire at once, those of r ⊙ h after them.

        A time step fires one replica of each matrix.
        """
        machine = self.machine
        gates = [gate for direction in step.directions for gate in direction.gates]
        trips = max((rounds(machine.tiling.calibrated.layers[g.name].fires, 1) for g in gates), default=0)
        once = 0.0
        for phase in ({"x", "h"}, {"rh"}):
            names = [g.name for g in gates if g.operand in phase]
            if names:
                once += self._longest_ns(_together(machine.step_work(name) for name in names))
                once += max(machine.transport_ns(name) for name in names)
        every = frozenset(lane for g in gates for lane in self.layers[g.name].lane_work)
        return Task(step.name, rows, trips * once / rows, waits=waits, lanes=every)

    def _compute(self, step: Digital, rows: int, waits: tuple[Wait, ...], chip: int) -> Task:
        """On a shared unit where its time is known, else at once."""
        time = unit_time(self.machine.network, self.machine.target, step)
        if time is None:
            return Task(step.name, rows, waits=waits)
        unit = self.machine.target.units[time.unit]
        pool = Pool(chip, time.unit, unit.count)
        return Task(step.name, rows, time.time_ns / rows, waits=waits, pool=pool)

    def _longest_ns(self, work: Mapping[int, Work]) -> float:
        """How long the slowest of some lanes works at one position."""
        target = self.machine.target
        return max((firing_ns(target, 1, each) or 0.0 for each in set(work.values())), default=0.0)

    def _chip(self, step: Step, read: Iterable[_Value]) -> int:
        """The chip of a layer's first tile; of other steps that of what they read first."""
        machine = self.machine
        if isinstance(step, Analog):
            block = machine.traffic.blocks_of[step.matrix][0].number
            return int(machine.place[machine.traffic.tile_of[block], 0])
        return next((value.chip for value in read), 0)


def _rows_of(step: Step, value: str, rows: Rows) -> Rows:
    """The last states of a recurrent layer come as a whole, at its end."""
    return Rows() if isinstance(step, Recurrent) and value != step.output else rows


def _joined(waits: Iterable[Wait]) -> tuple[Wait, ...]:
    """One entry for each task and reach; the whole of a task alone where it is among them."""
    listed = dict.fromkeys(waits)
    whole = {wait.task for wait in listed if wait.reach.whole}
    return tuple(wait for wait in listed if wait.reach.whole or wait.task not in whole)


def _together(works: Iterable[Mapping[int, Work]]) -> dict[int, Work]:
    """What several layers do in each lane."""
    total: dict[int, Work] = {}
    for work in works:
        for lane, each in work.items():
            total[lane] = total.get(lane, Work()) + each
    return total

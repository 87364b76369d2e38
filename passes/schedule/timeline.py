"""Timelines: when tasks run, row by row, on resources that serve one task at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mho.passes.schedule.tasks import Pool, Task, Wait
from mho.targets.arrays import Floats

MOST_ENTRIES = 16
"""Of a curve of results in a program; one with more bends is replaced by its concave majorant."""


@dataclass(frozen=True)
class Run:
    """A task at its time.

    Attributes:
        starts: of each row, ns; results: when each row has arrived.
        unit: which of its pool's units it takes.
    """

    task: Task
    starts: Floats
    unit: int = 0

    @cached_property
    def results(self) -> Floats:
        return self.starts + self.task.row_ns + self.task.tail_ns + self.task.way_ns

    @property
    def start_ns(self) -> float:
        return float(self.starts[0])

    @property
    def free_ns(self) -> float:
        """When its resources are free again."""
        return float(self.starts[-1]) + self.task.row_ns + self.task.tail_ns

    @property
    def end_ns(self) -> float:
        return float(self.results[-1])

    def moved(self, start_ns: float) -> Run:
        """The same run at another beginning."""
        return Run(self.task, self.starts + (start_ns - self.start_ns), self.unit)


@dataclass(frozen=True)
class Resources:
    """What tasks share: classes of lanes that the same tasks take, and pools of digital units.

    Attributes:
        of_task: task → the classes that it shares with another task.
    """

    of_task: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(tasks: Sequence[Task]) -> Resources:
        users: dict[int, list[int]] = {}
        for number, task in enumerate(tasks):
            for lane in task.lanes:
                users.setdefault(lane, []).append(number)
        classes = {shared: None for shared in map(tuple, users.values()) if len(shared) > 1}
        held: list[list[int]] = [[] for _ in tasks]
        for number, shared in enumerate(sorted(classes)):
            for task_number in shared:
                held[task_number].append(number)
        return Resources(tuple(map(tuple, held)))

    @property
    def shared(self) -> bool:
        return any(self.of_task)


def earliest(task: Task, runs: Mapping[int, Run], ready_ns: float = 0.0) -> Floats:
    """The first moments at which the rows of a task can begin: what they need is there, and the row before is done."""
    needed = np.full(task.rows, ready_ns)
    for wait in task.waits:
        np.maximum(needed, arrivals(runs[wait.task], wait, task.rows), out=needed)
    steps = np.arange(task.rows) * task.row_ns
    starts: Floats = np.maximum.accumulate(needed - steps) + steps
    return starts


def arrivals(run: Run, wait: Wait, rows: int) -> Floats:
    """Row of the waiting task → when all that it needs of a run is there."""
    if wait.reach.whole:
        return np.full(rows, run.end_ns)
    last = wait.reach.last(rows, run.task.rows)
    return np.where(last >= 0, run.results[last], 0.0)


def without_waiting(task: Task, start_ns: float = 0.0) -> Floats:
    """The beginnings of rows that follow each other at once."""
    return start_ns + np.arange(task.rows, dtype=np.float64) * task.row_ns


def close_together(task: Task, starts: Floats) -> Floats:
    """The same last row, and every other as late as it can be: no row waits for another."""
    return without_waiting(task, float(starts[-1]) - (task.rows - 1) * task.row_ns)


def bends(times: Floats) -> tuple[int, ...]:
    """The rows at which a curve of times changes its slope by more than rounding, both ends included."""
    if len(times) == 1:
        return (0,)
    rounding = 1e-11 * float(np.abs(times).max())
    inner = np.nonzero(np.abs(np.diff(np.diff(times))) > rounding)[0] + 1
    return (0, *inner.tolist(), len(times) - 1)


def smooth(times: Floats) -> Floats:
    """A curve with few bends that is nowhere below, but for rounding: itself, its least concave majorant, or a line.

    All of them have the same end, and no slope is below the curve's least one.
    """
    kept = bends(times)
    if len(kept) <= MOST_ENTRIES:
        return np.interp(np.arange(len(times)), kept, times[list(kept)])
    hull: list[int] = []
    for row in range(len(times)):
        while len(hull) > 1 and _below(times, hull[-2], hull[-1], row):
            hull.pop()
        hull.append(row)
    if len(hull) > MOST_ENTRIES:
        rest = np.arange(len(times))[::-1]
        return np.asarray(times[-1] - rest * float(np.diff(times).min()), dtype=np.float64)
    return np.interp(np.arange(len(times)), hull, times[hull])


def _below(times: Floats, first: int, middle: int, last: int) -> bool:
    """Whether the middle one of three points lies on or below the line through the others."""
    rise = (times[last] - times[first]) * (middle - first)
    return bool((times[middle] - times[first]) * (last - first) <= rise)


@dataclass(frozen=True)
class Free:
    """When classes of lanes and digital units are free again, in a timeline that grows at its end."""

    classes: dict[int, float] = field(default_factory=dict)
    units: dict[Pool, list[float]] = field(default_factory=dict)

    def from_ns(self, task: Task, held: Iterable[int]) -> tuple[float, int]:
        """From when on a task's classes and one of its units are free, and which unit that is."""
        ready = max((self.classes.get(one, 0.0) for one in held), default=0.0)
        if task.pool is None or task.pool.count is None:
            return ready, 0
        units = self.units.setdefault(task.pool, [0.0] * task.pool.count)
        unit = min(range(len(units)), key=lambda one: (units[one], one))
        return max(ready, units[unit]), unit

    def take(self, run: Run, held: Iterable[int]) -> None:
        self.classes.update(dict.fromkeys(held, run.free_ns))
        if run.task.pool is not None and run.task.pool.count is not None:
            self.units[run.task.pool][run.unit] = run.free_ns


def critical(tasks: Sequence[Task]) -> list[Run]:
    """Every task as early as what it waits for allows, as though nothing were shared."""
    found: dict[int, Run] = {}
    for number, task in enumerate(tasks):
        found[number] = Run(task, earliest(task, found))
    return list(found.values())


def in_turn(tasks: Sequence[Task], order: Iterable[int], resources: Resources) -> list[Run]:
    """List scheduling: tasks in the given order, each as early as its values and its resources allow."""
    free = Free()
    found: dict[int, Run] = {}
    for number in order:
        task, held = tasks[number], resources.of_task[number]
        ready, unit = free.from_ns(task, held)
        starts = earliest(task, found, ready)
        shares = bool(held) or task.limited
        run = Run(task, close_together(task, starts) if shares else smooth(starts), unit)
        free.take(run, held)
        found[number] = run
    return [found[number] for number in range(len(tasks))]


def urgent_first(tasks: Sequence[Task]) -> list[int]:
    """The tasks ordered by the longest way that is left from each, those that they wait for first."""
    left = [task.least_ns for task in tasks]
    users: list[list[int]] = [[] for _ in tasks]
    for number in reversed(range(len(tasks))):
        for wait in tasks[number].waits:
            users[wait.task].append(number)
            left[wait.task] = max(left[wait.task], tasks[wait.task].least_ns + left[number])
    missing = [len({wait.task for wait in task.waits}) for task in tasks]
    ready = [(-left[number], number) for number, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, number = heapq.heappop(ready)
        order.append(number)
        for user in dict.fromkeys(users[number]):
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, (-left[user], user))
    return order


def end_ns(runs: Iterable[Run]) -> float:
    """When the last of some runs has ended."""
    return max((run.end_ns for run in runs), default=0.0)

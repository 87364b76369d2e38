"""Software pipelining: one schedule for every inference, a fixed interval apart, nothing wanted twice at once.

What a task waits for never limits the interval, as it may begin whole intervals later. What limits it is what tasks
share: their times must not overlap modulo the interval (modulo scheduling: Rau, "Iterative modulo scheduling",
MICRO-27, 1994; here without the iteration, as nothing goes round from one inference to the next).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mho.passes.schedule.tasks import Pool, Task
from mho.passes.schedule.timeline import Free, Resources, Run, close_together, earliest, end_ns, smooth, without_waiting
from mho.targets.arrays import Floats

GROWTH = (1.0, 1.01, 1.02, 1.04, 1.07, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
"""Intervals that are tried, as parts of the least one, before inferences follow each other without overlap."""

SLACK = 1e-9
"""Of an interval: times that are closer are the same moment."""


@dataclass(frozen=True)
class Pipelined:
    """The runs of one inference, and after how long the next may do the same."""

    interval_ns: float
    runs: tuple[Run, ...]


def pipelined(
    tasks: Sequence[Task],
    resources: Resources,
    least_ns: float,
    single: Sequence[Run],
    search: Callable[[], list[int] | None] = lambda: None,
) -> Pipelined:
    """The shortest interval that is found, at least `least_ns`.

    Args:
        single: a schedule of one inference, which can be repeated as a whole.
        search: looks for an order of the tasks that take turns, which is asked for where nothing else meets the bound.
    """
    found = _soonest(tasks, resources, least_ns, single)
    for order in (lambda: longest_first(tasks), search):
        if found.interval_ns <= least_ns * (1 + SLACK):
            break
        numbers = order()
        other = found if numbers is None else in_turns(tasks, resources, least_ns, numbers)
        found = other if other.interval_ns < found.interval_ns * (1 - SLACK) else found
    return found


def longest_first(tasks: Sequence[Task]) -> list[int]:
    """The tasks by the time that they take."""
    return sorted(range(len(tasks)), key=lambda number: (-tasks[number].busy_ns, number))


def _soonest(tasks: Sequence[Task], resources: Resources, least_ns: float, single: Sequence[Run]) -> Pipelined:
    """Every task at the first moment that is free, modulo intervals that grow until all find one."""
    whole = Pipelined(max(least_ns, end_ns(single)), tuple(single))
    least = max(least_ns, *_loads(tasks, resources), *(task.busy_ns for task in tasks), 0.0)
    for factor in GROWTH if least else ():
        if least * factor >= whole.interval_ns:
            break
        for flush in (False, True):
            runs = _Circle(tasks, resources, least * factor, flush).runs()
            if runs is not None:
                return Pipelined(least * factor, tuple(runs))
    return whole


def in_turns(tasks: Sequence[Task], resources: Resources, least_ns: float, order: Sequence[int]) -> Pipelined:
    """Turns in a given order, an interval long in all; then every task at its turn of the first that will do."""
    free, turns, end = Free(), dict[int, tuple[float, int]](), least_ns
    for number in order:
        task, held = tasks[number], resources.of_task[number]
        if held or task.limited:
            start, unit = free.from_ns(task, held)
            run = Run(task, without_waiting(task, start), unit)
            free.take(run, held)
            turns[number], end = (start, unit), max(end, run.free_ns)
    interval = max(end, *(task.busy_ns for task in tasks), 0.0)
    found: dict[int, Run] = {}
    for number, task in enumerate(tasks):
        starts = earliest(task, found)
        if number in turns:
            together, (offset, unit) = close_together(task, starts), turns[number]
            later = (offset - together[0]) % interval
            found[number] = Run(task, together + (0.0 if later > interval * (1 - SLACK) else later), unit)
        else:
            found[number] = alone(task, starts, interval)
    return Pipelined(interval, tuple(found.values()))


def alone(task: Task, starts: Floats, interval_ns: float) -> Run:
    """A task that shares nothing: as early as can be, but with no row waiting where that would outlast the interval."""
    free = Run(task, smooth(starts))
    fits = free.free_ns - free.start_ns <= interval_ns * (1 + SLACK)
    return free if fits else Run(task, close_together(task, starts))


def _loads(tasks: Sequence[Task], resources: Resources) -> list[float]:
    """How long the tasks take each class, and each digital unit on average."""
    classes: dict[int, float] = {}
    pools: dict[Pool, float] = {}
    for task, held in zip(tasks, resources.of_task, strict=True):
        for one in held:
            classes[one] = classes.get(one, 0.0) + task.busy_ns
        if task.pool is not None and task.pool.count is not None:
            pools[task.pool] = pools.get(task.pool, 0.0) + task.busy_ns / task.pool.count
    return [*classes.values(), *pools.values()]


@dataclass(frozen=True)
class Arcs:
    """When a resource is taken, modulo an interval: arcs of a circle that do not overlap."""

    interval_ns: float
    taken: list[tuple[float, float]] = field(default_factory=list)

    def end_of_clash(self, start: float, length: float) -> float | None:
        """How much later than `start` the first arc ends that a new one would overlap; None where there is none."""
        if not self.taken:
            return None
        slack = SLACK * self.interval_ns
        at = start % self.interval_ns
        place = bisect_left(self.taken, (at + slack, 0.0))
        before, (after, _) = self.taken[place - 1], self.taken[place % len(self.taken)]
        gone = (at - before[0] + slack) % self.interval_ns - slack
        if gone < before[1] - slack:
            return before[1] - gone
        ahead = (after - at + slack) % self.interval_ns - slack
        if ahead < length - slack:
            return ahead + self.taken[place % len(self.taken)][1]
        return None

    def wait_for_edge(self, start: float) -> float:
        """How much later than `start` an arc ends, the next that does."""
        at = start % self.interval_ns
        ends = ((begin + length - at + SLACK * self.interval_ns) % self.interval_ns for begin, length in self.taken)
        return max(0.0, min(ends, default=0.0) - SLACK * self.interval_ns)

    def take(self, start: float, length: float) -> None:
        if length > 0:
            insort(self.taken, (start % self.interval_ns, length))


@dataclass(frozen=True)
class _Circle:
    """One try: tasks in order, each at the first moment from its earliest on when all that it takes is free.

    Attributes:
        flush: whether a task begins only where another ends on a resource that they share, so that no gap is lost.
    """

    tasks: Sequence[Task]
    resources: Resources
    interval_ns: float
    flush: bool
    classes: dict[int, Arcs] = field(default_factory=dict)
    units: dict[Pool, list[Arcs]] = field(default_factory=dict)

    def runs(self) -> list[Run] | None:
        """The runs; None where some task finds no room."""
        found: dict[int, Run] = {}
        for number, task in enumerate(self.tasks):
            run = self._run(task, self.resources.of_task[number], earliest(task, found))
            if run is None:
                return None
            found[number] = run
        return list(found.values())

    def _run(self, task: Task, held: tuple[int, ...], starts: Floats) -> Run | None:
        if not held and not task.limited:
            return alone(task, starts, self.interval_ns)
        together = Run(task, close_together(task, starts))
        arcs = [self.classes.setdefault(one, Arcs(self.interval_ns)) for one in held]
        choices: list[list[Arcs]] = [[*arcs, unit] for unit in self._units(task)] if task.limited else [arcs]
        moments = [self._first(together.start_ns, task.busy_ns, choice) for choice in choices]
        known = [(moment, number) for number, moment in enumerate(moments) if moment is not None]
        if not known:
            return None
        moment, number = min(known)
        for arc in choices[number]:
            arc.take(moment, task.busy_ns)
        run = together.moved(moment)
        return Run(task, run.starts, number)

    def _units(self, task: Task) -> list[Arcs]:
        if task.pool is None or task.pool.count is None:
            return []
        return self.units.setdefault(task.pool, [Arcs(self.interval_ns) for _ in range(task.pool.count)])

    def _first(self, start: float, length: float, arcs: list[Arcs]) -> float | None:
        """The first moment from `start` on when all arcs leave room; None where none does within an interval."""
        at = start
        if self.flush:
            at += min((arc.wait_for_edge(at) for arc in arcs if arc.taken), default=0.0)
        while at <= start + self.interval_ns * (1 + SLACK):
            later = [clash for arc in arcs if (clash := arc.end_of_clash(at, length)) is not None]
            if not later:
                return at
            at += max(later)
        return None

"""Orders of the tasks that take turns, by CP-SAT, where they are few.

Every task is taken as it runs when no row waits for another, so that between two of them there is one least distance.
Times are whole numbers of a part of the longest one: what comes out is an order, which the schedules then time exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mho.passes.schedule.tasks import Task, Wait
from mho.passes.schedule.timeline import Resources, Run, arrivals, without_waiting
from mho.passes.solver import Budget, Problem, new_model, solve

if TYPE_CHECKING:
    from mho.passes.solver import CpModel, IntVar

MOST_TASKS = 80
"""That share something; a model of more has too many pairs for its time."""

PARTS = 10**6
"""Of the time in which all tasks could run one after another."""


def few(tasks: Sequence[Task], resources: Resources) -> bool:
    """Whether the tasks that take turns are few enough for a search, and more than one."""
    return 1 < len(_sharing(tasks, resources)) <= MOST_TASKS


def shortest_order(tasks: Sequence[Task], resources: Resources, limit: Budget, seed: int) -> list[int] | None:
    """An order of all tasks for a short inference; None where none was found."""
    return _order(tasks, resources, limit, seed, waiting=True)


def closest_order(tasks: Sequence[Task], resources: Resources, limit: Budget, seed: int) -> list[int] | None:
    """An order in which the tasks that take turns are done soonest, whatever waits for whatever; None without one."""
    return _order(tasks, resources, limit, seed, waiting=False)


def _sharing(tasks: Sequence[Task], resources: Resources) -> list[int]:
    return [n for n, task in enumerate(tasks) if task.busy_ns and (resources.of_task[n] or task.limited)]


def _order(tasks: Sequence[Task], resources: Resources, limit: Budget, seed: int, waiting: bool) -> list[int] | None:
    chosen = list(range(len(tasks))) if waiting else _sharing(tasks, resources)
    unit = sum(task.least_ns for task in tasks) / PARTS
    if not chosen or not unit:
        return None
    model = new_model()
    starts = {n: model.new_int_var(0, 2 * PARTS, f"start{n}") for n in chosen}
    end = model.new_int_var(0, 3 * PARTS, "end")
    for n in chosen:
        model.add(end >= starts[n] + round((tasks[n].least_ns if waiting else tasks[n].busy_ns) / unit))
    if waiting:
        for n, wait, distance in _distances(tasks):
            model.add(starts[n] >= starts[wait.task] + round(distance / unit))
    _take_turns(model, tasks, resources, starts, unit)
    model.minimize(end)
    found = solve(Problem(model, tuple(starts[n] for n in chosen)), limit, seed)
    if not found.values:
        return None
    return [n for _, n in sorted(zip(found.values, chosen, strict=True))]


def _take_turns(
    model: CpModel, tasks: Sequence[Task], resources: Resources, starts: dict[int, IntVar], unit: float
) -> None:
    """No two tasks at once on a class of lanes, and no more than there are units in a pool."""
    intervals = {
        n: model.new_fixed_size_interval_var(start, round(tasks[n].busy_ns / unit), f"run{n}")
        for n, start in starts.items()
        if tasks[n].busy_ns
    }
    for one in sorted({one for held in resources.of_task for one in held}):
        model.add_no_overlap([intervals[n] for n in intervals if one in resources.of_task[n]])
    for pool in dict.fromkeys(tasks[n].pool for n in intervals if tasks[n].limited):
        served = [intervals[n] for n in intervals if tasks[n].pool == pool]
        if pool is not None and pool.count is not None:
            model.add_cumulative(served, [1] * len(served), pool.count)


def _distances(tasks: Sequence[Task]) -> Iterator[tuple[int, Wait, float]]:
    """Task, what it waits for, and how much later it can begin at the earliest."""
    alone = [Run(task, without_waiting(task)) for task in tasks]
    for number, run in enumerate(alone):
        for wait in run.task.waits:
            there = arrivals(alone[wait.task], wait, run.task.rows)
            yield number, wait, float((there - run.starts).max())

"""`Schedule`: when every step runs, in one inference or in a pipeline of them, and what an inference costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isclose

from mho.passes.levels.plan import Plan, Routing
from mho.passes.schedule.costs import LayerCost, Times, costs
from mho.passes.schedule.exact import closest_order, few, shortest_order
from mho.passes.schedule.limits import Limits, limits
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.pipeline import pipelined
from mho.passes.schedule.tasks import Task, tasks
from mho.passes.schedule.timeline import Resources, Run, bends, critical, end_ns, in_turn, urgent_first
from mho.passes.solver import Budget, Effort, budget
from mho.targets.mapping import Need, Overlap, ScheduleMode, Slot, SolverFacts, Timing

Search = Callable[[Sequence[Task], Resources, Budget, int], list[int] | None]


@dataclass(frozen=True)
class Schedule:
    """Start every step as soon as its values are there and its tiles and digital units are free.

    Steps outside the cores take no time where nobody published one, which is said in what the costs are `missing`. All
    trips of a loop are taken together, and both branches of an `If` at the rate that each was seen to fire.

    Attributes:
        mode: "latency" makes one inference short; "throughput" lets inferences follow each other as fast as is found.
        overlap: "rows" lets a step begin when the rows that its first row needs are there; "steps" when the
            steps that it reads have ended.
        effort: how hard to search for the order of few steps that take turns.
        seed: of that search.
    """

    mode: ScheduleMode = "latency"
    overlap: Overlap = "rows"
    effort: Effort = "normal"
    seed: int = 0

    def run(self, routing: Routing) -> Plan:
        """Schedule inferences of one sample; without a published MVM latency there is no schedule."""
        machine = Machine(routing)
        layers = {name: LayerCost(machine, name) for name in machine.traffic.layers}
        if not machine.timed:
            return Plan(routing, (), costs(machine, layers, None), Timing(mode=self.mode, overlap=self.overlap))
        listed = tasks(machine, layers, self.overlap)
        resources, alone = Resources.of(listed), critical(listed)
        bounds = limits(machine, layers, listed, resources, alone)
        single = self._shortest(listed, resources, bounds)
        pipeline = pipelined(
            listed, resources, bounds.interval_ns, single, lambda: self._order(closest_order, listed, resources)
        )
        runs = single if self.mode == "latency" else pipeline.runs
        times = Times(max(end_ns(runs), bounds.interval_ns), pipeline.interval_ns)
        timing = self._timing(times, bounds, listed)
        facts = costs(machine, layers, times)
        return Plan(routing, slots(runs), facts, timing, (self._proof(times, timing),))

    def _shortest(self, listed: Sequence[Task], resources: Resources, bounds: Limits) -> list[Run]:
        """The shortest of three: in the order of the steps, the most urgent first, and in an order searched for."""
        orders: tuple[Callable[[], Sequence[int] | None], ...] = (
            lambda: urgent_first(listed),
            lambda: self._order(shortest_order, listed, resources),
        )
        runs = in_turn(listed, range(len(listed)), resources)
        for order in orders:
            if end_ns(runs) <= bounds.latency_ns * (1 + 1e-9):
                break
            numbers = order()
            other = runs if numbers is None else in_turn(listed, numbers, resources)
            runs = other if end_ns(other) < end_ns(runs) * (1 - 1e-9) else runs
        return runs

    def _order(self, search: Search, listed: Sequence[Task], resources: Resources) -> list[int] | None:
        """What a search finds in its half of the time, where tasks are few."""
        return search(listed, resources, budget(self.effort).share(2), self.seed) if few(listed, resources) else None

    def _timing(self, times: Times, bounds: Limits, listed: Sequence[Task]) -> Timing:
        return Timing(
            mode=self.mode,
            overlap=self.overlap,
            latency_bound_ns=bounds.latency_ns,
            interval_bound_ns=bounds.interval_ns,
            latency_limit=bounds.of_latency(times.latency_ns),
            interval_limit=bounds.of_interval(times.interval_ns, listed),
            loads=bounds.loads,
        )

    def _proof(self, times: Times, timing: Timing) -> SolverFacts:
        """Of what the mode makes short."""
        latency = self.mode == "latency"
        found = times.latency_ns if latency else times.interval_ns
        bound = timing.latency_bound_ns if latency else timing.interval_bound_ns
        met = bound is not None and isclose(found, bound, rel_tol=1e-9, abs_tol=1e-9)
        return SolverFacts.of("schedule", found, found if met else bound)


def slots(runs: Sequence[Run]) -> tuple[Slot, ...]:
    """What a program keeps of a schedule, in the order of the steps; a control step spans its bodies."""
    found: dict[int, Slot] = {}
    for number, run in enumerate(runs):
        if run.task.closes:
            begin = run.task.waits[0].task
            found[begin] = replace(found[begin], end_ns=run.end_ns)
        else:
            found[number] = _slot(run, runs)
    return tuple(found.values())


def _slot(run: Run, runs: Sequence[Run]) -> Slot:
    task, results = run.task, run.results
    told = [(row, float(results[row])) for row in bends(results)] if task.rows > 1 else []
    return Slot(
        step=task.step,
        start_ns=run.start_ns,
        end_ns=run.end_ns,
        rows=task.rows,
        row_ns=task.row_ns,
        free_ns=run.free_ns if task.way_ns else None,
        results=tuple(told),
        needs=tuple(_needs(task, runs)),
        unit="" if task.pool is None else task.pool.name(run.unit),
    )


def _needs(task: Task, runs: Sequence[Run]) -> Iterator[Need]:
    """What a task waits for, but for the beginning of the control step that it is in."""
    for wait in task.waits:
        other = runs[wait.task].task
        if not other.opens:
            reach = wait.reach
            yield Need(step=other.step, stride=reach.stride, ahead=reach.ahead, spread=reach.spread)

"""What keeps a schedule from being shorter: the load of all that serves one task at a time, and the longest way of
tasks that wait for each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mho.passes.schedule.costs import LayerCost
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.ports import port_times
from mho.passes.schedule.tasks import Pool, Task
from mho.passes.schedule.timeline import Resources, Run, arrivals, end_ns
from mho.targets.errors import brief
from mho.targets.mapping import ResourceLoad

MOST_LOADS = 12
MOST_NAMES = 3
MOST_RIVALS = 200
MOST_CHARACTERS = 41
"""Of a name; a longer one loses its middle."""

SAME = 1e-9
"""Of a time: two that differ by less are equal."""


@dataclass(frozen=True)
class Limits:
    """Lower bounds of one placed network.

    Attributes:
        loads: what works longest, the busiest first.
        alone: every task as early as its values allow, as though nothing were shared.
    """

    loads: tuple[ResourceLoad, ...]
    alone: Sequence[Run]

    @property
    def interval_ns(self) -> float:
        """No two inferences can follow each other faster: the busiest resource works for each of them."""
        return self.loads[0].busy_ns if self.loads else 0.0

    @property
    def latency_ns(self) -> float:
        """No inference can be shorter: its longest way, or its busiest resource."""
        return max(end_ns(self.alone), self.interval_ns)

    def of_latency(self, latency_ns: float) -> str:
        """What limits a latency, in words."""
        if not latency_ns:
            return ""
        if latency_ns <= end_ns(self.alone) * (1 + SAME):
            return _way(self.alone)
        return f"{_what(self.loads[0])}, whose turns do not overlap" if self.loads else ""

    def of_interval(self, interval_ns: float, tasks: Iterable[Task]) -> str:
        """What limits an interval, in words."""
        if not interval_ns or not self.loads:
            return ""
        if interval_ns <= self.interval_ns * (1 + SAME):
            return _what(self.loads[0])
        longest = max(tasks, key=lambda task: task.busy_ns)
        if interval_ns <= longest.busy_ns * (1 + SAME):
            return f"{_named(longest.step)}, which holds its tiles while its parts wait for each other"
        return (
            f"steps that share tiles or units, between whose turns gaps are left; {_what(self.loads[0])} is the busiest"
        )


def limits(
    machine: Machine, layers: Mapping[str, LayerCost], tasks: Sequence[Task], resources: Resources, alone: Sequence[Run]
) -> Limits:
    """The loads and bounds of a network."""
    ports = [ResourceLoad(kind="ports", name=name, busy_ns=time) for name, time in port_times(machine).items()]
    loads = [*_tiles(machine, layers), *_units(tasks), *_rivals(tasks, resources), *ports]
    return Limits(tuple(sorted(loads, key=lambda load: -load.busy_ns)[:MOST_LOADS]), alone)


def _tiles(machine: Machine, layers: Mapping[str, LayerCost]) -> list[ResourceLoad]:
    """The lanes that work longest for all their layers, by their tiles."""
    busy = np.zeros(int(machine.lane_of.max(initial=-1)) + 1)
    for layer in layers.values():
        np.add.at(busy, list(layer.lanes_ns), list(layer.lanes_ns.values()))
    most = np.lexsort((np.arange(len(busy)), -busy))[:MOST_LOADS]
    used, first = np.unique(machine.lane_of, return_index=True)
    tile_of = dict(zip(used.tolist(), machine.traffic.tile_of[first].tolist(), strict=True))
    sites = machine.routing.placement.site_of
    return [
        ResourceLoad(
            kind="tile",
            name=f"tile {sites[tile_of[lane]]}",
            busy_ns=float(busy[lane]),
            layers=tuple(layer.name for layer in layers.values() if lane in layer.lanes_ns)[: MOST_NAMES + 1],
        )
        for lane in most.tolist()
        if busy[lane] > 0
    ]


def _units(tasks: Sequence[Task]) -> list[ResourceLoad]:
    """Digital units: what all of a kind do on a chip, divided by their number."""
    users: dict[Pool, list[Task]] = {}
    for task in tasks:
        if task.pool is not None and task.pool.count is not None and task.busy_ns:
            users.setdefault(task.pool, []).append(task)
    return [
        ResourceLoad(
            kind="digital unit",
            name=f"{pool.count} × digital unit {pool.unit} of chip {pool.chip}",
            busy_ns=sum(task.busy_ns for task in served) / (pool.count or 1),
            layers=tuple(task.step for task in served[: MOST_NAMES + 1]),
        )
        for pool, served in users.items()
    ]


def _named(step: str) -> str:
    name, half = brief(step), MOST_CHARACTERS // 2
    return name if len(name) <= MOST_CHARACTERS else f"{name[:half]}…{name[-half:]}"


def _rivals(tasks: Sequence[Task], resources: Resources) -> list[ResourceLoad]:
    """The longest set found of steps each two of which share a tile: as a step holds all its tiles, no two overlap."""
    sharing = [number for number, held in enumerate(resources.of_task) if held and tasks[number].busy_ns]
    sharing = sorted(sharing, key=lambda number: (-tasks[number].busy_ns, number))[:MOST_RIVALS]
    sets = [_rivals_of(first, sharing, resources) for first in sharing]
    longest = max(sets, key=lambda found: sum(tasks[number].busy_ns for number in found), default=[])
    shared = {one for number in longest for one in resources.of_task[number]}
    if len(shared) < 2:
        return []
    busy = sum(tasks[number].busy_ns for number in longest)
    names = tuple(tasks[number].step for number in sorted(longest)[: MOST_NAMES + 1])
    return [ResourceLoad(kind="tile", name="tiles that are shared two by two", busy_ns=busy, layers=names)]


def _rivals_of(first: int, sharing: Sequence[int], resources: Resources) -> list[int]:
    """A task and, in the order given, every one that shares something with all before it."""
    found, held = [first], {number: set(resources.of_task[number]) for number in sharing}
    for number in sharing:
        if number != first and all(held[number] & held[other] for other in found):
            found.append(number)
    return found


def _what(load: ResourceLoad) -> str:
    if not load.layers:
        return load.name
    more = ", …" if len(load.layers) > MOST_NAMES else ""
    return f"{load.name} with {', '.join(map(_named, load.layers[:MOST_NAMES]))}{more}"


def _way(runs: Sequence[Run]) -> str:
    """The way of tasks that each wait for the one before, back from what ends last."""
    number = max(range(len(runs)), key=lambda one: runs[one].end_ns)
    found: list[tuple[float, str]] = []
    while True:
        before = _holds_up(runs, number)
        since = 0.0 if before is None else runs[before].end_ns
        found.append((runs[number].end_ns - since, runs[number].task.step))
        if before is None:
            break
        number = before
    busy = [(time, step) for time, step in found if time > 0]
    longest, step = max(busy, key=lambda one: one[0])
    if len(busy) == 1:
        return f"{_named(step)} alone"
    return (
        f"{len(busy)} steps that wait for each other, longest for {_named(step)}: {100 * longest / end_ns(runs):.0f} %"
    )


def _holds_up(runs: Sequence[Run], number: int) -> int | None:
    """The task whose rows make the last row of another begin when it does; None where that is its own speed alone."""
    run = runs[number]
    rest = np.arange(run.task.rows)[::-1] * run.task.row_ns
    late = {wait.task: float((arrivals(runs[wait.task], wait, run.task.rows) + rest).max()) for wait in run.task.waits}
    held = [task for task, time in late.items() if time > 0 and time >= float(run.starts[-1]) * (1 - SAME)]
    return max(held, key=lambda task: late[task], default=None)

"""`Schedule`: when every step runs in one inference, and what an inference costs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from mho.passes.levels.plan import Plan, Routing
from mho.passes.schedule.costs import costs
from mho.passes.schedule.machine import Machine
from mho.targets.cost import Work, firing_ns, rounds
from mho.targets.program import Slot
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
class Schedule:
    """Start every step as soon as its values are there and its tiles are free, in the order of the steps.

    A layer starts when the layers it reads have finished; layers that do not depend on each other overlap. Digital
    steps outside the cores take no time, which is said in what the costs are `missing`. All trips of a loop are taken
    together, and both branches of an `If` at the rate that each was seen to fire.
    """

    def run(self, routing: Routing) -> Plan:
        """Schedule one inference of one sample; without a published MVM latency there is no schedule."""
        machine = Machine(routing)
        timeline = Timeline(machine)
        if machine.timed:
            timeline.steps(machine.network.steps, {})
        return Plan(routing, tuple(timeline.slots), costs(machine, timeline.slots))


@dataclass(frozen=True)
class Timeline:
    """The schedule while it is made: when lanes are free again, and the slots so far."""

    machine: Machine
    free: dict[int, float] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)

    def steps(self, steps: Iterable[Step], ready: dict[str, float], start: float = 0.0) -> float:
        """Schedule steps in order; returns when all have ended. `ready` says when each value is there, ns."""
        last = start
        for step in steps:
            captured = [name for body in bodies(step) for name in captures(body)]
            begin = max((ready.get(name, 0.0) for name in (*reads(step), *captured)), default=start)
            end = self._step(step, max(begin, start), ready)
            ready |= dict.fromkeys(writes(step), end)
            last = max(last, end)
        return last

    def _step(self, step: Step, begin: float, ready: dict[str, float]) -> float:
        match step:
            case Analog():
                return self._fire(step, begin)
            case Recurrent():
                return self._recur(step, begin)
            case Digital():
                self.slots.append(Slot(step=step.name, start_ns=begin, end_ns=begin))
                return begin
            case Branch() | Loop() | Scan():
                place = len(self.slots)
                end = max(self._body(body, begin, ready) for body in bodies(step))
                self.slots.insert(place, Slot(step=step.name, start_ns=begin, end_ns=end))
                return end

    def _body(self, body: Body, begin: float, ready: dict[str, float]) -> float:
        return self.steps(body.steps, {**ready, **dict.fromkeys(body.inputs, begin)}, begin)

    def _fire(self, step: Analog, begin: float) -> float:
        machine = self.machine
        work = machine.lane_work(step.name)
        busy = self._longest_ns(machine.positions(step.name), work)
        way = machine.transport_ns(step.name) if busy else 0.0
        return self._occupy(step.name, work, begin, busy + way)

    def _recur(self, step: Recurrent, begin: float) -> float:
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
                once += self._longest_ns(1, _together(machine.step_work(name) for name in names))
                once += max(machine.transport_ns(name) for name in names)
        every = [lane for g in gates for lane in machine.lane_work(g.name)]
        return self._occupy(step.name, every, begin, trips * once)

    def _longest_ns(self, positions: int, work: Mapping[int, Work]) -> float:
        """How long the slowest of some lanes works."""
        target = self.machine.target
        return max((firing_ns(target, positions, each) or 0.0 for each in work.values()), default=0.0)

    def _occupy(self, name: str, lanes: Collection[int], begin: float, time_ns: float) -> float:
        start = max([begin, *(self.free.get(lane, 0.0) for lane in lanes)])
        end = start + time_ns
        self.free.update(dict.fromkeys(lanes, end))
        self.slots.append(Slot(step=name, start_ns=start, end_ns=end))
        return end


def _together(works: Iterable[Mapping[int, Work]]) -> dict[int, Work]:
    """What several layers do in each lane."""
    total: dict[int, Work] = {}
    for work in works:
        for lane, each in work.items():
            total[lane] = total.get(lane, Work()) + each
    return total

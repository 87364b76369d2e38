"""`Schedule`: when every step runs in one inference, and what an inference costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mho.passes.levels.network import Network
from mho.passes.levels.plan import Plan, Routing
from mho.passes.levels.tiling import Tiling
from mho.passes.place.route import as_array, distances
from mho.passes.place.traffic import Indices, TileFlows, Traffic
from mho.passes.schedule.lanes import lanes
from mho.targets.cost import firing_nj, firing_ns, rounds, transport_ns, unpublished
from mho.targets.program import CostFacts, Slot
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
    walk,
    writes,
)


@dataclass(frozen=True)
class Schedule:
    """Start every step as soon as its values are there and its tiles are free, in the order of the steps.

    A layer starts when the layers it reads have finished; layers that do not depend on each other overlap. Digital
    steps outside the cores take no time, which is said in the costs' `excluded`. All trips of a loop are taken
    together, and both branches of an `If` at the rate that each was seen to fire.
    """

    def run(self, routing: Routing) -> Plan:
        """Schedule one inference of one sample; without a published MVM latency there is no schedule."""
        machine = Machine(routing)
        timeline = Timeline(machine)
        if routing.placement.partition.ranged.tiling.target.costs.mvm_latency_ns is not None:
            timeline.steps(machine.network.steps, {})
        return Plan(routing, tuple(timeline.slots), costs(machine, timeline.slots))


@dataclass(frozen=True)
class Machine:
    """A placed network as the schedule sees it."""

    routing: Routing

    @cached_property
    def traffic(self) -> Traffic:
        return Traffic(self.tiling)

    @cached_property
    def lane_of(self) -> Indices:
        return lanes(self.tiling)

    @cached_property
    def place(self) -> Indices:
        """Chip, column and row of every tile: [tiles, 3]."""
        return as_array(self.routing.placement.site_of)

    @cached_property
    def transport(self) -> dict[str, float]:
        """Layer → the longest way of a vector to one of its tiles, partial sums included, in ns."""
        found = {layer: self._longest_ns(self.traffic.partial_sums(layer)) for layer in self.traffic.layers}
        arrival = dict.fromkeys(found, 0.0)
        for flow in self.traffic.flows:
            arrival[flow.consumer] = max(arrival[flow.consumer], self._longest_ns(self.traffic.between(flow)))
        return {layer: found[layer] + arrival[layer] for layer in found}

    @property
    def tiling(self) -> Tiling:
        return self.routing.placement.partition.ranged.tiling

    @property
    def network(self) -> Network:
        return self.tiling.calibrated.network

    def layer_lanes(self, layer: str) -> tuple[Indices, Indices]:
        """The lanes that a layer fires in, and how many of its blocks take turns in each."""
        blocks = self.traffic.blocks_of[self.traffic.layers[layer].matrix]
        return np.unique(self.lane_of[[b.number for b in blocks]], return_counts=True)

    def step_lanes(self, layer: str) -> tuple[Indices, Indices]:
        """The lanes of a layer, and the most blocks of one replica in each: what takes turns in one firing."""
        blocks = self.traffic.blocks_of[self.traffic.layers[layer].matrix]
        seats = [(self.lane_of[b.number], b.replica) for b in blocks]
        shared, together = np.unique(seats, axis=0, return_counts=True)
        used, place = np.unique(shared[:, 0], return_inverse=True)
        most = np.zeros(len(used), np.int64)
        np.maximum.at(most, place, together)
        return used, most

    def positions(self, layer: str) -> int:
        """Positions that one replica of a layer takes."""
        matrix = self.traffic.layers[layer].matrix
        return rounds(self.tiling.calibrated.layers[layer].fires, self.tiling.replicas[matrix])

    def _longest_ns(self, flows: TileFlows) -> float:
        moved = (flows.words > 0) & (flows.source != flows.target)
        source, target = flows.source[moved], flows.target[moved]
        hops = distances(self.place, self.routing.placement.grid, source, target)
        crosses = self.place[source, 0] != self.place[target, 0]
        ways = [
            transport_ns(self.tiling.target, int(h), bool(c))
            for h, c in set(zip(hops.tolist(), crosses.tolist(), strict=True))
        ]
        return max(ways, default=0.0)


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
        used, together = machine.layer_lanes(step.name)
        busy = firing_ns(machine.tiling.target, machine.positions(step.name), int(together.max())) or 0.0
        way = machine.transport[step.name] if busy else 0.0
        return self._occupy(step.name, used, begin, busy + way)

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
                used = np.concatenate([np.repeat(*machine.step_lanes(name)) for name in names])
                turns = int(np.unique(used, return_counts=True)[1].max())
                once += firing_ns(machine.tiling.target, 1, turns) or 0.0
                once += max(machine.transport[name] for name in names)
        every = np.concatenate([machine.layer_lanes(g.name)[0] for g in gates])
        return self._occupy(step.name, every, begin, trips * once)

    def _occupy(self, name: str, used: Indices, begin: float, time_ns: float) -> float:
        start = max([begin, *(self.free.get(lane, 0.0) for lane in used.tolist())])
        end = start + time_ns
        self.free.update(dict.fromkeys(used.tolist(), end))
        self.slots.append(Slot(step=name, start_ns=start, end_ns=end))
        return end


def costs(machine: Machine, slots: list[Slot]) -> CostFacts:
    """Totals of one inference; what nobody published is left out and named."""
    tiling, target = machine.tiling, machine.tiling.target
    layers_ns: dict[str, float] = {}
    layers_nj: dict[str, float] = {}
    busy: dict[int, float] = {}
    for layer in machine.traffic.layers:
        used, together = machine.layer_lanes(layer)
        times = [firing_ns(target, machine.positions(layer), count) for count in together.tolist()]
        known = [time for time in times if time is not None]
        if known:
            layers_ns[layer] = max(known)
        for lane, time in zip(used.tolist(), known, strict=False):
            busy[lane] = busy.get(lane, 0.0) + time
        blocks = int(together.sum()) // tiling.replicas[machine.traffic.layers[layer].matrix]
        energy = firing_nj(target, tiling.calibrated.layers[layer].fires, blocks)
        if energy is not None:
            layers_nj[layer] = energy
    chips = machine.routing.placement.partition.chips
    outside = any(isinstance(step, Digital) for step in walk(machine.network.steps))
    timed = target.costs.mvm_latency_ns is not None
    return CostFacts(
        latency_ns=max((slot.end_ns for slot in slots), default=0.0) if timed else None,
        interval_ns=max(busy.values(), default=0.0) if timed else None,
        energy_nj=None if target.costs.mvm_energy_nj is None else sum(layers_nj.values()) + _links_nj(machine),
        excluded=(*unpublished(target, chips), *(("digital steps",) if outside else ())),
        layers_ns=layers_ns,
        layers_nj=layers_nj,
    )


def _links_nj(machine: Machine) -> float:
    words = sum(link.words for link in machine.routing.links if link.source.chip == link.target.chip)
    return words * (machine.tiling.target.mesh.hop_energy_nj or 0.0)

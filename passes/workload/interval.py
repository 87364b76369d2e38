"""How long a pipeline's busiest part works for one inference, told from the tiling alone: its initiation interval.

    interval = max(busiest lane, ports)
    lane     = Σ over the layers of its blocks: the longest that the layer works anywhere,
               `firing_ns`(⌈fires / copies⌉ positions)

A lane is what takes turns in a tile (`mho.passes.workload.lanes`); a layer holds all its lanes until it is done. A
recurrent step holds its lanes for all its time steps, one after another. The words' ways do not count: a link has no
published bandwidth, and latency on the way does not hold up a pipeline. Where a machine's MVM has no published time,
an MVM counts 1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import ceil, inf, isqrt

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.tile.blocks import blocks_by_matrix
from mho.passes.workload.lanes import lanes
from mho.passes.workload.outside import fed_from_outside, needed_outside
from mho.passes.workload.work import block_work
from mho.targets.arrays import Floats, Indices
from mho.targets.cost import Work, firing_ns, rounds
from mho.targets.steps import Analog, Gate, Recurrent, layers, walk
from mho.targets.target import Costs, Target

COUNTED = Costs(mvm_latency_ns=1.0)
"""The clock of a machine whose MVM has no published time: intervals are then numbers of MVMs."""


@dataclass(frozen=True)
class Choice:
    """A number of copies of a matrix, and how long each of its busiest blocks then works for one inference."""

    copies: int
    busy: float


@dataclass(frozen=True)
class Load:
    """What an inference asks of a matrix.

    Attributes:
        fires: positions of each layer that uses it.
        works: the different things that blocks of one copy do at a position.
        blocks: of one copy.
        step: how long the recurrent step works that it is of; copies gain nothing there. None elsewhere.
    """

    target: Target
    fires: tuple[float, ...]
    works: tuple[Work, ...]
    blocks: int
    step: float | None = None

    def busy(self, copies: int) -> float:
        """How long the busiest block of each copy works for all layers."""
        return max(self._times(copies), default=0.0)

    def least_total(self, copies: int) -> float:
        """How long all copies of a block work at least, one after the other, with so many copies or with more."""
        at = bisect_left(self.choices, copies, key=lambda choice: choice.copies)
        return self._least_totals[min(at, len(self.choices) - 1)]

    @cached_property
    def _least_totals(self) -> list[float]:
        """The least total of each choice and of those with more copies."""
        totals = [choice.copies * min(self._times(choice.copies), default=0.0) for choice in self.choices]
        return list(accumulate(reversed(totals), min))[::-1]

    def _times(self, copies: int) -> list[float]:
        counts = [rounds(fires, copies) for fires in self.fires]
        return [sum(firing_ns(self.target, n, work) or 0.0 for n in counts) for work in self.works]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every number of copies that makes the matrix faster than fewer do, from 1 on."""
        if self.step is not None:
            return (Choice(1, self.step),)
        found: list[Choice] = []
        for copies in self._breaks():
            busy = self.busy(copies)
            if not found or busy < found[-1].busy:
                found.append(Choice(copies, busy))
        return tuple(found)

    def within(self, interval: float) -> Choice:
        """The fewest copies that are done in an interval; the most that help where none are."""
        at = bisect_left(self.choices, -interval, key=lambda choice: -choice.busy)
        return self.choices[min(at, len(self.choices) - 1)]

    def _breaks(self) -> list[int]:
        """Numbers of copies at which some layer's positions a copy become fewer: all but 2√fires are skipped."""
        found = {1}
        for fires in self.fires:
            root = isqrt(max(rounds(fires, 1), 1)) + 1
            found |= set(range(1, min(root, rounds(fires, 1)) + 1))
            found |= {max(1, ceil(fires / (count + 1e-9))) for count in range(1, root + 1)}
        return sorted(found)


def loads_of(tiling: Tiling) -> dict[str, Load]:
    """What an inference asks of each matrix of a tiling, whose first copy is looked at."""
    network, target = tiling.calibrated.network, clocked(tiling.target)
    works = block_work(tiling)
    fires: dict[str, list[float]] = {name: [] for name in network.matrices}
    for layer in layers(network.steps):
        fires[layer.matrix].append(tiling.calibrated.layers[layer.name].fires)
    waiting = _waiting(tiling)
    first = blocks_by_matrix(b for b in tiling.blocks if b.replica == 0)
    return {
        name: Load(
            target,
            tuple(fires[name]),
            tuple(Work.of(*row) for row in np.unique(works[[b.number for b in blocks]], axis=0).tolist()),
            len(blocks),
            waiting.get(name),
        )
        for name, blocks in first.items()
    }


def clocked(target: Target) -> Target:
    """The machine with a clock: its own, or one that counts MVMs."""
    return target if target.costs.mvm_latency_ns is not None else replace(target, costs=COUNTED)


def _waiting(tiling: Tiling) -> dict[str, float]:
    """Matrix of a recurrent step → how long the step works."""
    found: dict[str, float] = {}
    lane_works = _LaneWorks(tiling)
    for step in walk(tiling.calibrated.network.steps):
        if isinstance(step, Recurrent):
            found |= dict.fromkeys((gate.matrix for gate in _gates(step)), lane_works.recurs(step))
    return found


def interval_of(tiling: Tiling, chips: int = 1) -> float:
    """The interval of a packed tiling, in ns or MVMs: of its busiest lane, or of the ports of so many chips."""
    lane_works = _LaneWorks(tiling)
    busy = np.zeros(int(lane_works.lane_of.max(initial=-1)) + 1)
    for step in walk(tiling.calibrated.network.steps):
        if isinstance(step, Analog):
            busy[lane_works.lanes_of([step.matrix])] += lane_works.fires(step)
        elif isinstance(step, Recurrent):
            busy[lane_works.lanes_of([gate.matrix for gate in _gates(step)])] += lane_works.recurs(step)
    return max(float(busy.max(initial=0.0)), ports_floor(tiling, chips))


def _gates(step: Recurrent) -> list[Gate]:
    return [gate for direction in step.directions for gate in direction.gates]


@dataclass(frozen=True)
class _LaneWorks:
    """What the matrices of a packed tiling do in its lanes."""

    tiling: Tiling

    @cached_property
    def lane_of(self) -> Indices:
        return lanes(self.tiling)

    @cached_property
    def _works(self) -> Floats:
        return block_work(self.tiling)

    @cached_property
    def _numbers(self) -> dict[str, Indices]:
        """Matrix → the numbers of its blocks, all copies."""
        blocks = blocks_by_matrix(self.tiling.blocks)
        return {name: np.array([b.number for b in mine], np.int64) for name, mine in blocks.items()}

    def lanes_of(self, matrices: Iterable[str]) -> Indices:
        """All lanes that hold some of the matrices."""
        return np.unique(np.concatenate([self.lane_of[self._numbers[name]] for name in matrices]))

    def fires(self, layer: Analog) -> float:
        """How long the layer works in the lane where it works longest."""
        fires = self.tiling.calibrated.layers[layer.name].fires
        return self._longest(self._numbers[layer.matrix], rounds(fires, self.tiling.replicas[layer.matrix]))

    def recurs(self, step: Recurrent) -> float:
        """Time steps one after another; in each the x and h matrices fire at once, those of r ⊙ h after them."""
        trips = max((rounds(self.tiling.calibrated.layers[gate.name].fires, 1) for gate in _gates(step)), default=0)
        return trips * sum(self._phase(step, operands) for operands in (("x", "h"), ("rh",)))

    def _phase(self, step: Recurrent, operands: tuple[str, ...]) -> float:
        """One firing of one copy of the matrices with these operands, all at once."""
        firing = [self._numbers[gate.matrix] for gate in _gates(step) if gate.operand in operands]
        once = np.concatenate([np.zeros(0, np.int64), *firing])
        return self._longest(once[[self.tiling.blocks[number].replica == 0 for number in once.tolist()]], 1)

    def _longest(self, blocks: Indices, count: int) -> float:
        """How long the lane works that does most for `count` positions of the blocks."""
        used, place = np.unique(self.lane_of[blocks], return_inverse=True)
        summed = np.zeros((len(used), self._works.shape[1]))
        np.add.at(summed, place, self._works[blocks])
        target = clocked(self.tiling.target)
        times = (firing_ns(target, count, Work.of(*work)) or 0.0 for work in np.unique(summed, axis=0).tolist())
        return max(times, default=0.0)


def ports_floor(tiling: Tiling, chips: int) -> float:
    """No mapping to so many chips has a shorter interval, because of the vectors that enter and leave them.

    What comes from outside, or from a step beside the chips, enters once for each row block of one copy; what is
    needed there leaves once for each column block. Copies change neither, as each takes its part of the positions.
    On one chip that is all that passes (`mho.passes.schedule.ports`); between chips there may be more.
    """
    mesh, target, network = tiling.target.mesh, clocked(tiling.target), tiling.calibrated.network
    if mesh.input_ports is None and mesh.output_ports is None:
        return 0.0
    blocks = blocks_by_matrix(tiling.blocks)
    inwards, outwards = fed_from_outside(network, target), needed_outside(network, target)
    entering = leaving = 0.0
    for layer in layers(network.steps):
        fires, mine = tiling.calibrated.layers[layer.name].fires, blocks[layer.matrix]
        copies = tiling.replicas[layer.matrix]
        if layer.name in inwards:
            entering += fires * (len({(b.replica, b.rows) for b in mine}) / copies)
        if layer.name in outwards:
            leaving += fires * (len({(b.replica, b.columns) for b in mine}) / copies)
    turns = max(entering / (mesh.input_ports or inf), leaving / (mesh.output_ports or inf))
    return turns / max(chips, 1) * (target.costs.mvm_latency_ns or 0.0)


def fastest(loads: Mapping[str, Load]) -> float:
    """The interval with as many copies as help."""
    return max((load.choices[-1].busy for load in loads.values()), default=0.0)

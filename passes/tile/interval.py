"""How long a pipeline's busiest part works for one inference, told from the tiling alone: its initiation interval.

    interval = max(busiest lane, ports)
    lane     = Σ over the layers of its blocks: `firing_ns`(⌈fires / copies⌉ positions)

A lane is what takes turns in a tile (`mho.passes.schedule.lanes`). The words' ways do not count: a link has no
published bandwidth, and latency on the way does not hold up a pipeline. Where a machine's MVM has no published time,
an MVM counts 1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf, isqrt

import numpy as np

from mho.passes.levels.network import Network
from mho.passes.levels.tiling import Tiling
from mho.passes.place.traffic import Floats, Indices
from mho.passes.schedule.lanes import lanes
from mho.passes.schedule.outside import fed_from_outside, needed_outside
from mho.passes.tile.tile import blocks_by_matrix
from mho.passes.tile.work import block_work
from mho.targets.cost import Work, firing_ns, rounds
from mho.targets.steps import Recurrent, layers, walk
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
        waits: whether a position needs the one before it, as in a recurrent step; copies then gain nothing.
    """

    target: Target
    fires: tuple[float, ...]
    works: tuple[Work, ...]
    blocks: int
    waits: bool = False

    def busy(self, copies: int) -> float:
        """How long the busiest block of each copy works for all layers."""
        return max(self._times(copies), default=0.0)

    def least_busy(self, copies: int) -> float:
        """How long every block of each copy works at least for all layers."""
        return min(self._times(copies), default=0.0)

    def _times(self, copies: int) -> list[float]:
        counts = [rounds(fires, copies) for fires in self.fires]
        return [sum(firing_ns(self.target, n, work) or 0.0 for n in counts) for work in self.works]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every number of copies that makes the matrix faster than fewer do, from 1 on."""
        found: list[Choice] = []
        for copies in [1] if self.waits else self._breaks():
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
    works = block_work(tiling.blocks)
    fires: dict[str, list[float]] = {name: [] for name in network.matrices}
    for layer in layers(network.steps):
        fires[layer.matrix].append(tiling.calibrated.layers[layer.name].fires)
    waiting = waiting_matrices(network)
    first = blocks_by_matrix(b for b in tiling.blocks if b.replica == 0)
    return {
        name: Load(
            target,
            tuple(fires[name]),
            tuple(Work.of(*row) for row in np.unique(works[[b.number for b in blocks]], axis=0).tolist()),
            len(blocks),
            name in waiting,
        )
        for name, blocks in first.items()
    }


def clocked(target: Target) -> Target:
    """The machine with a clock: its own, or one that counts MVMs."""
    return target if target.costs.mvm_latency_ns is not None else replace(target, costs=COUNTED)


def waiting_matrices(network: Network) -> frozenset[str]:
    """Matrices of recurrent steps, whose time steps wait for each other."""
    cells = (step for step in walk(network.steps) if isinstance(step, Recurrent))
    return frozenset(gate.matrix for step in cells for direction in step.directions for gate in direction.gates)


def interval_of(tiling: Tiling, chips: int = 1) -> float:
    """The interval of a packed tiling, in ns or MVMs: of its busiest lane, or of the ports of so many chips."""
    busy = _busy_lanes(tiling, clocked(tiling.target))
    return max(float(busy.max(initial=0.0)), ports_floor(tiling, chips))


def _busy_lanes(tiling: Tiling, target: Target) -> Floats:
    """Lane → how long it works for one inference."""
    lane_of, works = lanes(tiling), block_work(tiling.blocks)
    busy = np.zeros(int(lane_of.max(initial=-1)) + 1)
    places = {name: _in_lanes(lane_of, works, blocks) for name, blocks in _numbers(tiling)}
    for layer in layers(tiling.calibrated.network.steps):
        count = rounds(tiling.calibrated.layers[layer.name].fires, tiling.replicas[layer.matrix])
        used, kinds, kind_of = places[layer.matrix]
        times = np.array([firing_ns(target, count, Work.of(*kind)) or 0.0 for kind in kinds.tolist()])
        busy[used] += times[kind_of]
    return busy


def _numbers(tiling: Tiling) -> Iterator[tuple[str, Indices]]:
    """Each matrix with the numbers of its blocks, all copies."""
    for name, blocks in blocks_by_matrix(tiling.blocks).items():
        yield name, np.array([b.number for b in blocks], np.int64)


def _in_lanes(lane_of: Indices, works: Floats, blocks: Indices) -> tuple[Indices, Floats, Indices]:
    """The lanes that a matrix uses, the different works in them, and lane → which of these."""
    used, place = np.unique(lane_of[blocks], return_inverse=True)
    summed = np.zeros((len(used), works.shape[1]))
    np.add.at(summed, place, works[blocks])
    kinds, kind_of = np.unique(summed, axis=0, return_inverse=True)
    return used, kinds, kind_of.reshape(-1)


def ports_floor(tiling: Tiling, chips: int) -> float:
    """No mapping to so many chips has a shorter interval, because of the vectors that enter and leave them.

    What comes from outside, or from a step beside the chips, enters once for each row block of one copy; what is
    needed there leaves once for each column block. Copies change neither, as each takes its part of the positions.
    On one chip that is all that passes (`mho.passes.schedule.ports`); between chips there may be more.
    """
    mesh, target, network = tiling.target.mesh, clocked(tiling.target), tiling.calibrated.network
    if mesh.input_ports is None and mesh.output_ports is None:
        return 0.0
    first = blocks_by_matrix(b for b in tiling.blocks if b.replica == 0)
    inwards, outwards = fed_from_outside(network, target), needed_outside(network, target)
    entering = leaving = 0.0
    for layer in layers(network.steps):
        fires = tiling.calibrated.layers[layer.name].fires
        if layer.name in inwards:
            entering += fires * len({b.rows for b in first[layer.matrix]})
        if layer.name in outwards:
            leaving += fires * len({b.columns for b in first[layer.matrix]})
    turns = max(entering / (mesh.input_ports or inf), leaving / (mesh.output_ports or inf))
    return turns / max(chips, 1) * (target.costs.mvm_latency_ns or 0.0)


def fastest(loads: Mapping[str, Load]) -> float:
    """The interval with as many copies as help."""
    return max((load.choices[-1].busy for load in loads.values()), default=0.0)

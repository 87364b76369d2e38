"""`Machine`: a placed network as the schedule and the costs see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mho.passes.levels.network import Network
from mho.passes.levels.plan import Routing
from mho.passes.levels.tiling import Tiling
from mho.passes.route.route import distances
from mho.passes.workload.lanes import lanes
from mho.passes.workload.tile_flows import TileFlows
from mho.passes.workload.traffic import Traffic
from mho.passes.workload.work import block_work
from mho.targets.arrays import Floats, Indices, Mask
from mho.targets.cost import Work, rounds, transport_ns
from mho.targets.routes import as_array
from mho.targets.target import Target


@dataclass(frozen=True)
class Way:
    """The way of a vector: links, and whether it goes from chip to chip."""

    hops: int
    crosses: bool

    def time_ns(self, target: Target) -> float:
        return transport_ns(target, self.hops, self.crosses)


@dataclass(frozen=True)
class Moves:
    """Ways of words, one entry for a pair of tiles."""

    hops: Indices
    crosses: Mask

    def ways(self) -> set[Way]:
        return {Way(h, c) for h, c in zip(self.hops.tolist(), self.crosses.tolist(), strict=True)}


@dataclass(frozen=True)
class Machine:
    """A placed network."""

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

    @property
    def tiling(self) -> Tiling:
        return self.routing.placement.partition.ranged.tiling

    @property
    def target(self) -> Target:
        return self.tiling.target

    @property
    def network(self) -> Network:
        return self.tiling.calibrated.network

    @property
    def timed(self) -> bool:
        """Whether times are known: that of an MVM is, or none is made."""
        return self.target.costs.mvm_latency_ns is not None or not self.traffic.layers

    def block_numbers(self, layer: str) -> Indices:
        """The blocks that fire for a layer, all replicas."""
        return np.array([b.number for b in self.traffic.blocks_of[self.traffic.layers[layer].matrix]], np.int64)

    def lane_work(self, layer: str) -> dict[int, Work]:
        """Lane → what the layer's blocks in it do at one position of every replica: they take turns."""
        blocks = self.block_numbers(layer)
        used, place = np.unique(self.lane_of[blocks], return_inverse=True)
        summed = _summed(self._block_work[blocks], place, len(used))
        return {lane: Work.of(*counts) for lane, counts in zip(used.tolist(), summed.tolist(), strict=True)}

    def step_work(self, layer: str) -> dict[int, Work]:
        """Lane → the most that the blocks of one replica do in it: what takes turns in one firing."""
        blocks = self.block_numbers(layer)
        seats = np.stack([self.lane_of[blocks], self._replica_of[blocks]], axis=1)
        shared, place = np.unique(seats, axis=0, return_inverse=True)
        summed = _summed(self._block_work[blocks], place.reshape(-1), len(shared))
        most: dict[int, list[float]] = {}
        for lane, counts in zip(shared[:, 0].tolist(), summed.tolist(), strict=True):
            most[lane] = [max(a, b) for a, b in zip(counts, most.get(lane, counts), strict=True)]
        return {lane: Work.of(*counts) for lane, counts in most.items()}

    def inference_work(self, layer: str) -> Work:
        """What a layer does in one inference, the words that it takes in and adds up included."""
        counts = self._block_work[self.block_numbers(layer)].sum(axis=0)
        total = Work.of(*counts.tolist()).times(self.traffic.fires(layer))
        if self.traffic.layers[layer].matrix in self.tiling.devices:
            total = replace(total, unlike=total.mvms)
        hop_words, chip_words = self.routing.moved[layer]
        return total + Work(hop_words=hop_words, chip_words=chip_words)

    def positions(self, layer: str) -> int:
        """Positions that one replica of a layer takes."""
        matrix = self.traffic.layers[layer].matrix
        return rounds(self.tiling.calibrated.layers[layer].fires, self.tiling.replicas[matrix])

    def ways(self, layer: str) -> tuple[Way, Way]:
        """The longest way of a vector to one of a layer's tiles, and the longest of a partial sum from there."""
        arriving, sums = self._moves[layer]
        return self._longest(arriving), self._longest([sums])

    def transport_ns(self, layer: str) -> float:
        """How long a vector travels to a layer's tiles and, as a partial sum, from there."""
        return sum(way.time_ns(self.target) for way in self.ways(layer))

    @cached_property
    def _block_work(self) -> Floats:
        """What each block does at one position: [blocks, counts in the order of `Work`]."""
        return block_work(self.tiling)

    @cached_property
    def _replica_of(self) -> Indices:
        return np.array([b.replica for b in self.tiling.blocks], np.int64)

    @cached_property
    def _moves(self) -> dict[str, tuple[list[Moves], Moves]]:
        """Layer → what comes to it from each layer that it reads, and its partial sums."""
        arriving: dict[str, list[Moves]] = {layer: [] for layer in self.traffic.layers}
        for flow in self.traffic.flows:
            arriving[flow.consumer].append(self._moved(self.traffic.between(flow)))
        return {layer: (found, self._moved(self.traffic.partial_sums(layer))) for layer, found in arriving.items()}

    def _moved(self, flows: TileFlows) -> Moves:
        moved = (flows.words > 0) & (flows.source != flows.target)
        source, target = flows.source[moved], flows.target[moved]
        hops = distances(self.place, self.routing.placement.grid, source, target)
        return Moves(hops, self.place[source, 0] != self.place[target, 0])

    def _longest(self, moves: Iterable[Moves]) -> Way:
        ways = {way for moved in moves for way in moved.ways()}
        return max(ways, key=lambda way: (way.time_ns(self.target), way.hops, way.crosses), default=Way(0, False))


def _summed(counts: Floats, place: Indices, size: int) -> Floats:
    """The rows of `counts` added up where `place` says: [size, counts]."""
    total = np.zeros((size, counts.shape[1]))
    np.add.at(total, place, counts)
    return total

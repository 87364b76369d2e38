"""How many words the tiles of a tiling exchange in one inference of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mho.passes.levels.tiling import Block, Tiling
from mho.passes.tile.blocks import accumulators, blocks_by_matrix, tiles_of_blocks
from mho.passes.workload.flows import LayerFlow, layer_flows
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Floats, Indices
from mho.targets.steps import Analog, Layer, layers, walk

MOST_PAIRS = 20_000
"""Where a pair of layers would give more pairs of tiles, every receiver takes its words from a part of the senders."""


class Ends(NamedTuple):
    """One end of a layer's flow: blocks by their tiles, and the part of the vector that each has or wants."""

    tiles: Indices
    spans: Floats
    words: Floats


class Shared(NamedTuple):
    """What several layers take of one.

    Attributes:
        senders: tiles. words: [senders, parts] that every taker of a part receives.
        takers: tiles of the blocks that take. part, layer: what each takes, and for which of the layers.
    """

    senders: Indices
    words: Floats
    takers: Indices
    part: Indices
    layer: Indices


@dataclass(frozen=True)
class Traffic:
    """What the tiles of a tiling send, layer by layer."""

    tiling: Tiling

    @cached_property
    def flows(self) -> tuple[LayerFlow, ...]:
        return layer_flows(self.tiling.calibrated.network)

    @cached_property
    def layers(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in layers(self.tiling.calibrated.network.steps)}

    @cached_property
    def tile_of(self) -> Indices:
        """Block number → tile."""
        return tiles_of_blocks(self.tiling)

    @cached_property
    def blocks_of(self) -> dict[str, list[Block]]:
        """Matrix → its blocks, all replicas."""
        return blocks_by_matrix(self.tiling.blocks)

    @cached_property
    def accumulator_of(self) -> Indices:
        """Block number → number of the block where its partial sums are added up."""
        return accumulators(self.tiling.blocks)

    def fires(self, layer: str) -> float:
        """Positions that each replica of a layer takes, in one inference of one sample."""
        replicas = self.tiling.replicas[self.layers[layer].matrix]
        return self.tiling.calibrated.layers[layer].fires / replicas

    def partial_sums(self, layer: str) -> TileFlows:
        """Words from the row blocks of a layer to those that add them up, charge to the block before the converter."""
        blocks = self.blocks_of[self.layers[layer].matrix]
        numbers = np.array([b.number for b in blocks], np.int64)
        head = np.array([b.converter for b in blocks], np.int64)
        adder = np.where(head == numbers, self.accumulator_of[numbers], head)
        width = np.array([b.columns[1] - b.columns[0] for b in blocks], np.float64)
        sent = np.where(adder == numbers, 0.0, width * self.fires(layer))
        return TileFlows(self.tile_of[numbers], self.tile_of[adder], sent)

    def between(self, flow: LayerFlow) -> TileFlows:
        """Words from the tiles that hold a producer's sums to the tiles of a consumer."""
        senders = self._outputs(flow.producer)
        receivers = self._inputs(flow.consumer) if flow.into == "rows" else self._outputs(flow.consumer)
        reach = _reach(senders.spans, receivers.spans, flow.aligned)
        words = reach * (flow.share * receivers.words)
        a, b = np.nonzero(words)
        return TileFlows(senders.tiles[a], receivers.tiles[b], words[a, b])

    def alike(self, flows: Sequence[LayerFlow]) -> Shared:
        """Words from the tiles of one producer to consumers that read the same vectors of it at the same positions.

        Blocks of one copy that have the same rows take the same words, whatever their columns or their layer.
        """
        first = flows[0]
        matrix = self.tiling.calibrated.network.matrices[self.layers[first.consumer].matrix]
        takers = [b for flow in flows for b in self.blocks_of[self.layers[flow.consumer].matrix]]
        layer = np.repeat(np.arange(len(flows)), [len(self.blocks_of[self.layers[f.consumer].matrix]) for f in flows])
        kinds, part = np.unique([(b.replica, *b.rows) for b in takers], axis=0, return_inverse=True)
        spans = kinds[:, 1:].astype(np.float64)
        wanted = (spans[:, 1] - spans[:, 0]) * self.fires(first.consumer)
        senders = self._outputs(first.producer)
        words = _reach(senders.spans, spans / matrix.rows, first.aligned) * (first.share * wanted)
        return Shared(senders.tiles, words, self.tile_of[[b.number for b in takers]], part.reshape(-1), layer)

    def _outputs(self, layer: str) -> Ends:
        matrix = self.tiling.calibrated.network.matrices[self.layers[layer].matrix]
        blocks = [b for b in self.blocks_of[matrix.name] if self.accumulator_of[b.number] == b.number]
        spans = np.array([b.columns for b in blocks], np.float64)
        tiles = self.tile_of[[b.number for b in blocks]]
        words = (spans[:, 1] - spans[:, 0]) * self.fires(layer)
        return Ends(tiles, spans / matrix.columns, words / self._added.get(layer, 1))

    @cached_property
    def _added(self) -> dict[str, int]:
        """Layer → columns whose results are added to one output, where that is more than one."""
        steps = walk(self.tiling.calibrated.network.steps)
        found = {s.name: s.unfolding for s in steps if isinstance(s, Analog)}
        return {name: unfolding.channel_columns for name, unfolding in found.items() if unfolding.overlaps}

    def _inputs(self, layer: str) -> Ends:
        matrix = self.tiling.calibrated.network.matrices[self.layers[layer].matrix]
        blocks = self.blocks_of[matrix.name]
        spans = np.array([b.rows for b in blocks], np.float64)
        tiles = self.tile_of[[b.number for b in blocks]]
        return Ends(tiles, spans / matrix.rows, (spans[:, 1] - spans[:, 0]) * self.fires(layer))


def tile_flows(tiling: Tiling) -> TileFlows:
    """All words between tiles in one inference of one sample: partial sums, inputs and addends.

    Input vectors of a layer count once for each of its blocks (rows × fires), whatever the producers' windows
    overlap; what enters or leaves the network counts nothing.
    """
    traffic = Traffic(tiling)
    sums = [traffic.partial_sums(layer) for layer in traffic.layers]
    return TileFlows.merge([*sums, *(traffic.between(flow) for flow in traffic.flows)])


def _reach(senders: Floats, receivers: Floats, aligned: bool) -> Floats:
    """The part of a receiver's words that each sender gives: [senders, receivers], columns sum to 1."""
    if aligned:
        high = np.minimum(senders[:, None, 1], receivers[None, :, 1])
        low = np.maximum(senders[:, None, 0], receivers[None, :, 0])
        reach = np.maximum(high - low, 0.0)
    else:
        reach = np.repeat((senders[:, 1] - senders[:, 0])[:, None], len(receivers), axis=1)
    if reach.size > MOST_PAIRS:
        turn = (np.arange(len(senders))[:, None] - np.arange(len(receivers))[None, :]) % len(senders)
        thinned = np.where(turn < max(1, MOST_PAIRS // len(receivers)), reach, 0.0)
        reach = np.where(thinned.sum(axis=0) > 0, thinned, reach)
    total = reach.sum(axis=0)
    shared: Floats = reach / np.where(total > 0, total, 1.0)
    return shared

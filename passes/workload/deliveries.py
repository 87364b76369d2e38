"""What tiles send each other, vector by vector: who takes the same words, and for which layer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mho.passes.workload.flows import LayerFlow
from mho.passes.workload.tile_flows import TileFlows
from mho.passes.workload.traffic import Shared, Traffic
from mho.targets.arrays import Floats, Indices
from mho.targets.routes import Deliveries, Routes
from mho.targets.steps import Analog, walk


@dataclass(frozen=True)
class Takers:
    """Deliveries from tile to tile.

    Attributes:
        layer: entry → number of the layer that takes it in or adds it up, among those of the network.
    """

    deliveries: Deliveries
    layer: Indices


def tile_deliveries(traffic: Traffic, multicast: bool) -> Takers:
    """All words between tiles in one inference of one sample, as `traffic.tile_flows` counts them.

    Args:
        multicast: whether a vector goes to all that take it as one delivery. Those are the tiles of one copy of a
            matrix that hold the same rows, and those of other layers that read the same value in the same way.
            Copies take different positions, so none of their vectors are the same.
    """
    number = {layer: i for i, layer in enumerate(traffic.layers)}
    parts = [_single(traffic.partial_sums(layer), number[layer]) for layer in traffic.layers]
    for group in _groups(traffic, multicast):
        if multicast and group[0].into == "rows":
            parts.append(_shared(traffic.alike(group), np.array([number[flow.consumer] for flow in group])))
        else:
            parts += [_single(traffic.between(flow), number[flow.consumer]) for flow in group]
    return _joined(parts)


def moved_words(takers: Takers, routes: Routes, layers: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Layer → its words times links inside chips, and times links between chips.

    Layers that share a tree share its links as the lengths of their own ways in it.
    """
    names = list(layers)
    deliveries, links = takers.deliveries, routes.floor.links
    inside = np.arange(links + len(routes.crossings)) < links
    hops, away = _lengths(routes)
    found = []
    for own, counted in ((hops, inside), (away, ~inside)):
        total = routes.sums(counted.astype(np.float64)) * deliveries.words
        lengths = np.bincount(deliveries.of, own, len(total))
        part = own / np.where(lengths > 0, lengths, 1.0)[deliveries.of]
        found.append(np.bincount(takers.layer, total[deliveries.of] * part, len(names)).tolist())
    return dict(zip(names, zip(*found, strict=True), strict=True))


def _groups(traffic: Traffic, multicast: bool) -> Iterator[list[LayerFlow]]:
    """The flows of layers that take the same vectors together."""
    unfoldings = {s.name: s.unfolding for s in walk(traffic.tiling.calibrated.network.steps) if isinstance(s, Analog)}
    groups: dict[Hashable, list[LayerFlow]] = {}
    for flow in traffic.flows:
        matrix = traffic.layers[flow.consumer].matrix
        rows = traffic.tiling.calibrated.network.matrices[matrix].rows
        taken = traffic.fires(flow.consumer), traffic.tiling.replicas[matrix], rows, unfoldings.get(flow.consumer)
        alone = flow.consumer if not multicast or not flow.value else None
        groups.setdefault((flow.producer, flow.value, flow.into, flow.share, flow.aligned, taken, alone), []).append(
            flow
        )
    yield from groups.values()


def _single(flows: TileFlows, layer: int) -> Takers:
    """Each pair a delivery of its own."""
    merged = TileFlows.merge([flows])
    count = np.ones(len(merged.source), np.int64)
    kept = Deliveries(merged.source, count, merged.target, merged.words, np.zeros(len(count), np.bool_))
    return Takers(kept, np.full(len(count), layer))


def _shared(shared: Shared, layers: Indices) -> Takers:
    """A delivery for each part that a sender has something of, to all that take it."""
    order = np.argsort(shared.part, kind="stable")
    size = np.bincount(shared.part, minlength=shared.words.shape[1])
    sender, part = np.nonzero(shared.words)
    count = size[part]
    delivery = np.repeat(np.arange(len(part)), count)
    entry = order[np.repeat((np.cumsum(size) - size)[part] - np.cumsum(count) + count, count) + np.arange(count.sum())]
    target, layer = shared.takers[entry], layers[shared.layer[entry]]
    return _clean(shared.senders[sender], shared.words[sender, part], delivery, target, layer)


def _clean(source: Indices, words: Floats, delivery: Indices, target: Indices, layer: Indices) -> Takers:
    """Without tiles that send to themselves or receive one delivery twice."""
    _, once = np.unique(delivery * (int(target.max(initial=0)) + 1) + target, return_index=True)
    once = once[source[delivery[once]] != target[once]]
    count = np.bincount(delivery[once], minlength=len(source))
    sent = count > 0
    kept = Deliveries(source[sent], count[sent], target[once], words[sent], np.zeros(int(sent.sum()), np.bool_))
    return Takers(kept, layer[once])


def _joined(parts: list[Takers]) -> Takers:
    if not parts:
        return Takers(Deliveries.none(), np.zeros(0, np.int64))
    each = [part.deliveries for part in parts]
    joined = Deliveries(
        np.concatenate([d.source for d in each]),
        np.concatenate([d.count for d in each]),
        np.concatenate([d.target for d in each]),
        np.concatenate([d.words for d in each]),
        np.concatenate([d.column_first for d in each]),
    )
    return Takers(joined, np.concatenate([part.layer for part in parts]))


def _lengths(routes: Routes) -> tuple[Floats, Floats]:
    """Links inside chips, and between chips, on the way of each entry."""
    hops = np.zeros(len(routes.deliveries.target))
    for stage in (0, 1, 3, 4):
        entry, direction, start, stop = routes.leg(stage)
        hops[entry] += (stop - start) / routes.floor.steps[direction]
    away = np.zeros(len(hops))
    away[routes.crossed[0]] = 1.0
    return hops, away

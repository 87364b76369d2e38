"""What waits beside the tiles between two writes of a reloaded network."""

from __future__ import annotations

from mho.passes.levels.tiling import Tiling
from mho.passes.workload.flows import layer_flows
from mho.targets.steps import layers


def kept_words(tiling: Tiling) -> float:
    """The most words of one sample that wait at once.

    A layer's output (fires · columns) waits from its first page to the last layer that reads it, also through digital
    steps between them; the sums of a layer are as large as its output. What enters and leaves the network counts
    nothing.
    """
    network = tiling.calibrated.network
    every = layers(network.steps)
    place = {layer.name: number for number, layer in enumerate(every)}
    last = dict(place)
    for flow in layer_flows(network):
        last[flow.producer] = max(last[flow.producer], place[flow.consumer])
    change = [0.0] * (len(every) + 1)
    for layer in every:
        words = tiling.calibrated.layers[layer.name].fires * network.matrices[layer.matrix].columns
        change[place[layer.name]] += words
        change[last[layer.name] + 1] -= words
    most = waiting = 0.0
    for words in change:
        waiting += words
        most = max(most, waiting)
    return most

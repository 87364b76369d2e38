"""Observation: the network runs in exact arithmetic on data, and each layer's inputs are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mho.passes.calibrate.bound_loops import TRIPS, BoundedGraphs
from mho.passes.calibrate.full_scale import FullScale, Percentile, Rule
from mho.passes.calibrate.qdq import quantised_ranges
from mho.passes.calibrate.ranges import VECTORS
from mho.passes.emit.emit import emit_exact
from mho.passes.levels.network import Calibrated, LayerInputs, Network
from mho.runtime.digital import DigitalUnit
from mho.runtime.exact import ExactUnit
from mho.runtime.products import product_in_parts
from mho.runtime.samples import Samples, each_batch
from mho.runtime.sequencer import Sequencer
from mho.targets.arrays import Mask
from mho.targets.errors import plain
from mho.targets.steps import Loop, layers, walk
from mho.targets.target import Count, Target

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Observe:
    """Network → Calibrated: fixes every layer's input range and keeps a bounded sample of its inputs.

    Loops run a bounded number of trips.
    A layer that reads a DequantizeLinear takes its range from that node; others from the data by a rule.

    Attributes:
        rule: "percentile" covers that part of the magnitudes, "mse" has the least mean square of rounding and
            clipping errors, "max" covers all.
        percentile: per cent of the magnitudes.
        samples: samples of the data that are run.
        vectors: inputs of each layer that its range is chosen from, at most; fewer are kept for the ADCs' ranges.
    """

    rule: Rule = "mse"
    percentile: Percentile = 99.99
    samples: Count = 128
    vectors: Count = 1024

    def run(
        self,
        network: Network,
        samples: Samples,
        target: Target,
        advance: Callable[[int], None] = lambda samples: None,
    ) -> Calibrated:
        """Runs the samples and fixes the ranges.

        Args:
            advance: told the number of samples after each batch.
        """
        chosen = samples.first(self.samples)
        seen = self._watch(network, chosen, advance)
        fixed = quantised_ranges(network)
        full_scale = FullScale(self.rule, self.percentile)
        observed = {}
        for layer in layers(network.steps):
            watched = seen.pop(layer.name)
            found = fixed.get(layer.name) or full_scale.choose(watched.vectors(), target.dac.bits)
            observed[layer.name] = LayerInputs(found, _thinned(watched.vectors()), watched.count / chosen.fed)
        return Calibrated(network, observed, _warnings(observed))

    def _watch(self, network: Network, samples: Samples, advance: Callable[[int], None]) -> dict[str, Reservoir]:
        found = layers(network.steps)
        share = min(KEPT_NUMBERS, KEPT_IN_ALL // max(len(found), 1))
        rows = {layer.name: network.matrices[layer.matrix].rows for layer in found}
        seen = {name: Reservoir(_limit(self.vectors, width, share), width) for name, width in rows.items()}
        if not seen:
            return seen
        code = emit_exact(network)
        unit = ExactUnit(code, lambda layer, rows: seen[layer].add(rows), product_in_parts)
        inside = any(isinstance(step, Loop) for step in walk(code.sequence))
        digital = DigitalUnit(BoundedGraphs(code.tensors, outer_loops=int(inside)))
        sequencer = Sequencer(code, unit, digital, most_trips=TRIPS)
        for count, _ in each_batch(samples, sequencer.run):
            advance(count)
        return seen


KEPT_NUMBERS = 1 << 20
KEPT_IN_ALL = 1 << 27
"""Numbers kept of one layer's inputs and of all layers' together, so that a network of hundreds of wide layers stays
within memory."""


def _limit(vectors: int, rows: int, numbers: int) -> int:
    return max(16, min(vectors, numbers // max(rows, 1)))


GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 times the golden ratio's fraction: the multiples of it, modulo 2^64, are spread evenly."""


@dataclass
class Reservoir:
    """A bounded sample of the vectors it is given, spread evenly whatever their number and their batches.

    Vector number n has the place n · GOLDEN modulo 2^64, and those below a ceiling are kept, which is halved
    whenever there are too many. Every n-th vector would do worse: where n divides the width of an image, a
    convolution would be judged by its padded border.

    The room for all of them is taken at the start: rows that are kept between the large arrays of a run would hold
    the memory in pieces that are too small to be used again.

    Attributes:
        limit: of vectors that are kept.
        width: of a vector.
        count: vectors that were given.
    """

    limit: int
    width: int = 1
    count: int = 0
    _ceiling: int = 1 << 64
    _places: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    _room: Floats = field(init=False)

    def __post_init__(self) -> None:
        self._room = np.empty((self.limit, self.width), np.float32)

    def add(self, rows: Floats) -> None:
        places = np.arange(self.count, self.count + len(rows), dtype=np.uint64) * GOLDEN
        self.count += len(rows)
        old, new = self._below(self._places), self._below(places)
        while np.count_nonzero(old) + np.count_nonzero(new) > self.limit:
            self._ceiling //= 2
            old, new = self._below(self._places), self._below(places)
        if new.any() or not old.all():
            if not old.all():
                self._room[: np.count_nonzero(old)] = self.vectors()[old]
            self._places = np.concatenate([self._places[old], places[new]])
            self._room[np.count_nonzero(old) : len(self._places)] = rows[new]

    def _below(self, places: NDArray[np.uint64]) -> Mask:
        return places <= np.uint64(self._ceiling - 1)

    def vectors(self) -> Floats:
        """The sample: [at most limit, width]."""
        return self._room[: len(self._places)]


def _thinned(vectors: Floats) -> Floats:
    """At most VECTORS of the vectors, evenly spread: what the ranges of the ADCs are set from."""
    if len(vectors) <= VECTORS:
        return vectors
    return vectors.take(np.linspace(0, len(vectors) - 1, min(VECTORS, len(vectors))).astype(int), axis=0)


def _warnings(observed: Mapping[str, LayerInputs]) -> tuple[str, ...]:
    silent = [plain(name) for name, seen in observed.items() if not seen.fires]
    if not silent:
        return ()
    listed = ", ".join(silent[:5]) + (f" and {len(silent) - 5} more" if len(silent) > 5 else "")
    return (f"the data never reached {listed}: their ranges are set for random inputs within ±1",)

"""Setting the full scale of every ADC from what was seen at the layers' inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mho.passes.matrix import Array, evaluate
from mho.passes.network import LayerInputs
from mho.passes.plan import Ranged
from mho.passes.tile import blocks_by_matrix, converter_groups, scale_rows
from mho.passes.tiling import Block, Tiling
from mho.targets.isa import Span
from mho.targets.program import matrix_block
from mho.targets.steps import Layer, layers
from mho.targets.target import WeightScale

VECTORS = 512
"""Inputs of a layer that are multiplied by its blocks; more change a range by less than a percent."""

CANDIDATES = np.geomspace(0.1, 1.0, 24)
"""Parts of the largest sum that the rule "mse" tries as full scale."""

Rule = Literal["percentile", "mse", "max"]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SetRanges:
    """Gives each ADC its full scale: the machine's where that is a fixed number, else one set by a rule.

    Attributes:
        rule: "max" covers every sum that was seen, "percentile" that part of them, "mse" takes the full scale
            with the smallest mean square of rounding and clipping errors together.
        percentile: per cent of the sums' magnitudes.
    """

    rule: Rule = "mse"
    percentile: float = 99.99

    def run(self, tiling: Tiling) -> Ranged:
        """Ranges for every layer and block. A layer that never fired gets those of uniform random inputs."""
        ranges: dict[tuple[str, int], float] = {}
        blocks = blocks_by_matrix(tiling.blocks)
        for matrix, uses in _layers_by_matrix(tiling).items():
            fixed = tiling.target.adc.range
            if fixed == "observed":
                ranges |= self._observed(tiling, blocks[matrix], uses)
            else:
                ranges |= {(layer.name, b.number): fixed for layer in uses for b in blocks[matrix]}
        return Ranged(tiling, ranges)

    def _observed(self, tiling: Tiling, blocks: list[Block], uses: list[Layer]) -> dict[tuple[str, int], float]:
        """Evaluates one matrix and multiplies it by the inputs of all its layers; replicas share the result."""
        calibrated, target = tiling.calibrated, tiling.target
        matrix = calibrated.network.matrices[blocks[0].matrix]
        stored = evaluate(matrix.recipe, calibrated.network.tensors[matrix.recipe.tensor])
        slots: dict[tuple[Span, Span], list[Block]] = {}
        for group in converter_groups(blocks):
            slots.setdefault((scale_rows(group), group[0].columns), []).extend(group)
        ranges: dict[tuple[str, int], float] = {}
        for layer in uses:
            inputs = dac_inputs(calibrated.layers[layer.name], matrix.rows)
            for (rows, columns), sharing in slots.items():
                sums = analog_sums(stored, rows, columns, inputs, target.crossbar.weight_scale)
                full_scale = self.full_scale(sums, target.adc.bits)
                ranges |= {(layer.name, b.number): full_scale for b in sharing}
        return ranges

    def full_scale(self, sums: Floats, bits: int | None) -> float:
        """The full scale that the rule gives for analog sums; 1 where they are all zero."""
        magnitudes = np.abs(sums).ravel()
        largest = float(magnitudes.max(initial=0.0))
        if largest == 0.0:
            return 1.0
        if self.rule == "percentile":
            return _percentile(magnitudes, self.percentile) or largest
        if self.rule == "mse" and bits is not None:
            return _least_square(magnitudes, largest, 2 ** (bits - 1) - 1)
        return largest


def _layers_by_matrix(tiling: Tiling) -> dict[str, list[Layer]]:
    found: dict[str, list[Layer]] = {}
    for layer in layers(tiling.calibrated.network.steps):
        found.setdefault(layer.matrix, []).append(layer)
    return found


def dac_inputs(seen: LayerInputs, rows: int) -> Floats:
    """Inputs as fractions of the DAC's range, clipped to ±1: [at most VECTORS, rows]."""
    if not len(seen.sample):
        return np.random.default_rng(0).uniform(-1, 1, (VECTORS, rows)).astype(np.float32)
    chosen = np.linspace(0, len(seen.sample) - 1, min(VECTORS, len(seen.sample))).astype(int)
    fractions: Floats = np.clip(seen.sample[chosen] / np.float32(seen.input_range), -1, 1)
    return fractions


def analog_sums(stored: Array, rows: Span, columns: Span, inputs: Floats, scale: WeightScale) -> Floats:
    """What the columns of a block sum, in units of its largest weight times the input range: [vectors, columns].

    Args:
        stored: the matrix as [groups, rows / groups, columns / groups].
        rows: all rows that add their charge before the converter; `columns` of the block.
        inputs: [vectors, rows of the matrix], from −1 to 1.
        scale: whether the largest weight is that of each column or of all of them.
    """
    weights = matrix_block(stored, rows, columns)
    largest = np.abs(weights).max(axis=0 if scale == "column" else None)
    weights /= np.where(largest > 0, largest, 1)
    sums: Floats = inputs[:, slice(*rows)] @ weights
    return sums


def _percentile(magnitudes: Floats, percentile: float) -> float:
    """The smallest magnitude that `percentile` per cent of them do not exceed."""
    rank = min(len(magnitudes) - 1, int(np.ceil(len(magnitudes) * percentile / 100)) - 1)
    return float(np.partition(magnitudes, rank)[rank])


def _least_square(magnitudes: Floats, largest: float, steps: int) -> float:
    """The candidate r with the least Σ_{a ≤ r} (r / steps)² / 12 + Σ_{a > r} (a − r)², over a histogram."""
    bins = 4096
    place = np.minimum((magnitudes * np.float32(bins / largest)).astype(np.int32), bins - 1)
    counts = np.bincount(place, minlength=bins)
    centres = (np.arange(bins) + 0.5) * (largest / bins)
    above = [np.append(np.cumsum((counts * centres**power)[::-1])[::-1], 0.0) for power in (0, 1, 2)]
    first = np.rint(CANDIDATES * bins).astype(int)
    scales = CANDIDATES * largest
    clipping = above[2][first] - 2 * scales * above[1][first] + scales**2 * above[0][first]
    rounding = (len(magnitudes) - above[0][first]) * (scales / steps) ** 2 / 12
    return float(scales[np.argmin(clipping + rounding)])

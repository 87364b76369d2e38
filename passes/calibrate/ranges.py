"""Setting the full scale of every ADC from what was seen at the layers' inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.passes.calibrate.full_scale import FullScale, Percentile, Rule
from mho.passes.levels.matrix import Array, evaluate
from mho.passes.levels.network import LayerInputs
from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Block, Tiling
from mho.passes.tile.blocks import blocks_by_matrix, converter_groups, scale_rows
from mho.runtime.crossbar import largest_weights
from mho.runtime.products import product_in_parts
from mho.targets.isa import Span
from mho.targets.program import matrix_block
from mho.targets.steps import Layer, layers
from mho.targets.target import WeightScale

VECTORS = 512
"""Inputs that calibration keeps of a layer, at most, to be multiplied by its blocks."""

STRIP = 4096
"""Columns of a matrix that are multiplied together."""

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
    percentile: Percentile = 99.99

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
        full_scale = FullScale(self.rule, self.percentile)
        for layer in uses:
            inputs = dac_inputs(calibrated.layers[layer.name], matrix.rows)
            for strip in strips(slots):
                every = strip_sums(stored, strip, inputs, target.crossbar.weight_scale)
                for slot, sums in zip(strip, every, strict=True):
                    found = full_scale.choose(sums, target.adc.bits)
                    ranges |= {(layer.name, b.number): found for b in slots[slot]}
        return ranges


def _layers_by_matrix(tiling: Tiling) -> dict[str, list[Layer]]:
    found: dict[str, list[Layer]] = {}
    for layer in layers(tiling.calibrated.network.steps):
        found.setdefault(layer.matrix, []).append(layer)
    return found


def dac_inputs(seen: LayerInputs, rows: int) -> Floats:
    """Inputs as fractions of the DAC's range, clipped to ±1: [vectors, rows]; random ones where none were seen."""
    if not len(seen.sample):
        return np.random.default_rng(0).uniform(-1, 1, (VECTORS, rows)).astype(np.float32)
    fractions: Floats = np.clip(seen.sample / np.float32(seen.input_range), -1, 1)
    return fractions


Slot = tuple[Span, Span]
"""Rows that add their charge before a converter, and the columns of their blocks."""


def strips(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """The slots, those with equal rows and neighbouring columns together: at most STRIP columns and one slot more."""
    strip: list[Slot] = []
    for rows, columns in sorted(slots):
        joins = strip and strip[-1][0] == rows and strip[-1][1][1] == columns[0]
        if strip and not (joins and columns[0] - strip[0][1][0] < STRIP):
            yield strip
            strip = []
        strip.append((rows, columns))
    if strip:
        yield strip


def strip_sums(stored: Array, strip: Sequence[Slot], inputs: Floats, scale: WeightScale) -> Iterator[Floats]:
    """What the columns of each slot sum, in units of its largest weight times the input range: [vectors, columns].

    One product of a strip is faster than many of blocks, above all where other work shares the cores.

    Args:
        stored: the matrix as [groups, rows / groups, columns / groups].
        strip: slots with equal rows and neighbouring columns.
        inputs: [vectors, rows of the matrix], from −1 to 1.
        scale: whether the largest weight is that of each column or of all of a block's.
    """
    rows, first = strip[0][0], strip[0][1][0]
    weights = matrix_block(stored, rows, (first, strip[-1][1][1]))
    sums: Floats = product_in_parts(inputs[:, slice(*rows)], weights, np.float32)
    for _, (start, stop) in strip:
        part = slice(start - first, stop - first)
        yield sums[:, part] / largest_weights(weights[:, part], scale)

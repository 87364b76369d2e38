"""One tile's physics: a block as its cells hold it, and the noise of the tile's products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.runtime.converters import convert
from mho.runtime.devices import program_cells
from mho.runtime.effects import Conditions, Effects
from mho.runtime.random import firing_normals, key
from mho.targets.isa import Load, Span
from mho.targets.program import Program, matrix_block
from mho.targets.target import Target, WeightScale


@dataclass(frozen=True)
class ProgrammedBlock:
    """A block as it acts in an MVM.

    Attributes:
        weights: [rows, columns] normalised: as programmed, drifted and read.
        scale: [columns] network's units of a normalised weight of 1, drift compensation included, which is
            digital and thus acts behind the converter.
    """

    load: Load
    weights: NDArray[np.float32]
    scale: NDArray[np.float32]


def program_blocks(program: Program, loads: Iterable[Load], conditions: Conditions) -> dict[int, ProgrammedBlock]:
    """Program blocks into their cells and look at them at `conditions.time_s`.

    What adds its charge before one converter (the rows of `scale_rows`) is scaled, drawn and compensated as one,
    even where only some of its blocks are asked for. The draws are named by matrix, replica and slice: where a
    block stands, and what else stands in its tile, does not change its devices.

    Returns:
        Number of the block → the block.
    """
    shared: dict[tuple[str, int, Span, Span], list[Load]] = {}
    for load in loads:
        shared.setdefault((load.matrix, load.replica, load.scale_rows, load.columns), []).append(load)
    return {block.load.block: block for group in shared.values() for block in _program(program, group, conditions)}


def _program(program: Program, loads: list[Load], conditions: Conditions) -> Iterator[ProgrammedBlock]:
    """Blocks of the same columns whose charge meets before one converter."""
    target, first = program.target, loads[0]
    weights = matrix_block(program.tensors[f"matrix/{first.matrix}"], first.scale_rows, first.columns)
    scale = largest_weights(weights, target.crossbar.weight_scale)
    name = (first.matrix, first.replica, *first.scale_rows, *first.columns)
    wanted = conditions.compensation or target.device.compensation
    cells = program_cells(
        weights / scale, target.device.model, conditions, name, wanted != "none", per_column=wanted == "column"
    )
    top = first.scale_rows[0]
    for load in loads:
        rows = slice(load.rows[0] - top, load.rows[1] - top)
        yield ProgrammedBlock(load, cells.weights[rows], scale * np.asarray(cells.compensation, np.float32))


def largest_weights(weights: NDArray[np.float32], per: WeightScale) -> NDArray[np.float32]:
    """The magnitude that becomes full conductance, one a column: of the column or of all; 1 where all is zero."""
    largest = np.abs(weights).max(axis=0)
    if per == "tile":
        largest[:] = largest.max()
    return np.where(largest > 0, largest, np.float32(1))


def drive(rows: NDArray[np.float32], input_range: float, target: Target, effects: Effects) -> NDArray[np.float32]:
    """What the DACs put on the rows: inputs [positions, rows] as fractions of the input range."""
    fractions: NDArray[np.float32] = np.divide(rows, input_range, dtype=np.float32)
    return convert(fractions, 1.0, target.dac.bits, out=fractions) if effects.dac else fractions


def digitise(
    sums: NDArray[np.float32], adc_range: NDArray[np.float32] | float, target: Target, effects: Effects
) -> NDArray[np.float32]:
    """What the ADCs make of analog sums [positions, columns]; the sums are overwritten."""
    return convert(sums, adc_range, target.adc.bits, out=sums) if effects.adc else sums


def output_noise(
    target: Target, conditions: Conditions, layer: str, block: int, fires: NDArray[np.int64], columns: int
) -> NDArray[np.float32] | None:
    """Noise of a block's analog sums, fresh at every fire; None where the machine or the run has none.

    Returns:
        [fires, columns] in units of the block's largest weight times the largest input.
    """
    if target.noise.output == 0 or not conditions.effects.output_noise:
        return None
    noise = firing_normals(key(conditions.seed, "output_noise", layer, block), fires, columns)
    noise *= np.float32(target.noise.output)
    return noise

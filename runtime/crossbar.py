"""One tile's physics: a block as its cells hold it, and what becomes of a product of it.

A block's analog sums are those of the standard description of a tile (Rasch et al., Nat. Commun. 14:5282, 2023):

    sums = Σ w x' − drop + √(Σ v x'²) n + σ_out n',   x' = DAC(x) + σ_in n''

with the variance v of the weights at every MVM: short-term σ_w² |w|, and of reading where the machine has it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mho.runtime.cells import program_cells
from mho.runtime.converters import Spread, convert
from mho.runtime.effects import Conditions, Effects
from mho.runtime.random import firing_normals, key
from mho.runtime.stuck import FaultyBlocks
from mho.runtime.threads import answers
from mho.targets.errors import ProgramError
from mho.targets.isa import Load, Span
from mho.targets.program import Program, matrix_block
from mho.targets.target import WHOLE_POLARITIES, Target, WeightScale

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Disturbance:
    """What makes a block's analog product more than rows times weights.

    Attributes:
        dac: deviations of the rows' DACs, or None.
        input_noise: standard deviation of what is on a row.
        wire: conductance of a full cell over that of the wire from cell to cell, times the block's rows; 0 without
            IR drop.
        variance: [rows, columns] of the weights at every MVM, or None.
    """

    dac: Spread | None
    input_noise: float
    wire: float
    variance: Array | None


@dataclass(frozen=True)
class ProgrammedBlock:
    """A block as it acts in an MVM.

    Attributes:
        weights: [rows, columns] normalised: as programmed, drifted and read.
        scale: [columns] network's units of a normalised weight of 1, drift compensation included, which is
            digital and thus acts behind the converter.
        disturbance: of its products; None where they are rows times weights.
        adc: deviations of the columns' ADCs, or None.
    """

    load: Load
    weights: Array
    scale: Array
    disturbance: Disturbance | None = None
    adc: Spread | None = None


def program_blocks(program: Program, loads: Iterable[Load], conditions: Conditions) -> dict[int, ProgrammedBlock]:
    """Program blocks into their cells and look at them at `conditions.time_s`.

    What adds its charge before one converter (the rows of `scale_rows`) is scaled, drawn and compensated as one,
    even where only some of its blocks are asked for. The draws are named by matrix, replica and slice: where a
    block stands, and what else stands in its tile, does not change its devices, but for those that a fault map lists.

    Returns:
        Number of the block → the block.

    Raises:
        ProgramError: a weight is made of a number of devices that makes no whole pairs of the machine's.
    """
    shared: dict[tuple[str, int, Span, Span], list[Load]] = {}
    for load in loads:
        shared.setdefault((load.matrix, load.replica, load.scale_rows, load.columns), []).append(load)
    faults = FaultyBlocks(program)
    groups = answers(lambda group: list(_program(program, group, conditions, faults)), shared.values())
    return {block.load.block: block for group in groups for block in group}


def _program(
    program: Program, loads: list[Load], conditions: Conditions, faults: FaultyBlocks
) -> Iterator[ProgrammedBlock]:
    """Blocks of the same columns whose charge meets before one converter."""
    target, first = program.target, loads[0]
    weights = matrix_block(program.tensors[f"matrix/{first.matrix}"], first.scale_rows, first.columns)
    scale = largest_weights(weights, target.crossbar.weight_scale)
    names = (first.matrix, first.replica, *first.scale_rows, *first.columns)
    device, copies = replace(target.device, significance=pairs_of(target, first)), reads(target)
    stuck = faults.stuck(loads, copies, len(device.significance))
    cells = program_cells(weights / scale, device, conditions, names, copies, stuck)
    variance = _variance(cells.weights, cells.variance, target, conditions.effects)
    spreads = conditions.effects.converter_spread
    adc = Spread.draw(target.adc, conditions.seed, ("adc", *names), len(scale)) if spreads else None
    factor = np.asarray(cells.compensation, np.float32)
    top = first.scale_rows[0]
    for load in loads:
        rows = slice(load.rows[0] - top, load.rows[1] - top)
        disturbance = _disturbance(load, target, conditions, None if variance is None else variance[rows])
        yield ProgrammedBlock(load, cells.weights[rows], scale * factor, disturbance, adc)


def reads(target: Target) -> int:
    """Reads of one MVM, each of a copy of the weights, of which the mean is taken."""
    return 2 if target.crossbar.balanced_reads else 1


def pairs_of(target: Target, load: Load) -> tuple[float, ...]:
    """The significance of the pairs that make a weight of a block.

    Weights of another number of devices than the machine's own have as many more or fewer pairs, all of one
    significance. Ideal devices hold every weight exactly, however many there are.

    Raises:
        ProgramError: there is no such whole number of pairs.
    """
    own, significance = target.crossbar.devices_per_weight, target.device.significance
    if load.devices in (None, own) or own is None or target.device.model == "ideal":
        return significance
    pairs, rest = divmod(len(significance) * (load.devices or own), own)
    whole = target.device.model not in WHOLE_POLARITIES
    if rest or pairs < 1 or len(set(significance)) > 1 or not whole:
        raise ProgramError(
            f"block {load.block}: {load.devices} devices cannot make a weight where {own} devices make one of "
            f"{len(significance)} pairs of significance {', '.join(f'{f:g}' for f in significance)} "
            f"({target.device.model})"
        )
    return significance[:1] * pairs


def _variance(weights: Array, reading: Array | None, target: Target, effects: Effects) -> Array | None:
    """Variance of the weights at every MVM, [rows, columns]; None where they do not vary."""
    if target.noise.weight == 0 or not effects.weight_noise:
        return reading
    short_term = np.abs(weights) * np.float32(target.noise.weight**2 / reads(target))
    return short_term if reading is None else reading + short_term


def _disturbance(load: Load, target: Target, conditions: Conditions, variance: Array | None) -> Disturbance | None:
    effects, rows = conditions.effects, load.rows[1] - load.rows[0]
    names = ("dac", load.matrix, load.replica, *load.rows, *load.columns)
    dac = Spread.draw(target.dac, conditions.seed, names, rows) if effects.converter_spread else None
    noise = target.noise.input / sqrt(reads(target)) if effects.input_noise else 0.0
    wire_ohm, cell_us = target.crossbar.wire_ohm, target.crossbar.cell_us
    wire = rows * wire_ohm * cell_us * 1e-6 if effects.ir_drop and wire_ohm and cell_us else 0.0
    if dac is None and noise == 0 and wire == 0 and variance is None:
        return None
    return Disturbance(dac, noise, wire, variance)


def largest_weights(weights: Array, per: WeightScale) -> Array:
    """The magnitude that becomes full conductance, one a column: of the column or of all; 1 where all is zero."""
    largest = np.abs(weights).max(axis=0)
    if per == "tile":
        largest[:] = largest.max()
    return np.where(largest > 0, largest, np.float32(1))


def drive(rows: Array, input_range: float, target: Target, effects: Effects) -> Array:
    """What the DACs put on the rows: inputs [positions, rows] as fractions of the input range."""
    fractions: Array = np.divide(rows, input_range, dtype=np.float32)
    return convert(fractions, 1.0, target.dac.bits, out=fractions) if effects.dac else fractions


def multiply(driven: Array, block: ProgrammedBlock, seed: int, layer: str, fires: NDArray[np.int64]) -> Array:
    """The analog sums [positions, columns] of a block, without the noise that is added to them as sums.

    Every draw is named by layer, block and fire.

    Args:
        seed: that of reading.
    """
    found = block.disturbance
    if found is None:
        plain: Array = np.matmul(driven, block.weights, dtype=np.float32)
        return plain
    x = driven if found.dac is None else found.dac.apply(driven, 1.0)
    if found.input_noise:
        noise = firing_normals(key(seed, "input_noise", layer, block.load.block), fires, x.shape[1])
        noise *= np.float32(found.input_noise)
        x = x + noise
    sums: Array = np.matmul(x, block.weights, dtype=np.float32)
    if found.wire:
        sums -= ir_drop(x, block.weights, found.wire)
    if found.variance is not None:
        sigma = np.sqrt(np.matmul(np.square(x), found.variance, dtype=np.float32))
        sums += sigma * firing_normals(key(seed, "weight_noise", layer, block.load.block), fires, sums.shape[1])
    return sums


def ir_drop(x: Array, weights: Array, wire: float) -> Array:
    """What sums [positions, columns] lose along the wires of their columns.

    With a = wire · Σ |w| |x|, c = 0.5 a − 0.2 a² + 0.05 a³, a column loses c Σ w x (1 − (1 − i / rows)²), i being the
    number of a row, 0 for the first one, which stands next to the converter (aihwkit; Rasch et al. 2023). A block is
    as high as its rows are many: where it lies in the crossbar counts for nothing.

    Args:
        wire: conductance of a full cell over that of the wire from cell to cell, times the number of rows.
    """
    a = np.matmul(np.abs(x), np.abs(weights), dtype=np.float32)
    a *= np.float32(wire)
    c = a * (np.float32(0.5) + a * (np.float32(-0.2) + a * np.float32(0.05)))
    near = 1 - np.arange(len(weights), dtype=np.float32) / np.float32(len(weights))
    lost: Array = c * np.matmul(x * (1 - near**2), weights, dtype=np.float32)
    return lost


def digitise(
    sums: Array,
    adc_range: Array | float,
    target: Target,
    effects: Effects,
    spread: Spread | None = None,
) -> Array:
    """What the ADCs make of analog sums [positions, columns]; the sums are overwritten."""
    if spread is not None:
        spread.apply(sums, adc_range, out=sums)
    return convert(sums, adc_range, target.adc.bits, out=sums) if effects.adc else sums


def output_noise(
    target: Target, conditions: Conditions, layer: str, block: int, fires: NDArray[np.int64], columns: int
) -> Array | None:
    """Noise of a block's analog sums, fresh at every fire; None where the machine or the run has none.

    Returns:
        [fires, columns] in units of the block's largest weight times the largest input.
    """
    if target.noise.output == 0 or not conditions.effects.output_noise:
        return None
    noise = firing_normals(key(conditions.reading_seed, "output_noise", layer, block), fires, columns)
    noise *= np.float32(target.noise.output / sqrt(reads(target)))
    return noise

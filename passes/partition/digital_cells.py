"""How many recurrent cells a chip has digital units for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mho.passes.levels.tiling import Tiling
from mho.passes.partition.limits import ChipLimits
from mho.passes.tile.blocks import tiles_of_blocks
from mho.targets.arrays import Indices
from mho.targets.steps import Recurrent, walk


def with_cells(tiling: Tiling, limits: ChipLimits) -> ChipLimits:
    """The limits, and no chip with more cells of one kind of digital unit than its units and its share of all cells.

    Every direction of a recurrent step has a cell, which stands where its first gate does. The same limits where
    no machine's count of units is known or no step needs one.
    """
    loads = [
        (cells, max(count, -(-int(cells.sum()) // limits.chips)))
        for unit, cells in cells_of_units(tiling, limits.units.unit_of).items()
        if (count := tiling.target.units[unit].count) is not None
    ]
    if not loads:
        return limits

    def fits(chip: int, held: Indices) -> bool:
        return limits.holds(chip, held) and all(cells[held].sum() <= most for cells, most in loads)

    return replace(limits, fits=fits)


def cells_of_units(tiling: Tiling, unit_of: Indices) -> dict[str, Indices]:
    """Kind of digital unit → cells of each unit of tiles."""
    tile_of, first = tiles_of_blocks(tiling), {}
    for block in reversed(tiling.blocks):
        first[block.matrix] = int(tile_of[block.number])
    found: dict[str, Indices] = {}
    for step in walk(tiling.calibrated.network.steps):
        unit = tiling.target.unit_of(step.cell) if isinstance(step, Recurrent) else None
        if isinstance(step, Recurrent) and unit is not None:
            cells = found.setdefault(unit, np.zeros(int(unit_of.max(initial=-1)) + 1, np.int64))
            for direction in step.directions:
                cells[unit_of[first[direction.gates[0].matrix]]] += 1
    return found

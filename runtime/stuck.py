"""Stuck cells of a fault map, found in the blocks that lie on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from mho.runtime.cells import StuckDevice
from mho.targets.errors import ProgramError
from mho.targets.faults import StuckCell, TileFaults, usable_lines
from mho.targets.isa import Load, Site
from mho.targets.program import Program
from mho.targets.target import Crossbar

LEVELS = {"low": 0.0, "high": 1.0}
"""What a stuck device holds, in units of the largest conductance."""


class FaultyBlocks:
    """Where the blocks of a program lie, and which of their devices a fault map lists.

    A cell that is listed is all devices of one polarity of a weight of the machine's own number of devices; where a
    weight is made of others, it is those that stand at the same place of the row.
    """

    def __init__(self, program: Program) -> None:
        self._target = program.target
        self._faults = program.faults.by_site if any(t.stuck for t in program.faults.tiles) else {}
        self._sites: Mapping[int, tuple[Site, Load]] = {
            load.block: (core.site, load) for core in program.cores for load in core.loads if self._faults
        }

    def stuck(self, loads: Iterable[Load], copies: int, pairs: int) -> tuple[StuckDevice, ...]:
        """The stuck devices of loads that are programmed together: rows count from the first of `scale_rows`.

        The program's other blocks of the same cells count too, so that these are programmed the same without them.

        Args:
            copies, pairs: what a weight of these loads is made of.
        """
        if not self._faults:
            return ()
        first = next(iter(loads))
        mine = [
            (self._faults[site], load)
            for site, load in self._sites.values()
            if site in self._faults and _together(load, first)
        ]
        return tuple(device for faults, load in mine for device in self._of(load, faults, copies, pairs))

    def _of(self, load: Load, faults: TileFaults, copies: int, pairs: int) -> Iterator[StuckDevice]:
        crossbar, per_weight = self._target.crossbar, copies * pairs
        own = per_weight
        if load.devices is not None and crossbar.devices_per_weight is not None:
            own = per_weight * crossbar.devices_per_weight // load.devices
        top = load.rows[0] - load.scale_rows[0]
        rows, columns = (_places(lines) for lines in block_lines(load, faults, crossbar))
        for cell in faults.stuck:
            row = rows.get(cell.row)
            for place in range(cell.column * own, (cell.column + 1) * own) if row is not None else ():
                column, device = columns.get(place // per_weight), place % per_weight
                if row is not None and column is not None:
                    yield _device(cell, top + row, column, *divmod(device, pairs))


def _device(cell: StuckCell, row: int, column: int, copy: int, pair: int) -> StuckDevice:
    return StuckDevice(row, column, cell.polarity, copy, pair, LEVELS[cell.level])


def _together(one: Load, other: Load) -> bool:
    return (one.matrix, one.replica, one.scale_rows, one.columns) == (
        other.matrix,
        other.replica,
        other.scale_rows,
        other.columns,
    )


def block_lines(load: Load, faults: TileFaults, crossbar: Crossbar) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The physical rows and columns that a block lies on, columns counted in weights of its own devices.

    Raises:
        ProgramError: it reaches beyond the lines that are not dead.
    """
    wide = crossbar if load.devices is None else crossbar.with_devices(load.devices)
    dead = (tuple(sorted(set(faults.rows))), faults.dead_columns(crossbar, load.devices))
    spans = ((load.rows, load.row_offset), (load.columns, load.column_offset))
    lines = []
    for (span, offset), lost, limit in zip(spans, dead, (wide.rows, wide.columns), strict=True):
        last = offset + span[1] - span[0]
        lines.append(usable_lines(min(last + len(lost), limit), lost)[offset:last])
        if len(lines[-1]) < span[1] - span[0]:
            raise ProgramError(f"block {load.block} reaches beyond the {limit - len(lost)} lines that are not dead")
    return lines[0], lines[1]


def _places(lines: NDArray[np.int64]) -> dict[int, int]:
    """Physical number of a line → its number in the block."""
    return {int(line): place for place, line in enumerate(lines)}

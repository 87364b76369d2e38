"""What a program's fault map took away, and what of it the program stepped around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.targets.arrays import Indices
from mho.targets.errors import counted
from mho.targets.faults import StuckCell, TileFaults, usable_lines
from mho.targets.isa import CoreProgram, Load, Site
from mho.targets.program import MatrixFacts, Program
from mho.targets.target import Crossbar


@dataclass(frozen=True, kw_only=True)
class FaultLine:
    """Counts of faults on the chips in use.

    Attributes:
        dead_tiles: avoided, and their sites in `dead_sites`.
        dead_rows, dead_columns: avoided on the tiles that hold weights.
        spare_tiles: tiles on which blocks reach spare lines, because a dead one lies before.
        stuck_cells: on the tiles that hold weights; stuck_weights: those of them under a weight, which nothing avoids.
    """

    dead_tiles: int
    dead_rows: int
    dead_columns: int
    spare_tiles: int
    stuck_cells: int
    stuck_weights: int
    dead_sites: tuple[Site, ...]

    def __str__(self) -> str:
        lines = [
            f"{counted(self.dead_tiles, 'dead tile')}, {counted(self.dead_rows, 'dead row')} and "
            f"{counted(self.dead_columns, 'dead column')} avoided; {counted(self.spare_tiles, 'tile')} "
            f"{'uses' if self.spare_tiles == 1 else 'use'} spare lines"
        ]
        if self.stuck_cells:
            under = f"{self.stuck_weights:,} of {self.stuck_cells:,}"
            lines.append(f"{under} stuck cells of the tiles in use lie under a weight")
        return "; ".join(lines)


def fault_line(program: Program) -> FaultLine | None:
    """The counts; None where the program has no fault map."""
    if not program.faults.tiles:
        return None
    dead = tuple(sorted(tile.site for tile in program.faults.tiles if tile.dead))
    faults = program.faults.by_site
    used = [(core, faults[core.site]) for core in program.cores if core.loads and core.site in faults]
    matrices = {matrix.name: matrix for matrix in program.matrices}
    crossbar = program.target.crossbar
    return FaultLine(
        dead_tiles=len(dead),
        dead_rows=sum(len(tile.rows) for _, tile in used),
        dead_columns=sum(len(tile.columns) for _, tile in used),
        spare_tiles=sum(_uses_spare(core, tile, crossbar) for core, tile in used),
        stuck_cells=sum(len(tile.stuck) for _, tile in used),
        stuck_weights=sum(_under_weights(core, tile, crossbar, matrices) for core, tile in used),
        dead_sites=dead,
    )


def _uses_spare(core: CoreProgram, tile: TileFaults, crossbar: Crossbar) -> bool:
    """Whether a dead line lies before the last line that a block needs."""
    return any(
        min(tile.rows, default=crossbar.rows) < load.row_offset + load.rows[1] - load.rows[0]
        or min(tile.dead_columns(crossbar, load.devices), default=crossbar.columns)
        < load.column_offset + load.columns[1] - load.columns[0]
        for load in core.loads
    )


def _under_weights(core: CoreProgram, tile: TileFaults, crossbar: Crossbar, matrices: Mapping[str, MatrixFacts]) -> int:
    """Stuck cells under a weight of a block; the zeros between groups hold none."""
    if not tile.stuck:
        return 0
    return sum(_under(load, tile, crossbar, matrices[load.matrix]) for load in core.loads)


def _under(load: Load, tile: TileFaults, crossbar: Crossbar, matrix: MatrixFacts) -> int:
    wide = crossbar if load.devices is None else crossbar.with_devices(load.devices)
    rows = usable_lines(crossbar.rows, tile.rows)[load.row_offset :][: load.rows[1] - load.rows[0]]
    columns = usable_lines(wide.columns, tile.dead_columns(crossbar, load.devices))[load.column_offset :]
    columns = columns[: load.columns[1] - load.columns[0]]
    row, inside = _positions((cell.row for cell in tile.stuck), rows)
    column, beside = _positions(_columns(tile.stuck, crossbar, load), columns)
    height, width = matrix.rows // matrix.groups, matrix.columns // matrix.groups
    same_group = (load.rows[0] + row) // height == (load.columns[0] + column) // width
    return int((inside & beside & same_group).sum())


def _columns(stuck: tuple[StuckCell, ...], crossbar: Crossbar, load: Load) -> Iterable[int]:
    """The columns of the cells, counted as the block's weights count them."""
    own = crossbar.devices_per_weight
    if load.devices is None or own is None:
        return (cell.column for cell in stuck)
    return (cell.column * own // load.devices for cell in stuck)


def _positions(lines: Iterable[int], usable: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """The place of each line among the usable ones of a block, and whether it is one of them."""
    wanted = np.fromiter(lines, np.int64)
    place = np.minimum(np.searchsorted(usable, wanted), len(usable) - 1)
    return place, usable[place] == wanted

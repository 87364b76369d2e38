"""A tiling as text, for people and for comparisons."""

from __future__ import annotations

from mho.passes.levels.tiling import Seat, Tiling
from mho.targets.errors import plain


def tiling_text(tiling: Tiling) -> str:
    """One line a matrix and one a tile with its blocks: matrix[rows, columns] at (row, column) of the crossbar."""
    crossbar, network = tiling.target.crossbar, tiling.calibrated.network
    lines = [
        f"tiling of {plain(network.name)} for {plain(tiling.target.name)}: {len(tiling.blocks)} blocks in "
        f"{len(tiling.tiles)} tiles of {crossbar.rows} × {crossbar.columns}, at least {tiling.tiles_lower_bound}"
    ]
    for matrix in network.matrices.values():
        groups = f", {matrix.groups} groups" if matrix.groups > 1 else ""
        copies = f", {tiling.replicas[matrix.name]} copies" if tiling.replicas[matrix.name] > 1 else ""
        devices = f", {tiling.devices[matrix.name]} devices a weight" if matrix.name in tiling.devices else ""
        lines.append(f"  matrix {plain(matrix.name)}: {matrix.rows} × {matrix.columns}{groups}{copies}{devices}")
    for number, seats in enumerate(tiling.tiles):
        lines.append(f"  tile {number}: " + "; ".join(_seat_text(tiling, seat) for seat in seats))
    return "\n".join(lines) + "\n"


def _seat_text(tiling: Tiling, seat: Seat) -> str:
    block = tiling.blocks[seat.block]
    replica = f" copy {block.replica}" if tiling.replicas[block.matrix] > 1 else ""
    shared = f" converter {block.converter}" if block.converter != block.number else ""
    span = f"[{block.rows[0]}:{block.rows[1]}, {block.columns[0]}:{block.columns[1]}]"
    return f"{block.number} {plain(block.matrix)}{replica}{span} at ({seat.row_offset}, {seat.column_offset}){shared}"

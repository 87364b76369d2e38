"""Packing as a constraint problem, for few blocks: fewer tiles, or the proof that there are none fewer."""

from __future__ import annotations

from collections.abc import Sequence

from mho.passes.levels.tiling import Seat
from mho.passes.pack.bounds import Piece
from mho.passes.pack.heuristics import Bin, on_diagonal
from mho.passes.solver import Problem, new_model
from mho.targets.target import Crossbar


def diagonal_problem(pieces: Sequence[Piece], crossbar: Crossbar, bins: Sequence[Bin], bound: int) -> Problem:
    """Sums of rows and of columns within at least a tile fewer than `bins`; its variables are the pieces' tiles.

    Piece i may use the first i + 1 tiles only, which takes nothing away but the names of the tiles.
    """
    model = new_model()
    tiles = len(bins) - 1
    within = [[model.new_bool_var("") for _ in range(min(i + 1, tiles))] for i in range(len(pieces))]
    used = model.new_int_var(bound, tiles, "used")
    places = []
    for row in within:
        place = model.new_int_var(0, len(row) - 1, "")
        model.add_exactly_one(row)
        model.add(place == sum(t * x for t, x in enumerate(row)))
        model.add(place < used)
        places.append(place)
    for tile in range(tiles):
        here = [(p, row[tile]) for p, row in zip(pieces, within, strict=True) if tile < len(row)]
        model.add(sum(p.rows * x for p, x in here) <= crossbar.rows)
        model.add(sum(p.columns * x for p, x in here) <= crossbar.columns)
    for sharing in _by_converter(pieces):
        model.add_all_different([places[i] for i in sharing])
    model.minimize(used)
    return Problem(model, tuple(places))


def rectangle_problem(pieces: Sequence[Piece], crossbar: Crossbar, bins: Sequence[Bin], bound: int) -> Problem:
    """Rectangles in at least a tile fewer than `bins`; its variables are tile, row and column of each piece.

    The tiles stand side by side, so that no overlap is one constraint. The blocks of all bins but the emptiest are
    hinted at where they are.
    """
    model = new_model()
    tiles = len(bins) - 1
    corners = _corners(bins, pieces)
    used = model.new_int_var(bound, tiles, "used")
    across, down, variables, places = [], [], [], []
    for i, piece in enumerate(pieces):
        place = model.new_int_var(0, min(i, tiles - 1), "")
        row = model.new_int_var(0, crossbar.rows - piece.rows, "")
        column = model.new_int_var(0, crossbar.columns - piece.columns, "")
        model.add(place < used)
        start = model.new_int_var(0, tiles * crossbar.columns - piece.columns, "")
        model.add(start == place * crossbar.columns + column)
        across.append(model.new_fixed_size_interval_var(start, piece.columns, ""))
        down.append(model.new_fixed_size_interval_var(row, piece.rows, ""))
        places.append(place)
        variables += [place, row, column]
        for variable, value in zip((row, column), corners.get(piece.block, ()), strict=False):
            model.add_hint(variable, value)
    model.add_no_overlap_2d(across, down)
    for sharing in _by_converter(pieces):
        model.add_all_different([places[i] for i in sharing])
    model.minimize(used)
    return Problem(model, tuple(variables))


def _corners(bins: Sequence[Bin], pieces: Sequence[Piece]) -> dict[int, tuple[int, int]]:
    """Block → its row and column in its tile, but for the blocks of the tile that holds the fewest cells."""
    cells = {p.block: p.rows * p.columns for p in pieces}
    emptiest = min(bins, key=lambda b: sum(cells[seat.block] for seat in b))
    return {seat.block: (seat.row_offset, seat.column_offset) for b in bins if b is not emptiest for seat in b}


def diagonal_bins(pieces: Sequence[Piece], values: Sequence[int]) -> list[Bin]:
    """The packing that a solution of `diagonal_problem` tells."""
    groups: dict[int, list[Piece]] = {}
    for piece, tile in zip(pieces, values, strict=True):
        groups.setdefault(tile, []).append(piece)
    return [on_diagonal(group) for group in groups.values()]


def rectangle_bins(pieces: Sequence[Piece], values: Sequence[int]) -> list[Bin]:
    """The packing that a solution of `rectangle_problem` tells."""
    bins: dict[int, Bin] = {}
    for i, piece in enumerate(pieces):
        tile, row, column = values[3 * i : 3 * i + 3]
        bins.setdefault(tile, []).append(Seat(piece.block, row, column))
    return list(bins.values())


def _by_converter(pieces: Sequence[Piece]) -> list[list[int]]:
    """Indices of the pieces of each converter that has several."""
    found: dict[int, list[int]] = {}
    for i, piece in enumerate(pieces):
        found.setdefault(piece.converter, []).append(i)
    return [indices for indices in found.values() if len(indices) > 1]

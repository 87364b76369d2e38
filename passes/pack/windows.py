"""Windows: some tiles dealt out again over fewer, as a constraint problem.

A strip may be cut anew, so a problem says how many units of each strip each tile takes: their rows, and the columns of
every strip that it takes any of, stay within the tile's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from mho.passes.pack.pipelined import Dealt, Load
from mho.passes.pack.strips import Strip
from mho.passes.solver import Budget, Problem, new_model, solve
from mho.targets.target import Crossbar

SIZES = (400, 1200, 3000)
"""Choices of a strip for a tile in one window, at most: where small windows find nothing, larger ones are tried."""

TURNS = 2
"""Windows of a size that may fail: each looks at other tiles."""


def repack(dealt: Dealt, crossbar: Crossbar, bound: int, limit: Budget, seed: int) -> Dealt:
    """The same strips in fewer tiles, as far as windows find them.

    Args:
        limit: of each window.
    """
    for most in SIZES:
        turn = 0
        while turn < TURNS and len(dealt.tiles) > bound:
            window = _window(dealt, crossbar, most, turn)
            smaller = _fewer(dealt.strips, [dealt.tiles[t] for t in window], crossbar, limit, seed) if window else None
            if smaller is None:
                turn += 1
                continue
            inside = set(window)
            rest = [load for tile, load in enumerate(dealt.tiles) if tile not in inside]
            dealt = Dealt(dealt.strips, (*rest, *smaller))
    return dealt


def _window(dealt: Dealt, crossbar: Crossbar, most: int, turn: int) -> list[int]:
    """Tiles with free rows and full tiles of little width by turns, up to so many choices; none if it is vain.

    It is vain where the free rows of its tiles are fewer than those of one.

    Args:
        turn: where the tiles with free rows begin, in windows.
    """
    strips = dealt.strips
    used = [sum(strips[i].rows_of(n) for i, n in load.items()) for load in dealt.tiles]
    width = [sum(strips[i].columns_of(n) for i, n in load.items()) for load in dealt.tiles]
    full = [tile for tile, rows in enumerate(used) if rows == crossbar.rows]
    loose = sorted((tile for tile, rows in enumerate(used) if rows < crossbar.rows), key=lambda t: (used[t], t))
    narrow = sorted((tile for tile in full if 2 * width[tile] <= crossbar.columns), key=lambda t: (width[t], t))
    chosen: list[int] = []
    kinds: set[int] = set()
    for tile in _by_turns(_turned(loose, turn), _turned(narrow, turn)[: len(loose)]):
        more = kinds | set(dealt.tiles[tile])
        if (len(chosen) + 1) * len(more) > most:
            break
        chosen.append(tile)
        kinds = more
    free = sum(crossbar.rows - used[t] for t in chosen)
    return chosen if free >= crossbar.rows else []


def _turned(tiles: list[int], turn: int) -> list[int]:
    """The tiles from another one on."""
    start = turn * len(tiles) // TURNS
    return tiles[start:] + tiles[:start]


def _by_turns(first: list[int], second: list[int]) -> Iterator[int]:
    for pair in zip_longest(first, second):
        yield from (tile for tile in pair if tile is not None)


def _fewer(
    strips: Sequence[Strip], loads: Sequence[Load], crossbar: Crossbar, limit: Budget, seed: int
) -> list[Load] | None:
    """The loads in one tile fewer; None where that was not found."""
    held: dict[int, int] = {}
    for load in loads:
        for index, units in load.items():
            held[index] = held.get(index, 0) + units
    tiles = len(loads) - 1
    solution = solve(_problem(strips, held, tiles, crossbar), limit, seed)
    if not solution.values:
        return None
    values = iter(solution.values)
    found: list[dict[int, int]] = [{} for _ in range(tiles)]
    for index in held:
        for tile in found:
            units = next(values)
            if units:
                tile[index] = units
    return [tile for tile in found if tile]


def _problem(strips: Sequence[Strip], held: dict[int, int], tiles: int, crossbar: Crossbar) -> Problem:
    """Its variables are the units of each strip in each tile, tile by tile."""
    model = new_model()
    units, columns = [], []
    for index, total in held.items():
        strip = strips[index]
        most = min(total, crossbar.rows // strip.unit_rows, *_widest(strip, crossbar))
        row = [model.new_int_var(0, most, "") for _ in range(tiles)]
        model.add(sum(row) == total)
        units.append(row)
        if strip.rigid:
            columns.append([strip.width * variable for variable in row])
            continue
        here = [model.new_bool_var("") for _ in range(tiles)]
        for variable, taken in zip(row, here, strict=True):
            model.add(variable <= most * taken)
        columns.append([strip.width * taken for taken in here])
    rows = [strips[index].unit_rows for index in held]
    for tile in range(tiles):
        model.add(sum(r * row[tile] for r, row in zip(rows, units, strict=True)) <= crossbar.rows)
        model.add(sum(row[tile] for row in columns) <= crossbar.columns)
    return Problem(model, tuple(variable for row in units for variable in row))


def _widest(strip: Strip, crossbar: Crossbar) -> Iterator[int]:
    if strip.rigid:
        yield crossbar.columns // strip.width

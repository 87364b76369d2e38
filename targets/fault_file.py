"""A fault map as a TOML file: read, checked against a machine, and written.

A table `[[tile]]` a site with faults, with the keys `site`, `dead`, `rows`, `columns`, `stuck_low` and `stuck_high`.
Stuck cells are words of one text, `"12,40+ 12,41-"`: row, column and polarity of the weight.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

from mho.targets.errors import TargetError, plain
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.files import read_bounded, replacing
from mho.targets.isa import Site
from mho.targets.schema import Problem, nearest, shown
from mho.targets.target import UNLIMITED, Mesh, Target

MOST_BYTES = 2**26
LARGEST_INDEX = 2**31 - 1
BAD_SHOWN = 4
CELLS_A_LINE = 12

KEYS = ("site", "dead", "rows", "columns", "stuck_low", "stuck_high")
LEVELS: tuple[Literal["low", "high"], ...] = ("low", "high")

_SITE = re.compile(r"(\d{1,10}):(\d{1,10}),(\d{1,10})")
_CELL = re.compile(r"(\d{1,10}),(\d{1,10})([+-])")


@dataclass(frozen=True)
class _Read:
    """What could be read of a table, and what could not."""

    tile: TileFaults | None
    problems: tuple[Problem, ...]


def read_faults(path: str | Path, target: Target) -> FaultMap:
    """The faults that a file lists, checked against the machine.

    Raises:
        TargetError: the file cannot be read, or with every mistake in it.
    """
    label = plain(str(path))
    tables, problems = _tables(_parse(Path(path), label))
    read = [_read_table(number, table) for number, table in enumerate(tables, 1)]
    tiles = tuple(r.tile for r in read if r.tile is not None)
    found = chain(problems, chain.from_iterable(r.problems for r in read), contradictions(tiles, target))
    _refuse(label, found)
    return FaultMap(tiles=tiles)


def check_faults(faults: FaultMap, target: Target) -> None:
    """Checks a fault map that was made in Python against the machine.

    Raises:
        TargetError: with every mistake.
    """
    _refuse("faults", contradictions(faults.tiles, target))


def write_faults(faults: FaultMap, path: str | Path) -> None:
    """Writes a map as a file, whole or not at all.

    Raises:
        TargetError: the file cannot be written.
    """
    try:
        with replacing(Path(path)) as file:
            for text in _texts(faults):
                file.write(text.encode())
    except OSError as error:
        raise TargetError(f"{plain(str(path))}: cannot be written: {error.strerror or error}") from error


def _refuse(label: str, problems: Iterable[Problem]) -> None:
    sentences = [f"{label}: {p.key} {p.text}" for p in problems]
    if sentences:
        raise TargetError(sentences)


def _parse(path: Path, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bounded(path, MOST_BYTES).decode())
    except OSError as error:
        raise TargetError(f"{label}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TargetError(f"{label}: is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{label}: is not TOML: {plain(str(error))}") from error


def _tables(document: dict[str, Any]) -> tuple[list[Any], list[Problem]]:
    problems = [Problem(plain(key), "is not a known key; known here: tile") for key in document if key != "tile"]
    tables = document.get("tile", [])
    if not isinstance(tables, list):
        return [], [*problems, Problem("tile", "must be a list of tables: write [[tile]] above each")]
    return tables, problems


def _read_table(number: int, table: Any) -> _Read:
    label = f"tile number {number}"
    if not isinstance(table, dict):
        return _Read(None, (Problem(label, f"= {_value(table)}: must be a table"),))
    site = parse_site(table.get("site"))
    label = label if site is None else f"tile {site}"
    problems = [Problem(f"{label}.{plain(key)}", _unknown(key)) for key in table if key not in KEYS]
    if site is None:
        wanted = f'must be chip, column and row as in "0:3,4", each of at most {LARGEST_INDEX}'
        given = f"= {_value(table['site'])}: " if "site" in table else "is missing; it "
        problems.append(Problem(f"{label}.site", given + wanted))
    dead = table.get("dead", False)
    if not isinstance(dead, bool):
        problems.append(Problem(f"{label}.dead", f"= {_value(dead)}: must be true or false"))
    rows, columns = (_numbers(table, key, label, problems) for key in ("rows", "columns"))
    stuck = tuple(chain.from_iterable(_cells(table, level, label, problems) for level in LEVELS))
    tile = None if site is None else TileFaults(site=site, dead=dead is True, rows=rows, columns=columns, stuck=stuck)
    return _Read(tile, tuple(problems))


def _unknown(key: str) -> str:
    guess = nearest(key, KEYS)
    return f"is not a known key; {f'the nearest one is {guess}' if guess else 'known here: ' + ', '.join(KEYS)}"


def parse_site(value: object) -> Site | None:
    """The site that a text such as "0:3,4" names; None where it names none."""
    match = _SITE.fullmatch(value) if isinstance(value, str) else None
    parts = [int(part) for part in match.groups()] if match else []
    return Site(*parts) if match and max(parts) <= LARGEST_INDEX else None


def _numbers(table: dict[str, Any], key: str, label: str, problems: list[Problem]) -> tuple[int, ...]:
    """The whole numbers of a list; what else it holds is a problem."""
    value = table.get(key, [])
    items = value if isinstance(value, list) else [value]
    good = tuple(item for item in items if type(item) is int)
    if not isinstance(value, list) or len(good) < len(items):
        problems.append(Problem(f"{label}.{key}", f"= {_value(value)}: must be a list of whole numbers"))
    return good


def _cells(
    table: dict[str, Any], level: Literal["low", "high"], label: str, problems: list[Problem]
) -> Iterator[StuckCell]:
    key = f"stuck_{level}"
    value = table.get(key, "")
    words = value.split() if isinstance(value, str) else []
    matches = [_CELL.fullmatch(word) for word in words]
    if not isinstance(value, str) or None in matches:
        bad = [word for word, match in zip(words, matches, strict=True) if match is None] or value
        text = f'= {_value(bad)}: must be a text of row, column and polarity a cell, as in "12,40+ 12,41-"'
        problems.append(Problem(f"{label}.{key}", text))
    for match in matches:
        if match is not None:
            polarity = cast(Literal["+", "-"], match[3])
            yield StuckCell(row=int(match[1]), column=int(match[2]), polarity=polarity, level=level)


def _value(value: object) -> str:
    """A value as the file has it; what JSON does not know, such as a date, as its own text."""
    try:
        return shown(value)
    except (TypeError, ValueError):
        return plain(str(value))[:60]


def contradictions(tiles: Sequence[TileFaults], target: Target) -> Iterator[Problem]:
    """What the machine does not have, and what is said twice."""
    counts = Counter(tile.site for tile in tiles)
    yield from (
        Problem(f"tile {site}", f"is listed {n} times; list a site once") for site, n in counts.items() if n > 1
    )
    crossbar = target.crossbar
    for tile in tiles:
        label = f"tile {tile.site}"
        outside = outside_mesh(tile.site, target.mesh)
        if outside:
            yield Problem(f"{label}.site", f'= "{tile.site}": {outside}')
        yield from _lines(f"{label}.rows", tile.rows, "rows", crossbar.rows)
        yield from _lines(f"{label}.columns", tile.columns, "columns", crossbar.columns)
        for level in LEVELS:
            cells = [cell for cell in tile.stuck if cell.level == level]
            yield from _lines(f"{label}.stuck_{level}: row", [c.row for c in cells], "rows", crossbar.rows, once=False)
            columns = [c.column for c in cells]
            yield from _lines(f"{label}.stuck_{level}: column", columns, "columns", crossbar.columns, once=False)
        places = Counter((cell.row, cell.column, cell.polarity) for cell in tile.stuck)
        twice = [f"{row},{column}{polarity}" for (row, column, polarity), n in places.items() if n > 1]
        if twice:
            yield Problem(label, f"has stuck cells that are listed more than once: {_few(twice)}")


def outside_mesh(site: Site, mesh: Mesh) -> str | None:
    """What a chip allows where the site is none of its own; chips may be any number."""
    if min(site.chip, site.x, site.y) < 0:
        return "chip, column and row must be at least 0"
    if mesh.tiles is None:
        sizes = (mesh.width or LARGEST_INDEX + 1, mesh.height or LARGEST_INDEX + 1)
        return None if site.x < sizes[0] and site.y < sizes[1] else _at_most(sizes)
    width, height = mesh.grid(mesh.tiles)
    if site.x >= width or site.y >= height:
        return _at_most((width, height))
    if site.y * width + site.x >= mesh.tiles:
        return (
            f"must be one of the first {mesh.tiles} sites of a chip, row by row of {width} (mesh.tiles = {mesh.tiles})"
        )
    return None


def _at_most(sizes: tuple[int, int]) -> str:
    return f"the column must be at most {sizes[0] - 1} and the row at most {sizes[1] - 1}, the grid of a chip"


def _lines(key: str, numbers: Sequence[int], kind: str, size: int, once: bool = True) -> Iterator[Problem]:
    if numbers and size == UNLIMITED:
        yield Problem(key, f"must be left out: the machine names no crossbar.{kind}, only whole tiles can be dead")
        return
    bad = [number for number in numbers if not 0 <= number < size]
    if bad:
        yield Problem(key, f"= {_few(bad)}: must be at least 0 and at most {size - 1} (crossbar.{kind} = {size})")
    twice = [number for number, n in Counter(numbers).items() if n > 1] if once else []
    if twice:
        yield Problem(key, f"= {_few(twice)}: listed more than once; list a line once")


def _few(values: Sequence[object]) -> str:
    more = f" and {len(values) - BAD_SHOWN} more" if len(values) > BAD_SHOWN else ""
    return ", ".join(map(str, values[:BAD_SHOWN])) + more


def _texts(faults: FaultMap) -> Iterator[str]:
    for number, tile in enumerate(faults.tiles):
        yield ("\n" if number else "") + f'[[tile]]\nsite = "{tile.site}"\n'
        if tile.dead:
            yield "dead = true\n"
        if tile.rows:
            yield f"rows = {list(tile.rows)}\n"
        if tile.columns:
            yield f"columns = {list(tile.columns)}\n"
        for level in LEVELS:
            words = [f"{c.row},{c.column}{c.polarity}" for c in tile.stuck if c.level == level]
            lines = [" ".join(words[i : i + CELLS_A_LINE]) for i in range(0, len(words), CELLS_A_LINE)]
            if lines:
                text = f'"{lines[0]}"' if len(lines) == 1 else '"""\n' + "\n".join(lines) + '"""'
                yield f"stuck_{level} = {text}\n"

"""A placement as a JSON file: exported from a program, edited by people, and read for another compile.

`{"schema": "mho-placement-1", "model": …, "target": …, "blocks": […]}`: a block tells its `matrix`, `replica`, `rows`
and `columns` as [first, stop], its `core` as "CHIP:X,Y", and its upper left cell there as `row_offset` and
`column_offset`. Where several blocks add their charge before one converter, `scale_rows` are the rows of them all; left
out, they are as many as the machine allows. `layer`, the first that uses the matrix, `model` and `target` are for
people; nothing reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mho.passes.levels.positions import Position, Positions
from mho.report.placement import SCHEMA
from mho.targets.errors import OptionError, brief, plain
from mho.targets.fault_file import LARGEST_INDEX, parse_site
from mho.targets.files import read_bounded
from mho.targets.schema import nearest

MOST_BYTES = 2**29

KEYS = ("schema", "model", "target", "blocks")
BLOCK_KEYS = ("layer", "matrix", "replica", "rows", "columns", "core", "row_offset", "column_offset", "scale_rows")
NEEDED = ("matrix", "rows", "columns", "core")


def read_placement(path: str | Path) -> Positions:
    """The positions of a placement file.

    Raises:
        OptionError: the file is missing, is no placement, or of a newer schema; everything wrong with its entries.
    """
    label = plain(str(path))
    try:
        document = json.loads(read_bounded(Path(path), MOST_BYTES))
    except FileNotFoundError as error:
        raise OptionError(f"{label} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{label} is not a JSON file: {plain(str(error))}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = brief(repr(document.get("schema"))) if isinstance(document, dict) else "no table"
        raise OptionError(
            f'{label} is no placement of this version: its schema must be "{SCHEMA}", and it is {found}; '
            "'mho report PROGRAM --format placement' writes one"
        )
    problems = [f"{label}: {plain(key)} is not a known key{_guess(key, KEYS)}" for key in document if key not in KEYS]
    blocks = document.get("blocks")
    if not isinstance(blocks, list):
        raise OptionError([*problems, f"{label}: blocks must be a list of blocks"])
    for number, entry in enumerate(blocks):
        problems += [f"{label}: block number {number + 1}{problem}" for problem in _problems(entry)]
    if problems:
        raise OptionError(problems)
    return tuple(map(_position, blocks))


def _position(entry: dict[str, Any]) -> Position:
    core = parse_site(entry["core"])
    assert core is not None
    return Position(
        matrix=entry["matrix"],
        replica=entry.get("replica", 0),
        rows=(entry["rows"][0], entry["rows"][1]),
        columns=(entry["columns"][0], entry["columns"][1]),
        core=core,
        row_offset=entry.get("row_offset", 0),
        column_offset=entry.get("column_offset", 0),
        scale_rows=(entry["scale_rows"][0], entry["scale_rows"][1]) if "scale_rows" in entry else None,
    )


def _problems(entry: Any) -> Iterator[str]:
    """What is wrong with an entry by itself, as the end of a sentence."""
    if not isinstance(entry, dict):
        yield f" = {brief(repr(entry))}: must be a table"
        return
    yield from (f".{plain(key)} is not a known key{_guess(key, BLOCK_KEYS)}" for key in entry if key not in BLOCK_KEYS)
    yield from (f".{key} is missing" for key in NEEDED if key not in entry)
    if not isinstance(entry.get("matrix", ""), str):
        yield f".matrix = {brief(repr(entry['matrix']))}: must be a name"
    for key in ("replica", "row_offset", "column_offset"):
        if not _whole(entry.get(key, 0)):
            yield f".{key} = {brief(repr(entry[key]))}: must be a whole number from 0"
    for key in ("rows", "columns", "scale_rows"):
        span = entry.get(key, [0, 1])
        if not (isinstance(span, list) and len(span) == 2 and all(map(_whole, span)) and span[0] < span[1]):
            yield f".{key} = {brief(repr(span))}: must be [first, stop] with first below stop"
    if "core" in entry and parse_site(entry["core"]) is None:
        yield f'.core = {brief(repr(entry["core"]))}: must be chip, column and row as in "0:3,4"'


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_INDEX


def _guess(key: str, known: tuple[str, ...]) -> str:
    guess = nearest(key, known)
    return f"; the nearest one is {guess}" if guess else f"; known here: {', '.join(known)}"

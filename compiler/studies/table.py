"""The table of a study: one line a point with every setting, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mho.studies.points import Cell, Figures
from mho.studies.run import Line, Outcome, constant_settings
from mho.targets.errors import OptionError, plain
from mho.targets.files import replacing

FIGURES = tuple(f.name for f in fields(Figures))
WHOLE = ("samples", "tiles", "chips", "weights")
SUFFIXES = (".csv", ".parquet")
DEFAULTS: Mapping[str, Cell] = {"seed": 0, "read_seed": None, "time_s": 0.0}


@dataclass(frozen=True)
class Table:
    """Columns by name, all as long as there are points; equal studies give equal tables."""

    columns: Mapping[str, tuple[Cell, ...]]

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        return tuple(zip(*self.columns.values(), strict=True))


def table_of(outcome: Outcome) -> Table:
    """The table: the point, all settings, the figures, and what is at fault."""
    same = {**constant_settings(outcome.study), **DEFAULTS}
    varied = [axis.column for axis in outcome.study.axes]
    names = (*(name for name in same if name not in varied), *varied)
    columns: dict[str, tuple[Cell, ...]] = {"point": tuple(line.point.number for line in outcome.lines)}
    for name in names:
        columns[name] = tuple(line.point.settings.get(name, same.get(name)) for line in outcome.lines)
    for name in FIGURES:
        columns[name] = tuple(_figure(line, name) for line in outcome.lines)
    columns["problem"] = tuple("; ".join(line.problems) or None for line in outcome.lines)
    return Table(columns)


def _figure(line: Line, name: str) -> Cell:
    value: Cell = None if line.figures is None else getattr(line.figures, name)
    return value


def require_writable(path: Path) -> None:
    """Refuses a table that could not be written, before any work is done.

    Raises:
        OptionError: the file's name has another suffix, or the library that writes it is missing.
    """
    if path.suffix not in SUFFIXES:
        raise OptionError(f"{plain(str(path))}: a table is a file whose name ends in {' or '.join(SUFFIXES)}")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise OptionError(
            "a Parquet table needs pyarrow, which is not installed here: pip install 'mho[parquet]', or choose a name "
            "that ends in .csv"
        )


def write_table(table: Table, path: Path) -> None:
    """Writes the table, whole or not at all, in the format that the file's name asks for.

    Raises:
        OSError: it cannot be written.
    """
    content = csv_text(table).encode() if path.suffix == ".csv" else _parquet(table)
    with replacing(path) as file:
        file.write(content)


def csv_text(table: Table) -> str:
    """Comma-separated values, a line of names first; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_word(value) for value in row] for row in table.rows)
    return text.getvalue()


def _word(value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case _:
            return str(value)


def _parquet(table: Table) -> bytes:
    import pyarrow
    from pyarrow import parquet

    arrays = {name: pyarrow.array(*_typed(name, values, pyarrow)) for name, values in table.columns.items()}
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(arrays), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _typed(name: str, values: tuple[Cell, ...], pyarrow: Any) -> tuple[list[Any], Any]:
    """The values of a column with its type: that of figures is always the same, that of settings is what they are."""
    kinds = {type(value) for value in values if value is not None}
    if name in WHOLE or kinds == {int} or name in ("seed", "read_seed"):
        return list(values), pyarrow.int64()
    if name in FIGURES or (kinds and kinds <= {int, float}):
        return [None if value is None else float(value) for value in values], pyarrow.float64()
    if kinds == {bool}:
        return list(values), pyarrow.bool_()
    return [None if value is None else _word(value) for value in values], pyarrow.string()

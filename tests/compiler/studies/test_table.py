"""The table: every setting, the same columns whatever was found, CSV and Parquet alike."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from mho.studies.points import Figures, Point
from mho.studies.table import require_writable, table_of, write_table
from mho.targets.errors import OptionError
from tests.compiler.studies.outcomes import FIGURES, outcome
from tests.compiler.studies.studies import lines_of

AXES = """
[axes]
adc_bits = [6, "none"]
out_noise = [0, 0.04]
seed = [3]
off = [[], ["drift"]]
[options.place]
effort = "fast"
"""


def found(point: Point) -> Figures | None:
    return None if point.number == 2 else replace(FIGURES, sqnr_db=None)


def test_a_line_has_every_setting(tmp_path: Path) -> None:
    table = table_of(outcome(tmp_path, AXES, found))
    write_table(table, tmp_path / "table.csv")
    lines = lines_of(tmp_path / "table.csv")
    assert len(lines) == 8
    assert list(lines[0])[-1 - len(fields(Figures)) : -1] == [f.name for f in fields(Figures)]
    last = lines[-1]
    assert (last["adc_bits"], last["out_noise"], last["seed"], last["off"]) == ("none", "0.04", "3", "drift")
    assert (last["place.effort"], last["target"], last["engine"], last["time_s"]) == ("fast", "hermes64", "fast", "0.0")
    assert (last["sqnr_db"], last["accuracy"], last["tiles"]) == ("", "0.9", "5")
    assert (lines[1]["accuracy"], lines[1]["problem"]) == ("", "it does not fit <b>there</b>")


def test_parquet_holds_what_csv_holds_with_types_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = table_of(outcome(tmp_path, AXES, found))
    for name in ("one.parquet", "two.parquet"):
        write_table(table, tmp_path / name)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    read = parquet.read_table(tmp_path / "one.parquet")
    assert read.column_names == list(table.columns)
    kinds = {field.name: str(field.type) for field in read.schema}
    assert (kinds["seed"], kinds["read_seed"], kinds["out_noise"], kinds["adc_bits"]) == (
        "int64",
        "int64",
        "double",
        "string",
    )
    assert (kinds["accuracy"], kinds["sqnr_db"], kinds["tiles"], kinds["problem"]) == (
        "double",
        "double",
        "int64",
        "string",
    )
    assert read.column("out_noise").to_pylist() == list(table.columns["out_noise"])


def test_another_suffix_is_refused() -> None:
    with pytest.raises(OptionError, match=r"results\.xlsx: a table is a file whose name ends in \.csv or \.parquet"):
        require_writable(Path("results.xlsx"))


def test_parquet_without_its_library_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.studies.table.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'mho\[parquet\]'"):
        require_writable(Path("results.parquet"))

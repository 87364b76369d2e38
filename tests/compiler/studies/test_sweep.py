"""`mho sweep` on this machine: a table with every setting, the same however often the study was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mho.compiled import Compiled
from mho.data import read_npz
from tests.compiler.studies.studies import lay_out, lines_of
from tests.shell import Shell


def test_a_table_has_a_line_for_each_point(run: Shell, tmp_path: Path) -> None:
    lay_out(tmp_path)
    outcome = run("sweep", "study.toml", "-o", "results.csv", "--jobs", 2)
    assert outcome.code == 0, outcome.err
    assert "wrote results.csv and results.html" in outcome.err
    lines = lines_of(tmp_path / "results.csv")
    assert [(line["time_s"], line["seed"]) for line in lines] == [
        ("0.0", "0"),
        ("0.0", "1"),
        ("86400.0", "0"),
        ("86400.0", "1"),
    ]
    assert {line["model"] for line in lines} == {"digits.onnx"}
    assert {line["target"] for line in lines} == {"hermes64"}
    assert {line["tiles"] for line in lines} == {"5"}
    assert {line["problem"] for line in lines} == {""}
    (program,) = (tmp_path / "results.csv.points" / "programs").iterdir()
    data = read_npz(tmp_path / "few.npz")
    accuracy = Compiled.load(program).validate(data, data["y"], runs=2, times_s=(0.0, 86_400.0), model="digits.onnx")
    found = {(r.seed, r.time_s): r for r in accuracy.runs}
    for line in lines:
        same = found[int(line["seed"]), float(line["time_s"])]
        assert float(line["accuracy"]) == same.accuracy
        assert float(line["agreement"]) == same.agreement
        assert float(line["sqnr_db"]) == pytest.approx(same.sqnr_db, rel=1e-4)


def test_a_study_goes_on_where_it_stopped(run: Shell, tmp_path: Path) -> None:
    lay_out(tmp_path)
    assert run("sweep", "study.toml", "-o", "results.csv", "--jobs", 1).code == 0
    table = (tmp_path / "results.csv").read_bytes()
    records = sorted((tmp_path / "results.csv.points" / "points").iterdir())
    records[0].unlink()
    records[1].write_text('{"accuracy": 1', encoding="utf-8")
    (tmp_path / "results.csv").unlink()
    again = run("sweep", "study.toml", "-o", "results.csv", "--jobs", 1, "--json")
    assert again.code == 0
    assert again.json["kept"] == 2
    assert (tmp_path / "results.csv").read_bytes() == table


def test_a_layer_that_does_not_exist_is_told_with_its_points(run: Shell, tmp_path: Path) -> None:
    lay_out(tmp_path, '[axes]\ndigital = [[], ["no such layer"]]\n')
    outcome = run("sweep", "study.toml", "-o", "results.csv", "--jobs", 1)
    assert outcome.code == 1
    assert "point 2 (digital no such layer): " in outcome.err
    good, bad = lines_of(tmp_path / "results.csv")
    assert (good["problem"], bad["accuracy"]) == ("", "")
    assert "no such layer" in bad["problem"]


def test_dry_run_lists_the_points_and_writes_nothing(run: Shell, tmp_path: Path) -> None:
    lay_out(tmp_path)
    before = sorted(tmp_path.iterdir())
    outcome = run("sweep", "study.toml", "--dry-run")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "point 4 (time_s 86400.0, seed 1)"
    assert len(run("sweep", "study.toml", "--dry-run", "--json").json["points"]) == 4
    assert sorted(tmp_path.iterdir()) == before

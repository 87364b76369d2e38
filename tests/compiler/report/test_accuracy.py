"""Outcomes of validations, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import inf, isclose
from pathlib import Path

import pytest

from mho.report.accuracy import load_accuracy, moments, read_accuracy
from mho.targets.errors import DataError
from tests.compiler.report.outcomes import DAY_S, HOUR_S, OUTCOME


def test_runs_are_gathered_by_time() -> None:
    found = moments(read_accuracy(OUTCOME))
    assert [(m.time_s, m.runs) for m in found] == [(0.0, 3), (HOUR_S, 3), (DAY_S, 3), (30 * DAY_S, 3)]
    first = found[0].accuracy
    assert first.mean is not None and isclose(first.mean, 0.928)
    assert first.deviation is not None and isclose(first.deviation, 0.002 * (2 / 3) ** 0.5)


def test_one_run_has_no_spread_and_unlabelled_data_no_accuracy() -> None:
    run = {"seed": 1, "time_s": 0.0, "accuracy": None, "agreement": 0.5, "sqnr_db": None, "max_abs_error": 0.0}
    (moment,) = moments(read_accuracy({"samples": 2, "reference": {"kind": "ideal"}, "runs": [run]}))
    assert moment.accuracy.mean is None
    assert (moment.agreement.mean, moment.agreement.deviation) == (0.5, None)
    assert moment.sqnr_db.mean is None


def test_worst_layers_come_first_and_exact_ones_last() -> None:
    assert [layer.name for layer in read_accuracy(OUTCOME).worst_layers()] == ["fc", "conv1", "conv2"]


def test_a_dataclass_with_the_same_fields_will_do() -> None:
    @dataclass(frozen=True)
    class Kind:
        kind: str
        accuracy: float | None

    @dataclass(frozen=True)
    class Outcome:
        samples: int
        reference: Kind
        runs: tuple[dict[str, float], ...]

    found = read_accuracy(Outcome(5, Kind("ideal", None), ({"time_s": 1.0, "sqnr_db": 3.0},)))
    assert (found.samples, found.against, found.runs[0].sqnr_db) == (5, "the program’s own ideal mode", 3.0)


def test_every_wrong_key_is_named() -> None:
    with pytest.raises(DataError) as caught:
        read_accuracy({"samples": "many", "reference": {}, "runs": [{"time_s": "late"}]})
    problems = "\n".join(caught.value.problems)
    for key in ("samples", "reference.kind", "runs.0.time_s"):
        assert key in problems
    assert len(caught.value.problems) == 3


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    accuracy = read_accuracy(OUTCOME)
    file = tmp_path / "v.json"
    file.write_text(json.dumps(accuracy.as_json(), allow_nan=False), encoding="utf-8")
    assert load_accuracy(file) == accuracy
    assert read_accuracy(accuracy) is accuracy
    assert replace(accuracy, mean=inf).as_json()["mean"] is None


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_file_that_is_no_outcome_is_named_as_such(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="mho validate --json"):
        load_accuracy(file)


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="no JSON object; give the output"):
        read_accuracy(value)

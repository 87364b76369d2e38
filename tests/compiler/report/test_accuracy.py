"""Outcomes of validations, read back."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

import pytest

from mho.report.accuracy import moments, read_accuracy
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


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="mho validate --json"):
        read_accuracy(value)

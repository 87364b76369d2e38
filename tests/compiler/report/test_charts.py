"""Geometry of the charts."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import pytest

from mho.report import charts
from mho.report.accuracy import read_accuracy
from mho.report.summary import summarise
from tests.compiler.report.crowd import Shape, crowd, resnet9, stack
from tests.compiler.report.outcomes import OUTCOME


def test_the_parts_of_a_stack_fill_it() -> None:
    stacks = charts.stacks(summarise(resnet9()))
    assert [s.title for s in stacks] == ["weights", "multiplications", "tiles", "busy time", "energy"]
    for stack_ in stacks:
        assert isclose(sum(part.share for part in stack_.parts), 1.0)


def test_unknown_costs_and_shared_tiles_have_no_stack() -> None:
    program = crowd((Shape("a", 9, 9), Shape("b", 9, 9)), pack=True)
    costs = replace(program.mapping.costs, layers_ns={}, layers_nj={})
    report = summarise(replace(program, mapping=replace(program.mapping, costs=costs)))
    assert [s.title for s in charts.stacks(report)] == ["weights", "multiplications"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 100.0, [0, 20, 40, 60, 80, 100]), (0.901, 0.938, [0.91, 0.92, 0.93]), (1.0, 1.0, [])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert list(charts.steps_of(low, high)) == pytest.approx(expected)


def test_the_schedule_ends_at_the_right_edge() -> None:
    gantt = charts.gantt(summarise(resnet9()))
    assert gantt is not None
    assert isclose(max(bar.left + bar.width for bar in gantt.bars), 1.0)
    assert gantt.bars[-1].colour is None
    empty = replace(resnet9(), mapping=replace(resnet9().mapping, schedule=()))
    assert charts.gantt(summarise(empty)) is None


def test_dots_stay_inside_and_fall_back_to_agreement() -> None:
    scatter = charts.scatter(read_accuracy(OUTCOME))
    assert scatter is not None and scatter.reference is not None
    assert len(scatter.dots) == 12
    assert all(0 < dot.left < 1 and 0 < dot.bottom < 1 for dot in scatter.dots)
    assert 0 < scatter.reference < 1
    runs = [run | {"accuracy": None} for run in OUTCOME["runs"]]
    unlabelled = charts.scatter(read_accuracy(OUTCOME | {"runs": runs}))
    assert unlabelled is not None and unlabelled.reference is None
    silent = [run | {"accuracy": None, "agreement": None} for run in OUTCOME["runs"]]
    assert charts.scatter(read_accuracy(OUTCOME | {"runs": silent})) is None


def test_equal_runs_have_a_scatter_too() -> None:
    runs = [{"time_s": 0.0, "accuracy": 0.0}, {"time_s": 0.0, "accuracy": 0.0}]
    outcome = read_accuracy(OUTCOME | {"runs": runs, "reference": {"kind": "ideal", "accuracy": 0.0}})
    scatter = charts.scatter(outcome)
    assert scatter is not None
    assert [dot.bottom for dot in scatter.dots] == [0.5, 0.5]


def test_traffic_between_chips() -> None:
    traffic = charts.between_chips(summarise(stack(3, layers=6)))
    assert traffic is not None
    assert traffic.chips == (0, 1, 2)
    assert set(traffic.words) == {(0, 1), (1, 2)}
    assert traffic.strength(*traffic.strongest(1)[0][:2]) == 1.0
    assert charts.between_chips(summarise(resnet9())) is None

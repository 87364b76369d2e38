"""Tiles against interval against energy, in the terminal, as JSON and on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mho.report import charts
from mho.report.json_document import as_json
from mho.report.pareto import pareto_table
from mho.report.summary import summarise
from mho.report.terminal import as_text
from mho.targets.mapping import ParetoPoint
from mho.targets.program import Program
from tests.compiler.report.crowd import resnet9, traded


def with_points(*points: ParetoPoint) -> Program:
    program = resnet9()
    return replace(program, mapping=replace(program.mapping, pareto=points))


def test_the_table_tells_each_point_and_marks_the_program() -> None:
    rows = [line.split() for line in summarise(traded()).text().split("tiles  most copies")[1].splitlines()[1:5]]
    assert rows[0] == ["40", "1", "136", "µs", "1", "×", "5.00", "µJ", "←", "this", "program"]
    assert rows[3] == ["400", "4", "34.0", "µs", "4", "×", "5.00", "µJ"]


def test_a_long_table_is_thinned_but_for_the_program() -> None:
    report = summarise(traded())
    lines = tuple(replace(line, compiled=place == 1) for place, line in enumerate(report.pareto))
    text = as_text(pareto_table(lines, most=2))
    assert [row.split()[0] for row in text.splitlines()[1:4]] == ["40", "44", "400"]
    assert "1 point between these is not shown" in text


def test_points_with_the_copies_of_the_program_but_not_its_tiles_or_interval_are_not_it() -> None:
    """Where layers take turns, the same copies lie in more or fewer tiles."""
    program = resnet9()
    tiles, interval_ns = len(program.cores), program.mapping.costs.interval_ns
    assert interval_ns is not None
    other = ParetoPoint(tiles=tiles - 1, mvms=3.0, interval_ns=2 * interval_ns)
    points = (other, replace(other, tiles=tiles), replace(other, interval_ns=interval_ns))
    assert [line.compiled for line in summarise(with_points(*points)).pareto] == [False, True, True]


def test_intervals_without_a_clock_are_mvms() -> None:
    report = summarise(with_points(ParetoPoint(tiles=3, mvms=1024.0), ParetoPoint(tiles=4, mvms=512.0)))
    assert "1,024 MVMs    1 ×  not known" in report.text()
    curve = charts.pareto(report)
    assert curve is not None and curve.dots[0].text == "3 tiles: 1,024 MVMs"


def test_the_document_has_the_points() -> None:
    points = as_json(summarise(traded()))["pareto"]
    assert [point["tiles"] for point in points] == [40, 44, 80, 400]
    assert points[1]["copies"] == {"m/conv1": 2}
    assert points[1]["speed"] == 2.0
    assert [point["compiled"] for point in points] == [True, False, False, False]
    assert as_json(summarise(resnet9()))["pareto"] == []


def test_the_page_has_a_chart_and_a_table() -> None:
    page = summarise(traded()).html()
    assert "Tiles against interval" in page
    assert page.count("tiles: ") == 4
    assert "Tiles against interval" not in summarise(resnet9()).html()


def test_the_curve_goes_down_to_the_right() -> None:
    curve = charts.pareto(summarise(traded()))
    assert curve is not None
    lefts, bottoms = [dot.left for dot in curve.dots], [dot.bottom for dot in curve.dots]
    assert lefts == sorted(lefts) and bottoms == sorted(bottoms, reverse=True)
    assert all(0 <= at <= 1 for at in (*lefts, *bottoms, *(t.at for t in (*curve.times, *curve.values))))
    assert [tick.text for tick in curve.times] == ["50", "100", "200"]
    assert [tick.text for tick in curve.values] == ["50.0 µs", "100 µs"]


def test_a_short_curve_has_ticks_too() -> None:
    curve = charts.pareto(summarise(with_points(ParetoPoint(tiles=34, mvms=1024.0), ParetoPoint(tiles=52, mvms=256.0))))
    assert curve is not None
    assert [tick.text for tick in curve.times] == ["35", "40", "45", "50"]
    assert [tick.text for tick in curve.values] == ["400 MVMs", "600 MVMs", "800 MVMs", "1,000 MVMs"]
    whole = charts.pareto(summarise(with_points(ParetoPoint(tiles=3, mvms=2.0), ParetoPoint(tiles=4, mvms=1.0))))
    assert whole is not None and [tick.text for tick in whole.times] == ["3", "4"]


@pytest.mark.parametrize("mvms", [0.0, 5e-324])
def test_numbers_beyond_all_scales_have_no_curve(mvms: float) -> None:
    report = summarise(with_points(ParetoPoint(tiles=1, mvms=1e300), ParetoPoint(tiles=2, mvms=mvms)))
    assert charts.pareto(report) is None
    assert report.html() and report.text() and report.json()

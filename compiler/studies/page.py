"""The page of a study: one HTML file without a script; names from files are escaped as in the report."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mho.report import quantities as q
from mho.report.html import environment
from mho.report.html import page_part as report_part
from mho.studies.gather import Spread, group_name, measure_of, setting, setting_words, settings_of, varied
from mho.studies.plots import cost_plots, setting_plots
from mho.studies.run import Line, Outcome, constant_settings
from mho.targets.errors import brief, first_problems
from mho.targets.files import replacing

MOST_ROWS = 200
LEFT, TOP, WIDTH, HEIGHT = 64, 18, 520, 250
"""Of the plots, in units of their pictures."""


@dataclass(frozen=True)
class Row:
    """All points with one setting of everything but seeds."""

    words: tuple[str, ...]
    lines: tuple[Line, ...]
    spread: Spread | None


def write_page(outcome: Outcome, path: Path, table: Path) -> None:
    """Writes the page, whole or not at all.

    Args:
        table: the file with all points, which the page names where it leaves some out.
    """
    content = html_page(outcome, table.name).encode()
    with replacing(path) as file:
        file.write(content)


def html_page(outcome: Outcome, table: str) -> str:
    """The page; a browser needs nothing else to show it."""
    rows = rows_of(outcome)
    template = environment({"brief": brief}).from_string(_part("page.html"))
    return template.render(
        study=outcome.study,
        outcome=outcome,
        style=Markup(report_part("page.css") + _part("page.css")),
        left=LEFT,
        top=TOP,
        width=WIDTH,
        height=HEIGHT,
        machine=", ".join(dict.fromkeys(line.point.build.target.name for line in outcome.lines)),
        samples=max((line.figures.samples for line in outcome.lines if line.figures), default=0),
        problems=first_problems(outcome.problems),
        plots=setting_plots(outcome),
        costs=cost_plots(outcome),
        headings=headings(outcome),
        rows=[_cells(outcome, row) for row in rows[:MOST_ROWS]],
        left_out=max(0, len(rows) - MOST_ROWS),
        table=table,
        same=constant_settings(outcome.study),
        **_totals(outcome, rows),
    )


def rows_of(outcome: Outcome) -> tuple[Row, ...]:
    """The points gathered over seeds, in their order."""
    groups, measure = varied(outcome.study), measure_of(outcome)
    return tuple(
        Row(
            tuple(setting_words(group, setting(lines[0].point, group)) for group in groups),
            tuple(lines),
            Spread.of(measure.of(line) for line in lines),
        )
        for lines in settings_of(outcome).values()
    )


def headings(outcome: Outcome) -> tuple[str, ...]:
    """The columns of the rows."""
    groups = (group_name(group) for group in varied(outcome.study))
    return *groups, "runs", measure_of(outcome).name, "agreement", "signal to error", "tiles", "energy", "latency"


def _cells(outcome: Outcome, row: Row) -> tuple[str, ...]:
    figures = [line.figures for line in row.lines if line.figures is not None]
    if not figures:
        return *row.words, "0", *("–" for _ in range(6))
    agreement = Spread.of(f.agreement for f in figures)
    sqnr = Spread.of(f.sqnr_db for f in figures)
    first = figures[0]
    return (
        *row.words,
        q.whole(len(figures)),
        spread_words(outcome, row.spread),
        "–" if agreement is None else q.percent(agreement.mean),
        q.decibels(None if sqnr is None else sqnr.mean),
        q.whole(first.tiles),
        "–" if first.energy_nj is None else q.energy(first.energy_nj),
        "–" if first.latency_ns is None else q.duration(first.latency_ns),
    )


def spread_words(outcome: Outcome, spread: Spread | None) -> str:
    """`98.20 % ± 0.51`, as the measure is written."""
    if spread is None:
        return "–"
    words = measure_of(outcome).words
    mean = words(spread.mean)
    return f"{mean} ± {words(spread.deviation).removesuffix(' %')}" if spread.count > 1 else mean


def _totals(outcome: Outcome, rows: tuple[Row, ...]) -> dict[str, Any]:
    measure = measure_of(outcome)
    names = [group_name(group) for group in varied(outcome.study)]
    known = sorted((row.spread.mean, place) for place, row in enumerate(rows) if row.spread is not None)

    def told(place: int) -> tuple[str, str]:
        if not known:
            return "–", ""
        mean, row = known[place]
        return measure.words(mean), ", ".join(f"{n} {w}" for n, w in zip(names, rows[row].words, strict=True))

    # A metric of errors is best where it is least.
    best, worst = (told(0), told(-1)) if measure.name == "mse" else (told(-1), told(0))
    axes = [f"{len(group[0].values)} × {', '.join(a.column for a in group)}" for group in outcome.study.groups]
    return {
        "axes": "; ".join(axes) or "no axis",
        "best": best[0],
        "best_setting": best[1],
        "worst": worst[0],
        "worst_setting": worst[1],
        "reference": "–" if measure.reference is None else measure.words(measure.reference),
    }


def _part(name: str) -> str:
    return files("mho.studies").joinpath(name).read_text(encoding="utf-8")

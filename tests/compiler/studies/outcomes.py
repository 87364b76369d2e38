"""Outcomes of studies that nobody ran, for what draws them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mho.studies.points import Figures, Point
from mho.studies.run import Line, Outcome
from mho.studies.study import Study, read_study
from tests.compiler.studies.studies import HEAD, lay_out

FIGURES = Figures(
    accuracy=0.9,
    reference=0.99,
    agreement=0.95,
    sqnr_db=20.0,
    max_abs_error=1.0,
    samples=20,
    tiles=5,
    chips=1,
    weights=47_376,
    energy_nj=6072.0,
    latency_ns=40_560.0,
)


def outcome(folder: Path, axes: str, figures: Callable[[Point], Figures | None], head: str = HEAD) -> Outcome:
    """A study whose points have these figures; None is a point with a problem."""
    study: Study = read_study(lay_out(folder, axes, head))
    lines = []
    for point in study.points():
        found = figures(point)
        lines.append(Line(point, found, () if found else ("it does not fit <b>there</b>",)))
    return Outcome(study, tuple(lines), 0)

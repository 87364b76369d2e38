"""The lines of a study gathered for people: over seeds, under the settings that vary."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, pstdev

from mho.report import quantities as q
from mho.studies.axes import Axis
from mho.studies.points import Cell, Point
from mho.studies.run import Line, Outcome
from mho.studies.study import Study

SEEDS = ("seed", "read_seed")


@dataclass(frozen=True)
class Measure:
    """What is drawn and tabulated: the metric where there are labels, else what compares with the model's results."""

    name: str
    of: Callable[[Line], float | None]
    words: Callable[[float], str]
    reference: float | None = None


@dataclass(frozen=True)
class Spread:
    """Mean of some points, one standard deviation over seeds (over n, not n − 1), and their number."""

    mean: float
    deviation: float
    count: int

    @staticmethod
    def within(settings: Iterable[Spread]) -> Spread:
        """Several settings as one: the mean of all points, and what is left of the deviation within a setting."""
        listed = list(settings)
        count = sum(spread.count for spread in listed)
        mean = sum(spread.count * spread.mean for spread in listed) / count
        return Spread(mean, sqrt(sum(s.count * s.deviation**2 for s in listed) / count), count)

    @staticmethod
    def of(values: Iterable[float | None]) -> Spread | None:
        known = [value for value in values if value is not None]
        return Spread(fmean(known), pstdev(known), len(known)) if known else None


def measure_of(outcome: Outcome) -> Measure:
    """The accuracy, else the agreement, else the signal to error."""
    found = [line.figures for line in outcome.lines if line.figures is not None]
    metric = outcome.study.metric or "top1"
    if any(figures.accuracy is not None for figures in found):
        references = {figures.reference for figures in found}
        return Measure(
            "accuracy" if metric == "top1" else metric,
            lambda line: None if line.figures is None else line.figures.accuracy,
            lambda value: q.score(metric, value),
            references.pop() if len(references) == 1 else None,
        )
    if any(figures.agreement is not None for figures in found):
        return Measure(
            "agreement",
            lambda line: None if line.figures is None else line.figures.agreement,
            lambda value: q.score("top1", value),
        )
    return Measure(
        "signal to error",
        lambda line: None if line.figures is None else line.figures.sqnr_db,
        lambda value: q.decibels(value),
    )


def varied(study: Study) -> tuple[tuple[Axis, ...], ...]:
    """The groups of axes with several values, seeds left out."""
    return tuple(
        group for group in study.groups if len(group[0].values) > 1 and any(axis.kind not in SEEDS for axis in group)
    )


def setting(point: Point, group: tuple[Axis, ...]) -> tuple[Cell, ...]:
    """The values of a group of axes at a point."""
    return tuple(point.settings[axis.column] for axis in group if axis.kind not in SEEDS)


def setting_words(group: tuple[Axis, ...], values: tuple[Cell, ...]) -> str:
    """Values as a tick or a cell shows them: times with their unit, an empty list as none."""
    axes = [axis for axis in group if axis.kind not in SEEDS]
    return ", ".join(_word(axis, value) for axis, value in zip(axes, values, strict=True))


def group_name(group: tuple[Axis, ...]) -> str:
    """`adc_bits, dac_bits`; a time is called so."""
    return ", ".join("time" if axis.kind == "time" else axis.column for axis in group if axis.kind not in SEEDS)


def _word(axis: Axis, value: Cell) -> str:
    if axis.kind == "time":
        return q.elapsed(float(value or 0.0))
    if value in ("", None):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_of(outcome: Outcome) -> dict[tuple[Cell, ...], list[Line]]:
    """The lines by everything but seeds."""
    found: dict[tuple[Cell, ...], list[Line]] = {}
    groups = varied(outcome.study)
    for line in outcome.lines:
        found.setdefault(tuple(value for group in groups for value in setting(line.point, group)), []).append(line)
    return found

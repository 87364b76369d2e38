"""Geometry of a study's plots, as fractions of their width and height: no colours, no text layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import isfinite

from mho.report import quantities as q
from mho.report.charts import Tick, steps_of
from mho.studies.axes import Axis
from mho.studies.gather import Measure, Spread, group_name, measure_of, setting, setting_words, settings_of, varied
from mho.studies.points import Cell
from mho.studies.run import Line, Outcome

MOST_SERIES = 8
Group = tuple[Axis, ...]
Values = tuple[Cell, ...]
Cost = Callable[[Line], float | None]


@dataclass(frozen=True)
class Mark:
    """A mean: its place, the ends of one standard deviation over seeds, and its words."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Series:
    """Marks that belong together; the name is empty where there is one series."""

    name: str
    colour: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Plot:
    """A measure over a setting or a cost.

    Attributes:
        across: what the horizontal axis is called. up: what the vertical one is.
        note: what a mark is the mean of.
        joined: whether the marks of a series are joined by lines, with bands about them; else each has a whisker.
        front: the marks that no other beats, from left to right.
        reference: the height of the model's own result, where it has one.
    """

    across: str
    up: str
    note: str
    series: tuple[Series, ...]
    ticks: tuple[Tick, ...]
    heights: tuple[Tick, ...]
    joined: bool = True
    front: tuple[Mark, ...] = ()
    reference: float | None = None
    reference_words: str = ""


@dataclass(frozen=True)
class Scale:
    """From values to fractions of a length, with a margin at both ends."""

    low: float
    high: float

    @staticmethod
    def of(values: list[float], share: float = 0.08) -> Scale:
        margin = share * (max(values) - min(values)) or 0.01 * abs(values[0]) or 1.0
        return Scale(min(values) - margin, max(values) + margin)

    def at(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def setting_plots(outcome: Outcome) -> tuple[Plot, ...]:
    """The measure over each setting that varies, times first; another setting of few values makes the lines."""
    groups = sorted(varied(outcome.study), key=lambda group: all(axis.kind != "time" for axis in group))
    found = (_setting_plot(outcome, group, [other for other in groups if other is not group]) for group in groups)
    return tuple(plot for plot in found if plot is not None)


def cost_plots(outcome: Outcome) -> tuple[Plot, ...]:
    """The measure over tiles and over energy, one mark for each program, where programs differ in them."""
    found = (
        _cost_plot(outcome, "tiles", lambda line: _known(line, "tiles"), q.whole),
        _cost_plot(outcome, "energy", lambda line: _known(line, "energy_nj"), q.energy),
    )
    return tuple(plot for plot in found if plot is not None)


def _known(line: Line, name: str) -> float | None:
    value = None if line.figures is None else getattr(line.figures, name)
    return None if value is None else float(value)


def _setting_plot(outcome: Outcome, group: Group, others: list[Group]) -> Plot | None:
    measure = measure_of(outcome)
    by: Group = next((other for other in others if len(other[0].values) <= MOST_SERIES), ())
    places = list(dict.fromkeys(setting(line.point, group) for line in outcome.lines))
    names = list(dict.fromkeys(setting(line.point, by) for line in outcome.lines))
    cells: dict[tuple[Values, Values], list[Spread]] = {}
    for lines in settings_of(outcome).values():
        spread = Spread.of(measure.of(line) for line in lines)
        if spread is not None:
            cells.setdefault((setting(lines[0].point, by), setting(lines[0].point, group)), []).append(spread)
    spreads = {key: Spread.within(found) for key, found in cells.items()}
    if not spreads:
        return None
    scale = _heights(measure, list(spreads.values()))
    joined = all(isinstance(value, int | float) or value == "none" for values in places for value in values)
    series = []
    for colour, name in enumerate(names):
        found = [(place, spreads[name, at]) for place, at in enumerate(places) if (name, at) in spreads]
        label = f"{group_name(by)} {setting_words(by, name)}" if by else ""
        aside = 0.0 if joined else (colour - (len(names) - 1) / 2) * min(0.05, 0.6 / len(names)) / len(places) * 2
        marks = tuple(
            _mark(
                (place + 0.5) / len(places) + aside, s, scale, measure, f"{label} {setting_words(group, places[place])}"
            )
            for place, s in found
        )
        series.append(Series(label, colour, marks))
    averaged = [group_name(other) for other in others if other is not by]
    return Plot(
        across=group_name(group),
        up=measure.name,
        note=_note(spreads.values(), averaged),
        series=tuple(series),
        ticks=_ticks(group, places),
        heights=tuple(Tick(scale.at(v), measure.words(v)) for v in steps_of(scale.low, scale.high, 5)),
        joined=joined,
        reference=None if measure.reference is None else scale.at(measure.reference),
        reference_words="" if measure.reference is None else measure.words(measure.reference),
    )


def _ticks(group: Group, places: list[Values]) -> tuple[Tick, ...]:
    """A word below each place; of many, some evenly between."""
    step = -(-len(places) // 12)
    return tuple(
        Tick((place + 0.5) / len(places), setting_words(group, values))
        for place, values in enumerate(places)
        if place % step == 0
    )


def _note(spreads: Iterable[Spread], averaged: list[str]) -> str:
    counts = sorted({spread.count for spread in spreads})
    if counts[-1] == 1:
        return "One run a mark."
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    over = f" over seeds, {', '.join(averaged)}" if averaged else " over seeds"
    return f"Mean of {many} runs{over}; to each side one standard deviation over seeds."


def _heights(measure: Measure, spreads: list[Spread]) -> Scale:
    ends = [end for s in spreads for end in (s.mean - s.deviation, s.mean + s.deviation)]
    return Scale.of([*ends, *([] if measure.reference is None else [measure.reference])])


def _mark(x: float, spread: Spread, scale: Scale, measure: Measure, text: str) -> Mark:
    words = measure.words(spread.mean)
    if spread.count > 1:
        words += f" ± {measure.words(spread.deviation).removesuffix(' %')}"
    low, high = scale.at(spread.mean - spread.deviation), scale.at(spread.mean + spread.deviation)
    return Mark(x, scale.at(spread.mean), low, high, f"{text.strip()}: {words}")


def _cost_plot(outcome: Outcome, across: str, cost: Cost, words: Callable[[float], str]) -> Plot | None:
    measure = measure_of(outcome)
    groups = [group for group in varied(outcome.study) if any(_compiles(axis) for axis in group)]
    gathered: dict[tuple[Values, ...], list[list[Line]]] = {}
    for lines in settings_of(outcome).values():
        gathered.setdefault(tuple(setting(lines[0].point, group) for group in groups), []).append(lines)
    known = []
    for values, several in gathered.items():
        found = [s for lines in several if (s := Spread.of(measure.of(line) for line in lines)) is not None]
        price = next((p for lines in several for line in lines if (p := cost(line)) is not None), None)
        if found and price is not None and isfinite(price):
            name = ", ".join(f"{group_name(g)} {setting_words(g, v)}" for g, v in zip(groups, values, strict=True))
            known.append((price, Spread.within(found), name))
    if len({price for price, _, _ in known}) < 2:
        return None
    prices, scale = Scale.of([price for price, _, _ in known]), _heights(measure, [s for _, s, _ in known])
    marks = tuple(_mark(prices.at(p), s, scale, measure, f"{name}, {words(p)}") for p, s, name in known)
    return Plot(
        across=across,
        up=measure.name,
        note="One mark a program, the mean of its runs; the line joins those that no cheaper one reaches.",
        series=(Series("", 0, tuple(replace(mark, low=mark.y, high=mark.y) for mark in marks)),),
        ticks=tuple(
            Tick(prices.at(v), words(v))
            for v in steps_of(prices.low, prices.high, 5)
            if v >= 0 and (v.is_integer() or across != "tiles")
        ),
        heights=tuple(Tick(scale.at(v), measure.words(v)) for v in steps_of(scale.low, scale.high, 5)),
        joined=False,
        front=_front(marks),
        reference=None if measure.reference is None else scale.at(measure.reference),
        reference_words="" if measure.reference is None else measure.words(measure.reference),
    )


def _compiles(axis: Axis) -> bool:
    return axis.kind in ("target", "digital", "field", "option")


def _front(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """From left to right, each higher than all before."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.x, -mark.y)):
        if not front or mark.y > front[-1].y:
            front.append(mark)
    return tuple(front)

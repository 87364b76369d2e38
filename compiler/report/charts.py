"""Geometry of the page's charts, as fractions of their width and height: no colours, no text layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, floor, inf, isclose, isfinite, log10

from mho.report import quantities as q
from mho.report.accuracy import Accuracy, moments
from mho.report.lines import ComponentLine, LayerLine
from mho.report.summary import Report
from mho.targets.mapping import Component


@dataclass(frozen=True)
class Part:
    """A layer's piece of a stacked bar; `share` is of the whole."""

    layer: LayerLine
    share: float
    text: str


@dataclass(frozen=True)
class Stack:
    """A stacked bar: what it counts, its total in words, its parts in the order of the layers."""

    title: str
    total: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Piece:
    """A component's piece of a stacked bar; `share` is of the whole."""

    component: Component
    share: float
    text: str


@dataclass(frozen=True)
class Components:
    """A stacked bar of components: what it counts, and its total in words."""

    title: str
    total: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Bar:
    """A step in the schedule: from `left`, `width` wide; `colour` is None for a digital step."""

    step: str
    colour: int | None
    left: float
    width: float
    text: str


@dataclass(frozen=True)
class Gantt:
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Dot:
    """A run: `left` from the first time to the last, `bottom` from the lowest value to the highest."""

    left: float
    bottom: float
    text: str


@dataclass(frozen=True)
class Scatter:
    """Runs over time since programming, and the height of the reference where it has one."""

    dots: tuple[Dot, ...]
    times: tuple[Tick, ...]
    values: tuple[Tick, ...]
    reference: float | None


@dataclass(frozen=True)
class Chips:
    """Words from chip to chip, of those pairs that exchange any, the most first; the largest has strength 1."""

    chips: tuple[int, ...]
    words: dict[tuple[int, int], float]

    def strength(self, source: int, target: int) -> float:
        return self.words.get((source, target), 0.0) / max(self.words.values())

    def strongest(self, most: int = 50) -> tuple[tuple[int, int, float], ...]:
        """(source, target, words) of the pairs that exchange most."""
        return tuple((source, target, words) for (source, target), words in list(self.words.items())[:most])


def stacks(report: Report) -> tuple[Stack, ...]:
    """Where the weights, the work, the time and the energy are, and the tiles where no two layers share one."""
    shared = sum(layer.tiles for layer in report.layers) != len(report.tiles)
    wanted: tuple[tuple[str, Callable[[LayerLine], float | None], Callable[[float], str]], ...] = (
        ("weights", lambda layer: layer.weights, q.short),
        ("multiplications", lambda layer: layer.macs, q.short),
        ("tiles", lambda layer: None if shared else layer.tiles, q.whole),
        ("busy time", lambda layer: layer.busy_ns, q.duration),
        ("energy", lambda layer: layer.energy_nj, q.energy),
    )
    found = (_stack(report.layers, *line) for line in wanted)
    return tuple(stack for stack in found if stack is not None)


def _stack(
    layers: tuple[LayerLine, ...],
    title: str,
    amount: Callable[[LayerLine], float | None],
    words: Callable[[float], str],
) -> Stack | None:
    known = [(layer, value) for layer in layers if (value := amount(layer)) is not None and isfinite(value)]
    total = sum(value for _, value in known)
    if total <= 0:
        return None
    return Stack(title, words(total), tuple(Part(layer, value / total, words(value)) for layer, value in known))


def component_stacks(report: Report) -> tuple[Components, ...]:
    """The time and the energy of each component, as far as they are known."""
    wanted: tuple[tuple[str, Callable[[ComponentLine], float | None], Callable[[float], str]], ...] = (
        ("time", lambda line: line.time_ns, q.duration),
        ("energy", lambda line: line.energy_nj, q.energy),
    )
    found = (_component_stack(report.components, *line) for line in wanted)
    return tuple(stack for stack in found if stack is not None)


def _component_stack(
    lines: tuple[ComponentLine, ...],
    title: str,
    amount: Callable[[ComponentLine], float | None],
    words: Callable[[float], str],
) -> Components | None:
    known = [(line, value) for line in lines if (value := amount(line)) is not None]
    total = sum(value for _, value in known)
    if not 0 < total < inf:
        return None
    pieces = tuple(Piece(line.component, value / total, words(value)) for line, value in known)
    return Components(title, words(total), pieces)


def steps_of(low: float, high: float, most: int = 6) -> Iterator[float]:
    """Round numbers between two limits: multiples of 1, 2 or 5 times a power of ten, at most about `most`."""
    if not high > low:
        return
    raw = (high - low) / most
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    for index in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1):
        yield index * step


def gantt(report: Report) -> Gantt | None:
    """The schedule; None where the machine's latencies are not known."""
    end = max((slot.end_ns for slot in report.schedule), default=0.0)
    if end <= 0:
        return None
    colour_of = {layer.name: layer.colour for layer in report.layers}
    bars = tuple(
        Bar(
            slot.step,
            None if slot.layer is None else colour_of.get(slot.layer),
            slot.start_ns / end,
            (slot.end_ns - slot.start_ns) / end,
            f"{q.duration(slot.start_ns)} to {q.duration(slot.end_ns)}",
        )
        for slot in report.schedule
    )
    return Gantt(bars, tuple(Tick(t / end, q.duration(t)) for t in steps_of(0.0, end)))


def scatter(accuracy: Accuracy) -> Scatter | None:
    """Accuracy over time, or agreement with the reference where there is no accuracy; None without either."""
    times = [m.time_s for m in moments(accuracy)]
    metric, reference = accuracy.metric, accuracy.reference.accuracy
    known = [(run, run.accuracy) for run in accuracy.runs if run.accuracy is not None]
    if not known:
        metric, reference = "top1", None
        known = [(run, run.agreement) for run in accuracy.runs if run.agreement is not None]
    if not known:
        return None
    limits = [value for _, value in known] + ([reference] if reference is not None else [])
    margin = 0.08 * (max(limits) - min(limits)) or 0.01 * abs(limits[0]) or 1.0
    low, high = min(limits) - margin, max(limits) + margin

    def left(time_s: float) -> float:
        return (times.index(time_s) + 0.5) / len(times)

    def height(value: float) -> float:
        return (value - low) / (high - low)

    return Scatter(
        tuple(Dot(left(run.time_s), height(v), f"seed {run.seed}: {q.score(metric, v)}") for run, v in known),
        tuple(Tick(left(t), q.elapsed(t)) for t in times),
        tuple(Tick(height(v), q.score(metric, v)) for v in steps_of(low, high, 5)),
        None if reference is None else height(reference),
    )


def pareto(report: Report) -> Scatter | None:
    """Intervals over tiles, both on scales of equal ratios; None where there are fewer than two points."""
    points = [line.point for line in report.pareto]
    mvms = [point.mvms for point in points]
    if len(points) < 2 or min(mvms) <= 0 or not isfinite(max(mvms) / min(mvms)):
        return None
    tiles = _Ratios.of([float(point.tiles) for point in points])
    intervals = _Ratios.of(mvms)
    ns = (points[0].interval_ns or 0.0) / points[0].mvms
    unit = ns if 0 < ns < inf else 1.0

    def words(interval: float) -> str:
        return q.duration(interval * ns) if unit == ns else f"{q.short(interval)} MVMs"

    return Scatter(
        tuple(
            Dot(tiles.at(p.tiles), intervals.at(p.mvms), f"{q.whole(p.tiles)} tiles: {words(p.mvms)}") for p in points
        ),
        tuple(Tick(tiles.at(n), q.whole(n)) for n in tiles.ticks() if n >= 1 and isclose(n, round(n))),
        tuple(Tick(intervals.at(n / unit), words(n / unit)) for n in intervals.ticks(unit)),
        None,
    )


@dataclass(frozen=True)
class _Ratios:
    """A logarithmic axis with a margin at both ends."""

    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> _Ratios:
        margin = max((max(values) / min(values)) ** 0.06, 1.02)
        return _Ratios(min(values) / margin, max(values) * margin)

    def at(self, value: float) -> float:
        return log10(value / self.low) / log10(self.high / self.low)

    def ticks(self, unit: float = 1.0) -> Iterator[float]:
        """1, 2 and 5 times the powers of ten on the axis, in multiples of a unit; even steps where it is short."""
        low, high = self.low * unit, self.high * unit
        if high < 5 * low:
            yield from steps_of(low, high, 5)
            return
        powers = range(floor(log10(low)), ceil(log10(high)) + 1)
        few = len(powers) > 4
        yield from (
            m * 10.0**power for power in powers for m in ((1,) if few else (1, 2, 5)) if low <= m * 10.0**power <= high
        )


def between_chips(report: Report) -> Chips | None:
    """Traffic from chip to chip; None where there is none."""
    words = dict(report.chip_words)
    if not words:
        return None
    return Chips(tuple(sorted({chip for pair in words for chip in pair})), words)

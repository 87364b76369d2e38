"""The report in a terminal of 80 columns. Names are never read as markup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.report import quantities as q
from mho.report.accuracy import Accuracy, headings, moments
from mho.report.lines import UNITS, ComponentLine, LayerLine, Reason, Summary, Total
from mho.report.names import MOST_CHARACTERS, shortened
from mho.report.pareto import pareto_table
from mho.report.summary import Report
from mho.targets.errors import plain
from mho.targets.mapping import SolverFacts, Timing
from mho.targets.program import Decision, Unit
from mho.targets.unfolding import IM2COL

WIDTH = 80

_COLUMNS = ("size", "tiles", "copies", "fires", "busy", "energy")
_DEVICES = "dev/w"
_UNFOLDING = "unfolding"
"""Heading of the devices that make a weight, shown where a machine has a choice of them."""
_LEAST_NAME = 12

_MEANINGS: Mapping[Unit, str] = {
    "analog": "on tiles",
    "core": "in the digital unit of a layer's cores",
    "digital": "beside the tiles, by onnxruntime",
    "constant": "computed while compiling",
    "removed": "computed by nothing",
}
_STYLES: Mapping[Unit, str] = {
    "analog": "green",
    "core": "green",
    "digital": "yellow",
    "constant": "dim",
    "removed": "dim",
}


def compile_summary(report: Report, most_layers: int = 16) -> RenderableType:
    """What is shown after a compile: totals, layers, the Pareto table, what ran where and why, warnings."""
    parts: list[RenderableType] = [_title(report), Text(), _totals(report), Text()]
    parts += [_layers(report, most_layers), Text()]
    if report.pareto:
        parts += [pareto_table(report.pareto, most_layers), Text()]
    parts.append(_where(report))
    if report.manifest.warnings:
        parts += [Text(), _warnings(report.manifest.warnings)]
    return Group(*parts)


def explanation(report: Report) -> RenderableType:
    """Where each node of the user's file runs, why, and what would change that, in the order of the file."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for decision in report.decisions:
        table.add_row(Text(decision.unit, _STYLES[decision.unit]), _because(decision))
    meanings = _pairs((unit, Text(meaning)) for unit, meaning in _MEANINGS.items())
    return Group(table, Text(), meanings)


def _because(decision: Decision) -> Text:
    text = Text.assemble(f"{plain(decision.operator)} ", (plain(decision.node), "bold"), ": ")
    text.append(plain(decision.because), style="dim")
    text.append(_remedy(decision.remedy), style="cyan")
    return text


def accuracy_summary(accuracy: Accuracy, most_layers: int = 8) -> RenderableType:
    """What is shown after a validation: each time with mean and spread, and the layers that err most."""
    parts: list[RenderableType] = [_reference(accuracy), Text(), _moments(accuracy)]
    if accuracy.layers:
        parts += [Text(), _qualities(accuracy, most_layers)]
    return Group(*parts)


def as_text(renderable: RenderableType, width: int = WIDTH) -> str:
    """A renderable as plain text without colours or trailing spaces."""
    sink = StringIO()
    Console(file=sink, width=width, color_system=None, legacy_windows=False, force_jupyter=False).print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in sink.getvalue().splitlines())


def report_text(report: Report) -> str:
    """The whole report as plain text: every layer and component listed, and the accuracy where there is one."""
    most = max(len(report.layers), len(report.pareto))
    parts: list[RenderableType] = [compile_summary(report, most_layers=most)]
    if report.components:
        parts += [Text(), _components(report.components)]
    if len(report.energy_components) > 1:
        parts += [Text(), _energies(report)]
    if report.chip_words:
        parts += [Text(), _chip_links(report)]
    if report.accuracy is not None:
        parts += [Text(), accuracy_summary(report.accuracy, most_layers=len(report.accuracy.layers))]
    return as_text(Group(*parts))


def _title(report: Report) -> Text:
    model, machine = plain(report.manifest.model), plain(report.target.title)
    return Text.assemble((model, "bold"), " on ", (machine, "bold"))


def _pairs(pairs: Iterable[tuple[str, RenderableType]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in pairs:
        table.add_row(Text(key), value)
    return table


def _totals(report: Report) -> RenderableType:
    return Padding(_pairs(total_lines(report)), (0, 0, 0, 2))


def total_lines(report: Report) -> Iterator[tuple[str, RenderableType]]:
    """The totals of a program, each with its name."""
    summary = report.summary
    yield "tiles", Text(_tiles_line(report))
    yield "packing", Text(str(report.packing))
    if report.faults is not None:
        yield "faults", Text(str(report.faults))
    if report.reload is not None:
        yield "reload", Text(str(report.reload))
    if report.reprogram is not None:
        yield "to write", Text(str(report.reprogram))
    yield "utilisation", Text(f"{q.percent(summary.utilisation)} of their cells hold a weight")
    yield "weights", Text(f"{q.whole(summary.weights)}; {q.short(summary.macs)} multiplications an inference")
    yield "devices", Text(_devices_line(report))
    yield "latency", Text(_least(summary, "latency", q.duration(summary.latency_ns)))
    yield "interval", Text(_interval(report, _least(summary, "interval", q.duration(summary.interval_ns))))
    if report.timing.latency_bound_ns is not None:
        yield "schedule", _schedule(report.timing)
    yield "energy", Text(_least(summary, "energy", q.energy(summary.energy_nj)))
    yield "area", Text(_area(summary))
    if report.routes is not None:
        yield "links", Text(str(report.routes))
    if report.buffers is not None:
        yield "buffers", Text(plain(str(report.buffers)))
    if summary.macs:
        yield "rate", Text(_rates(summary))
    if report.stated:
        yield "stated", Text(f"{report.stated}, by the machine's publication; nothing here derives it")
    if report.chip_words:
        yield "between chips", Text(_between_chips(report))
    if summary.left_out:
        yield "not counted", _left_out(summary)
    for solver in report.solvers:
        yield "search", _solver(solver)


def _least(summary: Summary, total: Total, value: str) -> str:
    return value if value == q.UNKNOWN or not summary.missing[total] else f"at least {value}"


def _interval(report: Report, value: str) -> str:
    how = "where layers work as a pipeline" if report.reload is None else "where no inference overlaps the next"
    return value if value == q.UNKNOWN else f"{value} {how}"


def _schedule(timing: Timing) -> RenderableType:
    """How it was made; then the bounds, and what limits each time."""
    bounds = (
        ("latency", timing.latency_bound_ns, timing.latency_limit),
        ("interval", timing.interval_bound_ns, timing.interval_limit),
    )
    lines = [(what, Text(f"bound {q.duration(bound)}{_limit(limit)}")) for what, bound, limit in bounds]
    return Group(Text(timing.words), _pairs(lines))


def _limit(limit: str) -> str:
    return f": {plain(limit)}" if limit else ""


def _area(summary: Summary) -> str:
    if summary.area_mm2 is None:
        return f"{q.UNKNOWN}: {plain(', '.join(summary.missing['area']))}"
    return f"{q.area(summary.area_mm2)} of tiles"


def _rates(summary: Summary) -> str:
    """The rates that are known, "at most" before those that leave something out: once where all do."""
    rates = (
        (summary.missing["tops"], q.rate(summary.tops)),
        (summary.missing["tops_per_w"], q.per(q.rate(summary.tops_per_w), "W")),
        (summary.missing["tops_per_mm2"], q.per(q.rate(summary.tops_per_mm2), "mm²")),
    )
    known = [(missing, rate) for missing, rate in rates if rate != q.UNKNOWN]
    if not known:
        return q.UNKNOWN
    if all(missing for missing, _ in known):
        return f"at most {', '.join(rate for _, rate in known)}"
    return ", ".join(f"at most {rate}" if missing else rate for missing, rate in known)


def _left_out(summary: Summary) -> RenderableType:
    """What each total leaves out; without the totals' names where all times and energies leave out the same."""
    groups = [(totals, Text(plain(", ".join(keys)))) for totals, keys in summary.left_out]
    if [totals for totals, _ in groups] == [("latency", "interval", "energy")]:
        return groups[0][1]
    return _pairs((", ".join(totals), keys) for totals, keys in groups)


def _tiles_line(report: Report) -> str:
    summary, room = report.summary, report.target.mesh.tiles
    of = f" of {q.whole(room * summary.chips)}" if room is not None else ""
    chips = "1 chip" if summary.chips == 1 else f"{summary.chips} chips"
    least = q.whole(summary.tiles_lower_bound)
    if report.reload is not None:
        of = f" in turn on the {q.whole(report.reload.tiles)}"
        return f"{q.whole(summary.tiles)}{of} of {chips}; this packing mode needs at least {least}"
    return f"{q.whole(summary.tiles)}{of} on {chips}; this packing mode needs at least {least}"


def _between_chips(report: Report) -> str:
    (source, target), most = next(iter(report.chip_words.items()))
    total = q.short(sum(report.chip_words.values()))
    return f"{total} words an inference, most from chip {source} to chip {target}: {q.short(most)}"


def _chip_links(report: Report) -> RenderableType:
    """The words of every pair of chips, the most first."""
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    table.add_column("from chip to chip")
    table.add_column("words", justify="right", no_wrap=True)
    for (source, target), words in report.chip_words.items():
        table.add_row(f"{source} → {target}", q.short(words))
    return Padding(table, (0, 0, 0, 2))


def _devices_line(report: Report) -> str:
    if report.summary.devices is None:
        return "not known"
    counts = sorted({n for layer in report.layers if (n := layer.devices_per_weight)}, reverse=True)
    each = f", {' or '.join(map(str, counts))} a weight" if counts else ""
    capacitors = report.summary.capacitors
    beside = f"; {q.whole(capacitors)} capacitors" if capacitors else ""
    return f"{q.whole(report.summary.devices)}{each}{beside}"


def _solver(solver: SolverFacts) -> Text:
    style = "green" if solver.status == "OPTIMAL" else "yellow"
    text = Text.assemble(f"{plain(solver.search)} ", (solver.status, style))
    if solver.objective is not None:
        text.append(f", objective {q.short(solver.objective)}")
    if solver.bound is not None:
        text.append(f", bound {q.short(solver.bound)}")
    if solver.gap is not None:
        text.append(f", gap {q.percent(solver.gap)}")
    return text


def _layers(report: Report, most: int) -> RenderableType:
    layers = report.layers
    choice = bool(report.target.crossbar.devices_choices)
    several = any(layer.unfolding not in ("", IM2COL) for layer in layers)
    headings = (_COLUMNS[0], *((_UNFOLDING,) if several else ()), *((_DEVICES,) if choice else ()), *_COLUMNS[1:])
    rows = [_layer(layer, several, choice) for layer in layers[:most]]
    names = shortened((layer.name for layer in layers), _room(headings, rows))
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    table.add_column("layer", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for layer, row in zip(layers, rows, strict=False):
        table.add_row(Text(names[layer.name]), *row)
    rest = len(layers) - most
    more = [Text(f"… and {rest} more", style="dim")] if rest > 0 else []
    return Padding(Group(table, *more), (0, 0, 0, 2))


def _components(lines: tuple[ComponentLine, ...]) -> RenderableType:
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    table.add_column("component")
    for heading in ("time", "energy"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(line.component, _or_dash(line.time_ns, q.duration), _or_dash(line.energy_nj, q.energy))
    return Padding(table, (0, 0, 0, 2))


def _energies(report: Report) -> RenderableType:
    """The energy of each layer by component."""
    headings = report.energy_components
    rows = [
        tuple(_or_dash(report.energy_of(layer.name, component), q.energy) for component in headings)
        for layer in report.layers
    ]
    names = shortened((layer.name for layer in report.layers), _room(headings, rows))
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    table.add_column("energy of layer", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for layer, row in zip(report.layers, rows, strict=True):
        table.add_row(Text(names[layer.name]), *row)
    return Padding(table, (0, 0, 0, 2))


def _or_dash(value: float | None, words: Callable[[float], str]) -> str:
    return "–" if value is None else words(value)


def _room(headings: Sequence[str], rows: list[tuple[str, ...]]) -> int:
    """Characters for a name beside the numbers, each with its space, and the margin."""
    numbers = zip(headings, *rows, strict=True)
    taken = sum(max(map(len, column)) + 2 for column in numbers) + 2
    return max(_LEAST_NAME, min(MOST_CHARACTERS, WIDTH - taken))


def _layer(layer: LayerLine, several: bool, choice: bool) -> tuple[str, ...]:
    return (
        f"{layer.rows} × {layer.columns}",
        *((layer.unfolding or "–",) if several else ()),
        *((str(layer.devices_per_weight or "–"),) if choice else ()),
        q.whole(layer.tiles),
        q.whole(layer.replicas),
        q.short(layer.fires),
        _or_dash(layer.busy_ns, q.duration),
        _or_dash(layer.energy_nj, q.energy),
    )


def _where(report: Report) -> RenderableType:
    lines: list[RenderableType] = []
    for unit in ("analog", "core", "digital", "constant", "removed"):
        groups = [g for g in report.reasons if g.unit == unit]
        if groups:
            count = sum(len(g.decisions) for g in groups)
            lines.append(Text.assemble((f"  {UNITS[unit]}", "bold"), f"  {_nodes(count)}"))
            lines += [Padding(_reason(group), (0, 0, 0, 4)) for group in groups]
    return Group(*lines)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{q.whole(count)} nodes"


def _reason(group: Reason) -> Text:
    operators = ", ".join(plain(name) if n == 1 else f"{plain(name)} × {n}" for name, n in group.operators)
    return Text.assemble(operators, (f": {plain(group.reason)}", "dim"), (_remedy(group.remedy), "cyan"))


def _remedy(remedy: str) -> str:
    return f"\n→ {plain(remedy)}" if remedy else ""


def _warnings(warnings: tuple[str, ...]) -> RenderableType:
    return Group(*(Padding(Text.assemble(("warning: ", "yellow"), plain(w)), (0, 0, 0, 2)) for w in warnings))


def _reference(accuracy: Accuracy) -> Text:
    text = Text.assemble((f"{q.whole(accuracy.samples)} samples", "bold"))
    text.append(f" against {plain(accuracy.against)}")
    if accuracy.reference.accuracy is not None:
        text.append(f", whose {plain(accuracy.metric)} is {q.score(accuracy.metric, accuracy.reference.accuracy)}")
    if accuracy.circumstances:
        text.append(f"\n{accuracy.circumstances}", "dim")
    return text


def _moments(accuracy: Accuracy) -> RenderableType:
    table = Table(box=None, padding=(0, 2), header_style="dim", pad_edge=False)
    for heading in headings(accuracy.metric):
        table.add_column(heading, justify="right", no_wrap=True)
    for moment in moments(accuracy):
        table.add_row(*moment.cells(accuracy.metric))
    return Padding(table, (0, 0, 0, 2))


def _qualities(accuracy: Accuracy, most: int) -> RenderableType:
    worst = accuracy.worst_layers()
    names = shortened(layer.name for layer in worst)
    table = Table(box=None, padding=(0, 2), header_style="dim", pad_edge=False)
    table.add_column("layers that err most", overflow="fold")
    table.add_column("SQNR", justify="right", no_wrap=True)
    for layer in worst[:most]:
        table.add_row(Text(names[layer.name]), "exact" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f} dB")
    return Padding(table, (0, 0, 0, 2))

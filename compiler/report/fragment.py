"""Programs, reports and accuracies as a notebook shows them: fragments of HTML without script, in the page's colours.

Text and lines take the colour that surrounds them, so a fragment is as legible on a dark page as on a light one.
Names from models are hostile: control characters are written out, then everything is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from mho.report import quantities as q
from mho.report.accuracy import Accuracy, headings, moments
from mho.report.names import shortened
from mho.report.reload import chips_of
from mho.report.summary import Report
from mho.report.terminal import WIDTH, as_text, total_lines
from mho.targets.errors import plain
from mho.targets.program import Program
from mho.targets.steps import Port

MOST_LAYERS = 16
MOST_PORTS = 4

_FAINT = "opacity:.7"
_LEFT = "overflow-wrap:anywhere;text-align:left;padding:.15em .8em .15em 0;vertical-align:top"
_RIGHT = "text-align:right;padding:.15em .8em .15em 0;vertical-align:top;white-space:nowrap"
_LINE = "border-bottom:1px solid rgba(128,128,128,.35)"
_TABLE = "color:inherit;font-size:inherit;border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums"


def program_line(program: Program) -> str:
    """A program in a line: `digits for hermes64: image [N, 1, 8, 8] → logits [N, 10], 5 tiles on 1 chip`."""
    inputs, outputs = _ports(program.inputs), _ports(program.outputs)
    return f"{plain(program.manifest.model)} for {plain(program.target.name)}: {inputs} → {outputs}, {_tiles(program)}"


def program_fragment(program: Program) -> str:
    """A program: what goes in and comes out, and what its methods are."""
    pairs = [
        ("inputs", _ports(program.inputs, len(program.inputs))),
        ("outputs", _ports(program.outputs, len(program.outputs))),
        ("layers", f"{q.whole(len(program.layers))} in {_tiles(program)}"),
        ("seed", str(program.manifest.seed)),
    ]
    methods = "run(x) · validate(x, y) · report() · export(path) · save(path)"
    return _framed(
        _title(program.manifest.model, program.target.title), _facts(pairs), f'<div style="{_FAINT}">{methods}</div>'
    )


def report_fragment(report: Report) -> str:
    """The totals, the layers, what stays digital, the warnings, and the accuracy where there is one."""
    parts = [
        _title(report.manifest.model, report.target.title),
        _facts((key, as_text(value, 2 * WIDTH).strip()) for key, value in total_lines(report)),
        *_layers(report),
        *_digital(report),
        *(f"<div>⚠ {_text(warning)}</div>" for warning in report.manifest.warnings),
    ]
    if report.accuracy is not None:
        parts.append(accuracy_fragment(report.accuracy))
    return _framed(*parts)


def accuracy_fragment(accuracy: Accuracy) -> str:
    """The table of moments below what was compared with what."""
    facts = [f"<b>{q.whole(accuracy.samples)} samples</b> against {_text(accuracy.against)}"]
    if accuracy.reference.accuracy is not None:
        score = q.score(accuracy.metric, accuracy.reference.accuracy)
        facts.append(f", whose {_text(accuracy.metric)} is {_text(score)}")
    parts = [f"<div>{''.join(facts)}</div>"]
    if accuracy.circumstances:
        parts.append(f'<div style="{_FAINT}">{_text(accuracy.circumstances)}</div>')
    parts.append(_table(headings(accuracy.metric), (m.cells(accuracy.metric) for m in moments(accuracy)), 0))
    parts += [*_qualities(accuracy), *(f"<div>⚠ {_text(warning)}</div>" for warning in accuracy.warnings)]
    return _framed(*parts)


def _layers(report: Report) -> Iterator[str]:
    names = shortened(layer.name for layer in report.layers)
    rows = (
        (
            names[layer.name],
            f"{layer.rows} × {layer.columns}",
            q.whole(layer.tiles),
            q.whole(layer.replicas),
            q.short(layer.fires),
            "–" if layer.busy_ns is None else q.duration(layer.busy_ns),
            "–" if layer.energy_nj is None else q.energy(layer.energy_nj),
        )
        for layer in report.layers[:MOST_LAYERS]
    )
    yield _table(("layer", "size", "tiles", "copies", "fires", "busy", "energy"), rows, 1)
    rest = len(report.layers) - MOST_LAYERS
    if rest > 0:
        yield f'<div style="{_FAINT}">… and {q.whole(rest)} more</div>'


def _digital(report: Report) -> Iterator[str]:
    """How many nodes run beside the tiles; why, for who asks."""
    nodes = report.nodes("digital")
    if not nodes:
        return
    groups = [group for group in report.reasons if group.unit == "digital"]
    items = "".join(f"<li>{_text(_operators(g.operators))}: {_text(g.reason)}</li>" for g in groups)
    count = "1 node runs" if len(nodes) == 1 else f"{q.whole(len(nodes))} nodes run"
    yield f"<details><summary>{count} beside the tiles</summary><ul>{items}</ul></details>"


def _operators(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(name if count == 1 else f"{name} × {count}" for name, count in counts)


def _qualities(accuracy: Accuracy) -> Iterator[str]:
    worst = accuracy.worst_layers()
    if not worst:
        return
    names = shortened(layer.name for layer in worst)
    rows = (
        (names[layer.name], "exact" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f} dB")
        for layer in worst[:MOST_LAYERS]
    )
    yield f"<details><summary>errors of the layers</summary>{_table(('layer', 'SQNR'), rows, 1)}</details>"


def _ports(ports: Sequence[Port], most: int = MOST_PORTS) -> str:
    shown = ", ".join(_port(port) for port in ports[:most])
    return shown if len(ports) <= most else f"{shown} and {len(ports) - most} more"


def _port(port: Port) -> str:
    name = shortened((port.name,))[port.name]
    if port.shape is None:
        return name
    return f"{name} [{', '.join('?' if d is None else plain(str(d)) for d in port.shape)}]"


def _tiles(program: Program) -> str:
    """The tiles of the machine that are used."""
    reload = program.reload
    if reload is None:
        return f"{q.counted(len(program.cores), 'tile')} on {q.counted(program.mapping.chips, 'chip')}"
    return f"{q.counted(len(reload.sites), 'tile')} that take turns on {q.counted(chips_of(reload), 'chip')}"


def _title(model: str, machine: str) -> str:
    return f"<div><b>{_text(model)}</b> on <b>{_text(machine)}</b></div>"


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th style="{_LEFT};{_FAINT};font-weight:normal">{_text(key)}</th>'
        f'<td style="{_LEFT};white-space:pre-line">{_lines(value)}</td></tr>'
        for key, value in pairs
    )
    return f'<table style="{_TABLE}"><tbody>{rows}</tbody></table>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], names: int) -> str:
    """A table whose first columns, as many as `names`, are words; the others are numbers."""
    head = "".join(_cell("th", text, i < names, f";{_FAINT};font-weight:normal") for i, text in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(_cell('td', text, i < names) for i, text in enumerate(cells))}</tr>" for cells in rows
    )
    return f'<table style="{_TABLE}"><thead><tr style="{_LINE}">{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(tag: str, text: str, left: bool, style: str = "") -> str:
    return f'<{tag} style="{_LEFT if left else _RIGHT}{style}">{_text(text)}</{tag}>'


def _framed(*parts: str) -> str:
    return f'<div style="line-height:1.45;overflow-x:auto">{"".join(parts)}</div>'


def _text(text: str) -> str:
    return escape(plain(text))


def _lines(text: str) -> str:
    return "\n".join(_text(line.strip()) for line in text.splitlines())

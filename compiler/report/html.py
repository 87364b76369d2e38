"""The report as one HTML page that stands alone: no network, no file beside it.

Names from models are hostile. Every string that the template prints is escaped, control characters first; the page's
data is JSON in which no tag can end; and the page's policy lets only its own script run, by its digest.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from math import ceil
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mho.report import charts
from mho.report import quantities as q
from mho.report.accuracy import headings, moments
from mho.report.json_document import as_json
from mho.report.lines import UNITS, TileLine
from mho.report.names import shortened
from mho.report.pareto import HEADINGS, REMARK
from mho.report.summary import Report
from mho.targets.cost import COMPONENTS
from mho.targets.errors import plain
from mho.targets.mapping import Component

MOST_TILES = 3000
"""Above this many tiles the page shows chips, and a chip's tiles on demand."""

MOST_COLUMNS = 4
PATTERNS = 4
COLOURS = 10

_SCRIPTS = ("floor.js", "nodes.js", "page.js")
_PAGE_DATA = ("layers", "tiles", "grid", "links", "target", "faults")


@dataclass(frozen=True)
class ChipLine:
    """A chip's caption: tiles in use, the cells of those that hold weights, and for a small picture its layers.

    Attributes:
        shares: (colour, fraction of the chip's blocks), in the order of the layers.
    """

    chip: int
    tiles: int
    utilisation: float
    shares: tuple[tuple[int, float], ...]


def html_page(report: Report) -> str:
    """The page; a browser needs nothing else to show it."""
    script = "\n".join(page_part(name) for name in _SCRIPTS)
    chips = _chips(report)
    return (
        environment()
        .from_string(page_part("template.html"))
        .render(
            report=report,
            summary=report.summary,
            chips=chips,
            columns=_columns(len(chips)),
            tile_sizes=_tile_sizes(report),
            on_demand=len(report.tiles) > MOST_TILES,
            style=Markup(page_part("page.css")),
            script=Markup(script),
            script_digest=b64encode(sha256(script.encode()).digest()).decode(),
            data=Markup(_embedded(report)),
        )
    )


def _tile_sizes(report: Report) -> str:
    """Rows and columns of the tiles, one size for each number of devices a weight."""
    sizes = sorted({(-(tile.devices_per_weight or 0), tile.rows, tile.columns) for tile in report.tiles})
    return " or ".join(f"{rows} × {columns}" for _, rows, columns in sizes)


def page_part(name: str) -> str:
    """A file that the page is made of."""
    return files("mho.report").joinpath(name).read_text(encoding="utf-8")


def environment(filters: Mapping[str, Callable[..., str]] | None = None) -> Environment:
    """What fills templates: all that they print is escaped, control characters first.

    Args:
        filters: beside those of the report.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "duration": q.duration,
        "energy": q.energy,
        "rate": q.rate,
        "area": q.area,
        "short": q.short,
        "whole": q.whole,
        "percent": q.percent,
        "look": look,
        "paint": paint,
        **(filters or {}),
    }
    environment.globals |= {
        "score": q.score,
        "charts": charts,
        "headings": headings,
        "moments": moments,
        "pareto_headings": HEADINGS,
        "pareto_remark": REMARK,
        "shortened": shortened,
        "units": UNITS,
    }
    return environment


def _printable(value: object) -> object:
    """What the template prints: strings without control characters, markup of our own as it is."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def look(colour: int | None) -> str:
    """The classes that paint a layer: ten hues, then the same hues hatched."""
    return "digital" if colour is None else f"c{colour % COLOURS} p{colour // COLOURS % PATTERNS}"


def paint(component: Component) -> str:
    """The class that paints a component: shades of one hue for the crossbar, of grey for what lies around it."""
    return f"k{COMPONENTS.index(component)}"


def _embedded(report: Report) -> str:
    """The page's data: JSON in plain ASCII that holds no character with which a tag or a comment could begin."""
    whole = as_json(report)
    shown = {key: _shown(whole[key]) for key in _PAGE_DATA} | _nodes(report)
    text = json.dumps(shown, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _nodes(report: Report) -> dict[str, Any]:
    """The nodes in file order as [name, operator, number of the reason, detail, matrix], and the reasons, each once."""
    numbers = {(g.unit, g.reason, g.remedy): number for number, g in enumerate(report.reasons)}
    matrix_of = {layer.name: layer.matrix for layer in report.layers}
    rows = [
        (d.node, d.operator, numbers[d.unit, d.reason, d.remedy], d.detail, _matrix(report, matrix_of, d.node))
        for d in report.decisions
    ]
    return {"reasons": [_shown(list(key)) for key in numbers], "nodes": [_shown(list(row)) for row in rows]}


def _matrix(report: Report, matrix_of: Mapping[str, str], node: str) -> str:
    """The matrix of a node's first layer, or empty."""
    layers = report.layers_of.get(node, ())
    return matrix_of[layers[0]] if layers else ""


def _shown(value: Any) -> Any:
    match value:
        case str():
            return plain(value)
        case dict():
            return {key: _shown(item) for key, item in value.items()}
        case list():
            return [_shown(item) for item in value]
        case _:
            return value


def _columns(chips: int) -> int:
    """Columns that leave the last row of chips as full as can be."""
    return max(1, ceil(chips / max(1, ceil(chips / MOST_COLUMNS))))


def _chips(report: Report) -> tuple[ChipLine, ...]:
    tiles: dict[int, list[TileLine]] = {chip: [] for chip in range(report.summary.chips)}
    for tile in report.tiles:
        tiles.setdefault(tile.site.chip, []).append(tile)
    colour_of = {layer.matrix: layer.colour for layer in reversed(report.layers)}
    return tuple(_chip(chip, found, colour_of) for chip, found in sorted(tiles.items()))


def _chip(chip: int, tiles: list[TileLine], colour_of: dict[str, int]) -> ChipLine:
    counts: dict[int, int] = {}
    for block in (block for tile in tiles for block in tile.blocks):
        colour = colour_of.get(block.matrix, 0)
        counts[colour] = counts.get(colour, 0) + 1
    total = sum(counts.values())
    return ChipLine(
        chip,
        len(tiles),
        sum(tile.utilisation for tile in tiles) / max(1, len(tiles)),
        tuple((colour, count / total) for colour, count in sorted(counts.items())),
    )

"""The Pareto table of a report: tiles against interval against energy."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.report import quantities as q
from mho.report.lines import LayerLine
from mho.targets.mapping import ParetoPoint

HEADINGS = ("tiles", "most copies", "interval", "speed", "energy")

REMARK = "first single copies, then what no other point beats; energy without words on links, which copies may lengthen"


@dataclass(frozen=True, kw_only=True)
class ParetoLine:
    """A point, in numbers and words.

    Attributes:
        most_copies: of one matrix.
        speed: how much shorter the interval is than that of single copies.
        compiled: whether the program has these copies.
    """

    point: ParetoPoint
    most_copies: int
    speed: float
    compiled: bool

    @property
    def interval(self) -> str:
        """In time, or in times of an MVM where that is not known."""
        point = self.point
        return f"{q.short(point.mvms)} MVMs" if point.interval_ns is None else q.duration(point.interval_ns)

    @property
    def cells(self) -> tuple[str, ...]:
        """Under the headings."""
        speed, energy = f"{self.speed:.3g} ×", q.energy(self.point.energy_nj)
        return q.whole(self.point.tiles), q.whole(self.most_copies), self.interval, speed, energy


def pareto_lines(points: tuple[ParetoPoint, ...], layers: tuple[LayerLine, ...]) -> tuple[ParetoLine, ...]:
    """The points in order, beside the program's own layers."""
    own = {layer.matrix: layer.replicas for layer in layers if layer.replicas > 1}
    return tuple(
        ParetoLine(
            point=point,
            most_copies=max(point.copies.values(), default=1),
            speed=points[0].mvms / point.mvms if point.mvms else 1.0,
            compiled=point.copies == own,
        )
        for point in points
    )


def pareto_table(lines: tuple[ParetoLine, ...], most: int) -> RenderableType:
    """The table in a terminal; of more lines, the first, the last, the program's and others evenly between."""
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    chosen = {round(i * (len(lines) - 1) / max(most - 1, 1)) for i in range(most)}
    shown = [line for place, line in enumerate(lines) if place in chosen or line.compiled]
    for line in shown:
        table.add_row(*line.cells, "← this program" if line.compiled else "", style="bold" if line.compiled else "")
    left = len(lines) - len(shown)
    points = "1 point between these is" if left == 1 else f"{left} points between these are"
    more = f"; {points} not shown" if left else ""
    return Padding(Group(table, Text(REMARK + more, style="dim")), (0, 0, 0, 2))

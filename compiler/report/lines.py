"""What a report is made of: totals, layers, tiles with their blocks, steps, and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mho.targets.isa import Site
from mho.targets.mapping import Component, SolverFacts
from mho.targets.program import Decision, Unit

Total = Literal["latency", "interval", "energy", "area", "tops", "tops_per_w", "tops_per_mm2"]

UNITS: Mapping[Unit, str] = {
    "digital": "digital",
    "core": "with the cores",
    "analog": "analog",
    "constant": "while compiling",
    "removed": "removed",
}
"""The kinds of places where a node runs, in words, in the order of the reports."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Totals of one inference of one sample.

    Attributes:
        weights: stored weights, every matrix once, whatever its replicas.
        devices: memory devices of the weights of all replicas; None is unknown.
        capacitors: of the weights of all replicas.
        macs: products of a weight and an input.
        tiles: tiles that hold weights.
        utilisation: cells that hold a weight / cells of those tiles.
        area_mm2: of the tiles that are used.
        tops: operations that the pipeline does, two a multiplication: 2 · macs / interval.
        tops_per_w: 2 · macs / energy. tops_per_mm2: tops / area.
        excluded: everything that some total leaves out because nobody published it.
        missing: total → what it leaves out: times and energies are then lower bounds, rates upper ones.
        solver: the search that proved least: the worst status, then the largest gap.
    """

    weights: int
    devices: int | None
    capacitors: int
    macs: float
    tiles: int
    tiles_lower_bound: int
    chips: int
    utilisation: float
    latency_ns: float | None
    interval_ns: float | None
    energy_nj: float | None
    area_mm2: float | None
    tops: float | None
    tops_per_w: float | None
    tops_per_mm2: float | None
    excluded: tuple[str, ...]
    missing: Mapping[Total, tuple[str, ...]]
    solver: SolverFacts | None

    @property
    def uncounted(self) -> tuple[str, ...]:
        """What some time or energy leaves out."""
        return tuple(dict.fromkeys(key for _, keys in self.left_out for key in keys))

    @property
    def left_out(self) -> tuple[tuple[tuple[Total, ...], tuple[str, ...]], ...]:
        """Times and energies that leave out the same, and what that is; rates follow from them, an area is whole."""
        groups: dict[tuple[str, ...], list[Total]] = {}
        for total in ("latency", "interval", "energy"):
            if self.missing[total]:
                groups.setdefault(self.missing[total], []).append(total)
        return tuple((tuple(totals), keys) for keys, totals in groups.items())


@dataclass(frozen=True, kw_only=True)
class ComponentLine:
    """What a kind of component costs in all layers of one inference; None is unknown."""

    component: Component
    time_ns: float | None
    energy_nj: float | None


@dataclass(frozen=True, kw_only=True)
class LayerLine:
    """A use of a matrix.

    Attributes:
        unfolding: "im2col", "windows" with the outputs of one, or "places"; empty where the layer is no convolution.
        weights: of the model, each once.
        devices_per_weight: memory devices that make one of its weights; None is unknown.
        devices: of the entries of all replicas together, and so are blocks and tiles.
        busy_ns: time its slowest tile works; energy_nj: of all its tiles. None is unknown.
        colour: number of the first layer that uses the matrix; layers that share one look alike.
    """

    name: str
    matrix: str
    operator: str
    origins: tuple[str, ...]
    rows: int
    columns: int
    groups: int
    unfolding: str
    weights: int
    devices_per_weight: int | None
    devices: int | None
    macs: float
    blocks: int
    tiles: int
    replicas: int
    fires: float
    input_range: float
    busy_ns: float | None
    energy_nj: float | None
    colour: int


@dataclass(frozen=True, kw_only=True)
class BlockLine:
    """A block in its tile.

    Attributes:
        layer: the first layer that uses the block's matrix.
        rows, columns: its size; row_start, column_start: its place in the matrix.
        row_offset, column_offset: its upper left cell in the tile.
        cells: that hold an entry of the matrix, the zeros between groups not counted.
        weights: of those, cells that hold a weight of the model: a matrix's own zeros are shared out over its blocks.
        scale_rows: rows of the matrix whose blocks add their charge before one converter, half-open.
    """

    number: int
    layer: str
    matrix: str
    replica: int
    rows: int
    columns: int
    row_start: int
    column_start: int
    row_offset: int
    column_offset: int
    cells: int
    weights: int
    scale_rows: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class TileLine:
    """A tile that holds weights.

    Attributes:
        rows, columns: weights a column and a row of it can hold, each made of `devices_per_weight` devices.
        utilisation: cells that hold a weight / all its cells.
    """

    site: Site
    devices_per_weight: int | None
    rows: int
    columns: int
    blocks: tuple[BlockLine, ...]
    utilisation: float


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """When a step runs; `layer` is the first of its layers, None for a digital step."""

    step: str
    layer: str | None
    start_ns: float
    end_ns: float


@dataclass(frozen=True, kw_only=True)
class Reason:
    """The nodes that run on one kind of unit for one reason; `remedy` is what would change that, or empty."""

    unit: Unit
    reason: str
    remedy: str
    decisions: tuple[Decision, ...]

    @property
    def operators(self) -> tuple[tuple[str, int], ...]:
        """Operators and how often they occur, the most frequent first."""
        counts: dict[str, int] = {}
        for decision in self.decisions:
            counts[decision.operator] = counts.get(decision.operator, 0) + 1
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

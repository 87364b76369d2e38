"""`Report`: everything that the outputs show, and the one place for its arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mho.report.accuracy import Accuracy, read_accuracy
from mho.report.costs import area_mm2, components, missing, ratio
from mho.report.faults import FaultLine, fault_line
from mho.report.lines import UNITS, BlockLine, ComponentLine, LayerLine, Reason, StepLine, Summary, TileLine
from mho.report.packing import PackingLine, packing_line
from mho.report.pareto import ParetoLine, pareto_lines
from mho.report.reload import ReloadLine, chips_of, reload_line
from mho.report.reprogram import ReprogramLine, reprogram_line
from mho.report.searches import proved, weakest
from mho.report.traffic import BufferLine, RouteLine, buffer_line, route_line
from mho.targets.errors import DataError, plain
from mho.targets.isa import CoreProgram, Load, Site
from mho.targets.mapping import Component, CostLine, LinkTraffic, Slot, SolverFacts, Timing
from mho.targets.program import Decision, LayerFacts, Manifest, MatrixFacts, Program, Unit
from mho.targets.steps import Analog, walk
from mho.targets.steps import layers as layers_of
from mho.targets.target import Target
from mho.targets.unfolding import unfolding_text

_MOST_STRANGERS = 5


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """A program as people read it; made by `summarise`. It prints as the summary in a terminal and in a notebook.

    Attributes:
        grid: width and height of a chip's grid of cores.
        solvers: every search, in the order of the pipeline.
        breakdown: the costs by layer and component; empty where the program has none.
        layers_of: ONNX node → the layers that compute it, or whose weights it is part of, where there are any.
        accuracy: None where nobody validated.
        packing: how blocks share tiles, and what is proven of their number.
        faults: what was avoided; None where the program has no fault map.
        pareto: what other numbers of copies would cost, where that was asked for.
        timing: how the schedule was made, and what limits it.
        reload: how tiles take turns; None where each has a place of its own.
        routes, buffers: what links carry and what is to be held; None in programs of formats before 4.
        reprogram: what has to be written; None where the program was compiled like no other.
    """

    manifest: Manifest
    target: Target
    summary: Summary
    layers: tuple[LayerLine, ...]
    tiles: tuple[TileLine, ...]
    grid: tuple[int, int]
    links: tuple[LinkTraffic, ...]
    schedule: tuple[StepLine, ...]
    decisions: tuple[Decision, ...]
    layers_of: Mapping[str, tuple[str, ...]]
    solvers: tuple[SolverFacts, ...]
    breakdown: tuple[CostLine, ...]
    accuracy: Accuracy | None
    packing: PackingLine
    faults: FaultLine | None = None
    pareto: tuple[ParetoLine, ...] = ()
    timing: Timing = field(default_factory=Timing)
    reload: ReloadLine | None = None
    routes: RouteLine | None = None
    buffers: BufferLine | None = None
    reprogram: ReprogramLine | None = None

    @property
    def stated(self) -> str:
        """What the machine's publication states and nothing here can derive, or nothing."""
        stated = self.target.stated
        figures = ((stated.efficiency_tops_w, "TOPS/W"), (stated.density_tops_mm2, "TOPS/mm²"))
        return ", ".join(f"{value:g} {unit}" for value, unit in figures if value is not None)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """Decisions grouped by unit, reason and remedy: digital ones first, then the largest groups."""
        groups: dict[tuple[Unit, str, str], list[Decision]] = {}
        for decision in self.decisions:
            groups.setdefault((decision.unit, decision.reason, decision.remedy), []).append(decision)
        lines = [Reason(unit=u, reason=r, remedy=m, decisions=tuple(d)) for (u, r, m), d in groups.items()]
        order = tuple(UNITS)
        return tuple(sorted(lines, key=lambda g: (order.index(g.unit), -len(g.decisions))))

    @cached_property
    def chip_words(self) -> Mapping[tuple[int, int], float]:
        """(source, target) → words from chip to chip in one inference; the pair with the most first."""
        words: dict[tuple[int, int], float] = {}
        for link in self.links:
            pair = (link.source.chip, link.target.chip)
            if pair[0] != pair[1] and link.words > 0:
                words[pair] = words.get(pair, 0.0) + link.words
        return dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def components(self) -> tuple[ComponentLine, ...]:
        """The breakdown by component."""
        return components(self.breakdown)

    @property
    def energy_components(self) -> tuple[Component, ...]:
        """The components of which the energy of some layer is known."""
        return tuple(line.component for line in self.components if line.energy_nj is not None)

    @cached_property
    def _costs(self) -> Mapping[tuple[str | None, Component], CostLine]:
        return {(line.layer, line.component): line for line in self.breakdown}

    def energy_of(self, layer: str, component: Component) -> float | None:
        """What a component of a layer uses; None where it is unknown, or where the layer has none."""
        line = self._costs.get((layer, component))
        return None if line is None else line.energy_nj

    def text(self) -> str:
        """The report as plain text of 80 columns."""
        from mho.report.terminal import report_text

        return report_text(self)

    def json(self) -> str:
        """The report as a JSON document with stable keys."""
        from mho.report.json_document import json_text

        return json_text(self)

    def html(self) -> str:
        """The report as one HTML page that needs nothing beside it."""
        from mho.report.html import html_page

        return html_page(self)

    def save(self, path: str | Path) -> None:
        """Writes the page to a file, whole or not at all.

        Raises:
            DataError: the file cannot be written.
        """
        from mho.data import write_text

        write_text(Path(path), self.html())

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        model, machine = plain(self.manifest.model), plain(self.target.name)
        return f"<Report of {model} on {machine}: print it, or save(path) the page>"

    def _repr_html_(self) -> str:
        from mho.report.fragment import report_fragment

        return report_fragment(self)

    def nodes(self, unit: Unit) -> tuple[Decision, ...]:
        """The ONNX nodes that run on a kind of unit."""
        return tuple(d for d in self.decisions if d.unit == unit)


def summarise(program: Program, accuracy: object = None) -> Report:
    """Everything that is to be said about a program.

    Args:
        accuracy: what `Compiled.validate` returned, or the parsed JSON of `mho validate --json`.

    Raises:
        DataError: `accuracy` is neither, or names layers that the program does not have.
    """
    tiles = _tiles(program)
    layers = _layers(program)
    solvers = tuple(proved(solver) for solver in program.mapping.solvers)
    return Report(
        manifest=program.manifest,
        target=program.target,
        summary=_summary(program, layers, tiles, solvers),
        layers=layers,
        tiles=tiles,
        grid=program.mapping.grid,
        links=program.mapping.links,
        schedule=_schedule(program),
        decisions=program.decisions,
        layers_of=_layers_of(program),
        solvers=solvers,
        breakdown=program.mapping.costs.breakdown,
        accuracy=None if accuracy is None else _own(read_accuracy(accuracy), program),
        packing=packing_line(program, tiles),
        faults=fault_line(program),
        pareto=pareto_lines(program, layers),
        timing=program.mapping.timing,
        reload=reload_line(program),
        routes=route_line(program),
        buffers=buffer_line(program),
        reprogram=reprogram_line(program, sum(block.weights for tile in tiles for block in tile.blocks)),
    )


def _layers_of(program: Program) -> dict[str, tuple[str, ...]]:
    units = {decision.node: decision.unit for decision in program.decisions}
    parts = {matrix.name: matrix.origins for matrix in program.matrices}
    found: dict[str, list[str]] = {}
    for layer in program.layers:
        computed = [node for node in layer.origins if units.get(node) in ("analog", "core")]
        stored = [node for node in parts[layer.matrix] if units.get(node) == "constant"]
        for node in dict.fromkeys((*computed, *stored)):
            found.setdefault(node, []).append(layer.name)
    return {node: tuple(layers) for node, layers in found.items()}


def _own(accuracy: Accuracy, program: Program) -> Accuracy:
    """The outcome, where every layer that it names is the program's."""
    known = {layer.name for layer in program.layers}
    strangers = [plain(layer.name) for layer in accuracy.layers if layer.name not in known]
    if strangers:
        named = ", ".join(strangers[:_MOST_STRANGERS])
        rest = len(strangers) - _MOST_STRANGERS
        more = f" and {rest} more" if rest > 0 else ""
        raise DataError(
            f"accuracy: the program has no layers {named}{more}: the outcome is of another program; "
            "give what `mho validate --json` printed for this one"
        )
    return accuracy


def held(load: Load, matrix: MatrixFacts) -> int:
    """Cells of a block that hold an entry of the matrix: its overlap with the groups on the diagonal."""
    height, width = matrix.rows // matrix.groups, matrix.columns // matrix.groups
    first, last = load.rows[0] // height, (load.rows[1] - 1) // height
    return sum(
        _overlap(load.rows, group * height, height) * _overlap(load.columns, group * width, width)
        for group in range(first, last + 1)
    )


def _overlap(span: tuple[int, int], start: int, length: int) -> int:
    return max(0, min(span[1], start + length) - max(span[0], start))


def _summary(
    program: Program, layers: tuple[LayerLine, ...], tiles: tuple[TileLine, ...], solvers: tuple[SolverFacts, ...]
) -> Summary:
    costs = program.mapping.costs
    cells = sum(t.rows * t.columns for t in tiles)
    macs = sum(layer.macs for layer in layers)
    tops = ratio(2 * macs / 1000, costs.interval_ns)
    area = area_mm2(costs, program.target, len(tiles))
    return Summary(
        weights=sum(m.filled // m.copies for m in program.matrices),
        devices=_total([_times(b.cells, t.devices_per_weight) for t in tiles for b in t.blocks]),
        capacitors=sum(b.cells for t in tiles for b in t.blocks) * program.target.crossbar.capacitors_per_weight,
        macs=macs,
        tiles=len(tiles),
        tiles_lower_bound=program.mapping.tiles_lower_bound,
        chips=program.mapping.chips if program.reload is None else chips_of(program.reload),
        utilisation=sum(b.weights for t in tiles for b in t.blocks) / cells if tiles else 0.0,
        latency_ns=costs.latency_ns,
        interval_ns=costs.interval_ns,
        energy_nj=costs.energy_nj,
        area_mm2=area,
        tops=tops,
        tops_per_w=ratio(2 * macs / 1000, costs.energy_nj),
        tops_per_mm2=ratio(tops, area),
        excluded=costs.excluded,
        missing=missing(costs, program.target),
        solver=weakest(solvers),
    )


def _tiles(program: Program) -> tuple[TileLine, ...]:
    layer_of = {facts.matrix: facts.name for facts in reversed(program.layers)}
    matrices = {matrix.name: matrix for matrix in program.matrices}
    return tuple(_tile(core, program.target, matrices, layer_of) for core in program.cores if core.loads)


def _tile(
    core: CoreProgram, target: Target, matrices: Mapping[str, MatrixFacts], layer_of: Mapping[str, str]
) -> TileLine:
    blocks = tuple(_block(load, matrices[load.matrix], layer_of.get(load.matrix, load.matrix)) for load in core.loads)
    crossbar = target.crossbar.with_devices(_devices(core.loads, target))
    return TileLine(
        site=core.site,
        devices_per_weight=crossbar.devices_per_weight,
        rows=crossbar.rows,
        columns=crossbar.columns,
        blocks=blocks,
        utilisation=sum(b.weights for b in blocks) / (crossbar.rows * crossbar.columns),
    )


def _times(weights: int, devices: int | None) -> int | None:
    return None if devices is None else weights * devices


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _devices(loads: Iterable[Load], target: Target) -> int | None:
    """The devices of a weight of blocks that agree in it; None is unknown."""
    return next((load.devices for load in loads if load.devices), target.crossbar.devices_per_weight)


def _block(load: Load, matrix: MatrixFacts, layer: str) -> BlockLine:
    cells = held(load, matrix)
    return BlockLine(
        number=load.block,
        layer=layer,
        matrix=load.matrix,
        replica=load.replica,
        rows=load.rows[1] - load.rows[0],
        columns=load.columns[1] - load.columns[0],
        row_start=load.rows[0],
        column_start=load.columns[0],
        row_offset=load.row_offset,
        column_offset=load.column_offset,
        cells=cells,
        weights=round(cells * matrix.filled / matrix.weights),
        scale_rows=load.scale_rows,
    )


def _layers(program: Program) -> tuple[LayerLine, ...]:
    matrices = {matrix.name: matrix for matrix in program.matrices}
    loads: dict[str, list[tuple[Site, Load]]] = {name: [] for name in matrices}
    for core in program.cores:
        for load in core.loads:
            loads[load.matrix].append((core.site, load))
    colour: dict[str, int] = {}
    for facts in program.layers:
        colour.setdefault(facts.matrix, len(colour))
    unfoldings = {s.name: unfolding_text(s.unfolding) for s in walk(program.sequence) if isinstance(s, Analog)}
    return tuple(
        _layer(
            program,
            facts,
            matrices[facts.matrix],
            loads[facts.matrix],
            colour[facts.matrix],
            unfoldings.get(facts.name, ""),
        )
        for facts in program.layers
    )


def _layer(
    program: Program,
    facts: LayerFacts,
    matrix: MatrixFacts,
    loads: list[tuple[Site, Load]],
    colour: int,
    unfolding: str,
) -> LayerLine:
    costs = program.mapping.costs
    devices = _devices((load for _, load in loads), program.target)
    replicas = len({load.replica for _, load in loads})
    return LayerLine(
        name=facts.name,
        matrix=facts.matrix,
        operator=facts.operator,
        origins=facts.origins,
        rows=matrix.rows,
        columns=matrix.columns,
        groups=matrix.groups,
        unfolding=unfolding,
        weights=matrix.filled // matrix.copies,
        devices_per_weight=devices,
        devices=_times(matrix.weights * replicas, devices),
        macs=matrix.filled * facts.fires,
        blocks=len(loads),
        tiles=len({site for site, _ in loads}),
        replicas=replicas,
        fires=facts.fires,
        input_range=facts.input_range,
        busy_ns=costs.layers_ns.get(facts.name),
        energy_nj=costs.layers_nj.get(facts.name),
        colour=colour,
    )


def _schedule(program: Program) -> tuple[StepLine, ...]:
    first_layer = {layer.step: layer.name for layer in reversed(layers_of(program.sequence))}
    return tuple(_step(slot, first_layer.get(slot.step)) for slot in program.mapping.schedule)


def _step(slot: Slot, layer: str | None) -> StepLine:
    return StepLine(step=slot.step, layer=layer, start_ns=slot.start_ns, end_ns=slot.end_ns)

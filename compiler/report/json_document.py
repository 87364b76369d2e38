"""The report as JSON. Keys are stable: a new version may add some, it does not rename or remove one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from mho.report.jsonable import jsonable, number
from mho.report.lines import BlockLine, ComponentLine, LayerLine, StepLine, Summary, TileLine
from mho.report.pareto import ParetoLine
from mho.report.reload import ReloadLine
from mho.report.reprogram import ReprogramLine
from mho.report.summary import Report
from mho.report.traffic import RouteLine
from mho.targets.isa import Site
from mho.targets.mapping import CostLine, LinkTraffic, SolverFacts
from mho.targets.program import Decision, Manifest
from mho.targets.target import Target

SCHEMA = "mho-report-1"

Json = dict[str, Any]


def as_json(report: Report) -> Json:
    """Plain data for `json.dumps`; what is unknown or infinite is None."""
    return {
        "schema": SCHEMA,
        "model": {"name": report.manifest.model, "digest": report.manifest.model_digest},
        "target": _target(report.target),
        "summary": _summary(report.summary),
        "packing": {**asdict(report.packing), "gap": number(report.packing.gap)},
        "costs": [_cost(line) for line in report.breakdown],
        "components": [_cost(line) for line in report.components],
        "layers": [_layer(layer) for layer in report.layers],
        "tiles": [_tile(tile) for tile in report.tiles],
        "grid": {"width": report.grid[0], "height": report.grid[1]},
        "links": [_link(link) for link in report.links],
        "routes": _routes(report.routes),
        "buffers": None if report.buffers is None else jsonable(asdict(report.buffers)),
        "chip_links": [
            {"source": source, "target": target, "words": number(words)}
            for (source, target), words in report.chip_words.items()
        ],
        "nodes": [_node(d, report) for d in report.decisions],
        "digital": [_decision(d) for d in report.nodes("digital")],
        "core": [_decision(d) for d in report.nodes("core")],
        "analog": [_decision(d) for d in report.nodes("analog")],
        "schedule": [_slot(line) for line in report.schedule],
        "pareto": [_point(line) for line in report.pareto],
        "timing": jsonable(asdict(report.timing)),
        "solvers": [_solver(solver) for solver in report.solvers],
        "faults": None if report.faults is None else jsonable(asdict(report.faults)),
        "reload": _reload(report.reload),
        "reprogram": None if report.reprogram is None else _reprogram(report.reprogram),
        "accuracy": None if report.accuracy is None else report.accuracy.as_json(),
        "provenance": _provenance(report.manifest),
    }


def json_text(report: Report) -> str:
    """The report as one JSON document of plain ASCII with a newline at its end."""
    return json.dumps(as_json(report), indent=1, allow_nan=False) + "\n"


def _target(target: Target) -> Json:
    return {
        "name": target.name,
        "title": target.title,
        "crossbar": {"rows": target.crossbar.rows, "columns": target.crossbar.columns},
        "tiles": target.mesh.tiles,
        "chips": target.mesh.chips,
        "stated": asdict(target.stated),
    }


def _summary(summary: Summary) -> Json:
    return {
        "weights": summary.weights,
        "devices": summary.devices,
        "capacitors": summary.capacitors,
        "macs": number(summary.macs),
        "tiles": summary.tiles,
        "tiles_lower_bound": summary.tiles_lower_bound,
        "chips": summary.chips,
        "utilisation": number(summary.utilisation),
        "latency_ns": number(summary.latency_ns),
        "interval_ns": number(summary.interval_ns),
        "energy_nj": number(summary.energy_nj),
        "area_mm2": number(summary.area_mm2),
        "tops": number(summary.tops),
        "tops_per_w": number(summary.tops_per_w),
        "tops_per_mm2": number(summary.tops_per_mm2),
        "excluded": list(summary.excluded),
        "missing": {total: list(keys) for total, keys in summary.missing.items()},
        "solver": _solver(summary.solver),
    }


def _solver(solver: SolverFacts | None) -> Json:
    if solver is None:
        return dict.fromkeys(("search", "status", "objective", "bound", "gap"))
    return {
        "search": solver.search,
        "status": solver.status,
        "objective": number(solver.objective),
        "bound": number(solver.bound),
        "gap": number(solver.gap),
    }


def _layer(layer: LayerLine) -> Json:
    facts: Json = jsonable(asdict(layer))
    return facts


def _cost(line: CostLine | ComponentLine) -> Json:
    facts: Json = jsonable(asdict(line))
    return facts


def _site(site: Site) -> Json:
    return {"chip": site.chip, "x": site.x, "y": site.y}


def _tile(tile: TileLine) -> Json:
    blocks = [_block(block) for block in tile.blocks]
    return {
        **_site(tile.site),
        "devices_per_weight": tile.devices_per_weight,
        "rows": tile.rows,
        "columns": tile.columns,
        "utilisation": number(tile.utilisation),
        "blocks": blocks,
    }


def _block(block: BlockLine) -> Json:
    return {**vars(block), "scale_rows": list(block.scale_rows)}


def _link(link: LinkTraffic) -> Json:
    return {"source": _site(link.source), "target": _site(link.target), "words": number(link.words)}


def _routes(line: RouteLine | None) -> Json | None:
    if line is None:
        return None
    hottest = None if line.hottest is None else _link(line.hottest)
    return {**vars(line), "words": number(line.words), "hottest": hottest}


def _decision(decision: Decision) -> Json:
    return {
        "name": decision.node,
        "op": decision.operator,
        "reason": decision.because,
        "remedy": decision.remedy,
    }


def _node(decision: Decision, report: Report) -> Json:
    layers = list(report.layers_of.get(decision.node, ()))
    return {**_decision(decision), "unit": decision.unit, "layers": layers}


def _slot(line: StepLine) -> Json:
    facts: Json = jsonable(asdict(line))
    return facts


def _point(line: ParetoLine) -> Json:
    facts: Json = jsonable({**asdict(line.point), "speed": line.speed, "compiled": line.compiled})
    return facts


def _reload(line: ReloadLine | None) -> Json | None:
    if line is None:
        return None
    facts: Json = jsonable(asdict(line))
    return {**facts, "writes_an_inference": line.writes_an_inference}


def _reprogram(line: ReprogramLine) -> Json:
    counts = {key: value for key, value in vars(line).items() if key != "changed"}
    return {**counts, "changed": [dict(vars(tile)) for tile in line.changed]}


def _provenance(manifest: Manifest) -> Json:
    return {
        "mho": manifest.mho,
        "format": manifest.format,
        "versions": dict(manifest.versions),
        "options": jsonable(dict(manifest.options)),
        "seed": manifest.seed,
        "warnings": list(manifest.warnings),
    }

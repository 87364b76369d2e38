"""The keys that other programs read."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf

import pytest

from mho.report.json_document import as_json
from mho.report.summary import summarise
from tests.compiler.report.crowd import Shape, crowd, resnet9, stack
from tests.compiler.report.outcomes import outcome_of


def test_stable_keys() -> None:
    data = json.loads(summarise(resnet9()).json())
    top = {"schema", "model", "target", "summary", "layers", "tiles", "links", "digital"}
    assert top <= data.keys()
    assert data["schema"] == "mho-report-1"
    assert data["model"] == {"name": "resnet9.onnx", "digest": "9f2c" * 16}
    assert data["target"]["name"] == "grid"
    totals = {"weights", "macs", "tiles", "tiles_lower_bound", "chips", "utilisation", "latency_ns", "interval_ns"}
    assert totals | {"energy_nj", "excluded", "solver"} <= data["summary"].keys()
    assert {"area_mm2", "tops", "tops_per_w", "tops_per_mm2", "missing"} <= data["summary"].keys()
    assert {"status", "bound", "gap"} <= data["summary"]["solver"].keys()
    assert {"name", "rows", "columns", "blocks", "tiles", "replicas", "fires"} <= data["layers"][0].keys()
    assert {"chip", "x", "y", "blocks"} <= data["tiles"][0].keys()
    block = {"layer", "rows", "columns", "row_offset", "column_offset", "replica"}
    assert block <= data["tiles"][0]["blocks"][0].keys()
    assert {"name", "op", "reason", "remedy"} <= data["digital"][0].keys()
    attention = next(node for node in data["nodes"] if node["name"] == "attention")
    assert attention["reason"] == "its second input is computed at run time: 'key' from node 'transpose' (Transpose)"
    assert (attention["unit"], attention["layers"]) == ("digital", [])
    assert attention["remedy"].startswith("export")
    assert data["nodes"][0]["layers"] == [data["layers"][0]["name"]]


def test_numbers_add_up() -> None:
    data = as_json(summarise(resnet9()))
    assert data["summary"]["tiles"] == len(data["tiles"]) == 40
    assert data["summary"]["weights"] == sum(layer["rows"] * layer["columns"] for layer in data["layers"])
    cells = sum(block["rows"] * block["columns"] for tile in data["tiles"] for block in tile["blocks"])
    assert data["summary"]["utilisation"] == cells / (40 * 256 * 256)
    for layer in data["layers"]:
        own = [b for tile in data["tiles"] for b in tile["blocks"] if b["layer"] == layer["name"]]
        assert len(own) == layer["blocks"]
        assert sum(b["rows"] * b["columns"] for b in own) == layer["rows"] * layer["columns"] * layer["replicas"]


def test_what_is_unknown_or_infinite_is_null() -> None:
    program = crowd((Shape("fc", 4, 4),))
    costs = replace(program.mapping.costs, latency_ns=None, interval_ns=inf, layers_nj={})
    report = summarise(replace(program, mapping=replace(program.mapping, costs=costs, solvers=())))
    data = json.loads(report.json())
    assert data["summary"]["latency_ns"] is None
    assert data["summary"]["interval_ns"] is None
    assert data["summary"]["solver"]["status"] is None
    assert data["layers"][0]["energy_nj"] is None
    assert data["accuracy"] is None


def test_links_name_both_ends() -> None:
    data = as_json(summarise(stack(2, layers=4)))
    chips = {(link["source"]["chip"], link["target"]["chip"]) for link in data["links"]}
    assert (0, 1) in chips
    assert all(link["words"] > 0 for link in data["links"])


def test_accuracy_stands_beside() -> None:
    data = json.loads(summarise(resnet9(), outcome_of(resnet9())).json())
    assert data["accuracy"]["samples"] == 1000
    defaults: dict[str, object] = {
        "output": "",
        "warnings": [],
        "effects_off": [],
        "compensation": None,
        "recalibration_samples": 0,
        "read_seed": None,
    }
    assert data["accuracy"] == outcome_of(resnet9()) | defaults


def test_equal_programs_have_equal_documents() -> None:
    assert summarise(resnet9()).json() == summarise(resnet9()).json()


def test_pairs_of_chips_with_their_words() -> None:
    report = summarise(stack(3, layers=6))
    links = as_json(report)["chip_links"]
    words = [link["words"] for link in links]
    assert words == sorted(words, reverse=True)
    between = sum(link.words for link in report.links if link.source.chip != link.target.chip)
    assert sum(words) == pytest.approx(between)
    assert "between chips" in report.text()
    assert "0 → 1" in report.text()
    assert as_json(summarise(resnet9()))["chip_links"] == []

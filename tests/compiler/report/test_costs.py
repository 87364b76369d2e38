"""Costs in reports: rates, components, what is left out, the same in every rendering."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from mho.report import charts
from mho.report.summary import Report, summarise
from mho.targets.mapping import CostFacts, CostLine, ResourceLoad, Timing
from mho.targets.program import Program
from tests.compiler.report.crowd import Shape, crowd, machine, resnet9

BREAKDOWN = (
    CostLine(layer="a", component="mvm", time_ns=300.0, energy_nj=60.0),
    CostLine(layer="a", component="adc", time_ns=0.0, energy_nj=20.0),
    CostLine(layer="a", component="digital"),
    CostLine(layer="b", component="mvm", time_ns=100.0, energy_nj=15.0),
    CostLine(layer="b", component="adc", time_ns=0.0, energy_nj=5.0),
    CostLine(layer="b", component="links", time_ns=4.0),
)
DIGITAL = ("costs.digital_latency_ns", "digital steps on gdpu")
MISSING = {"latency": (*DIGITAL, "mesh.hop_latency_ns"), "interval": DIGITAL, "energy": ("mesh.hop_energy_nj",)}


def program(**changes: object) -> Program:
    """Two layers of 100 × 100 that fire once each, in 200 ns with 100 nJ on two tiles of 0.5 mm²."""
    made = crowd((Shape("a", 100, 100), Shape("b", 100, 100)))
    costs = CostFacts(
        latency_ns=404.0,
        interval_ns=200.0,
        energy_nj=100.0,
        area_mm2=1.0,
        excluded=(*DIGITAL, "mesh.hop_latency_ns", "mesh.hop_energy_nj"),
        missing={**MISSING, "area": ()},
        layers_ns={"a": 300.0, "b": 100.0},
        layers_nj={"a": 80.0, "b": 20.0},
        breakdown=BREAKDOWN,
    )
    return replace(made, mapping=replace(made.mapping, costs=replace(costs, **changes)))  # type: ignore[arg-type]


def test_rates_by_hand() -> None:
    """20,000 multiplications are 40,000 operations."""
    summary = summarise(program()).summary
    assert summary.tops == pytest.approx(0.2)
    assert summary.tops_per_w == pytest.approx(0.4)
    assert summary.tops_per_mm2 == pytest.approx(0.2)
    assert summary.area_mm2 == 1.0


def test_a_rate_misses_what_its_parts_miss() -> None:
    missing = summarise(program(missing={**MISSING, "area": ("costs.tile_area_mm2",)}, area_mm2=None)).summary.missing
    assert missing["tops"] == DIGITAL
    assert missing["tops_per_w"] == ("mesh.hop_energy_nj",)
    assert missing["tops_per_mm2"] == (*DIGITAL, "costs.tile_area_mm2")


def test_components_add_up() -> None:
    report = summarise(program())
    found = {line.component: (line.time_ns, line.energy_nj) for line in report.components}
    assert found == {"mvm": (400.0, 75.0), "adc": (0.0, 25.0), "digital": (None, None), "links": (4.0, None)}
    assert report.energy_components == ("mvm", "adc")
    assert report.energy_of("b", "adc") == 5.0
    assert report.energy_of("b", "digital") is None


def test_the_terminal_says_what_each_total_leaves_out() -> None:
    text = summarise(program()).text()
    for part in (
        "area         1 mm² of tiles",
        "rate         at most 200 GOPS, 400 GOPS/W, 200 GOPS/mm²",
        "not counted  latency   costs.digital_latency_ns",
        "energy    mesh.hop_energy_nj",
        "component     time   energy",
        "digital          –        –",
        "energy of layer      mvm      adc",
        "b                15.0 nJ  5.00 nJ",
    ):
        assert part in text, part


def test_only_bounds_are_called_bounds() -> None:
    text = summarise(program(missing=dict.fromkeys(MISSING, ()) | {"energy": ("mesh.hop_energy_nj",)})).text()
    assert "latency      404 ns\n" in text
    assert "energy       at least 100 nJ\n" in text
    assert "rate         200 GOPS, at most 400 GOPS/W, 200 GOPS/mm²\n" in text


def test_an_unknown_area_names_its_figure() -> None:
    text = summarise(program(area_mm2=None, missing={**MISSING, "area": ("costs.tile_area_mm2",)})).text()
    assert "area         not known: costs.tile_area_mm2" in text
    assert "at most 200 GOPS, 400 GOPS/W\n" in text


def test_the_json_has_what_the_summary_has() -> None:
    report = summarise(program())
    data = json.loads(report.json())
    for key in ("area_mm2", "tops", "tops_per_w", "tops_per_mm2"):
        assert data["summary"][key] == getattr(report.summary, key)
    assert data["summary"]["missing"] == {total: list(keys) for total, keys in report.summary.missing.items()}
    assert data["costs"][1] == {"layer": "a", "component": "adc", "time_ns": 0.0, "energy_nj": 20.0}
    assert data["components"][0] == {"component": "mvm", "time_ns": 400.0, "energy_nj": 75.0}


def test_the_page_has_what_the_summary_has() -> None:
    page = summarise(program()).html()
    for part in (
        "≤ 200 GOPS<",
        "≤ 400 GOPS/W<",
        "≤ 200 GOPS/mm²<",
        "1 mm² of tiles",
        "Not in energy: mesh.hop_energy_nj.",
        'class="k2" data-tip="adc&#10;25.0 nJ, 25.0 %"',
        "<td>not known</td>",
    ):
        assert part in page, part


def test_the_pieces_of_a_bar_fill_it() -> None:
    time, energy = charts.component_stacks(summarise(program()))
    assert [(piece.component, piece.share) for piece in energy.pieces] == [("mvm", 0.75), ("adc", 0.25)]
    assert sum(piece.share for piece in time.pieces) == pytest.approx(1.0)
    assert (time.total, energy.total) == ("404 ns", "100 nJ")


def old(report_of: Program) -> Report:
    """The report of a program whose costs hold only what older files have."""
    costs = report_of.mapping.costs
    keys = ("latency_ns", "interval_ns", "energy_nj", "excluded", "layers_ns", "layers_nj")
    read = TypeAdapter(CostFacts).validate_python({key: getattr(costs, key) for key in keys})
    return summarise(replace(report_of, mapping=replace(report_of.mapping, costs=read)))


def test_programs_without_a_breakdown_have_a_report() -> None:
    report = old(resnet9())
    everything = ("digital steps off the chip", "links between cores")
    assert report.summary.missing["latency"] == report.summary.missing["tops_per_w"] == everything
    assert report.components == ()
    assert report.summary.area_mm2 is None
    assert "not counted  digital steps off the chip, links between cores" in report.text()
    assert "component" not in report.text()
    assert json.loads(report.json())["costs"] == []
    assert "Not in latency, interval, energy: digital steps off the chip" in report.html()


def test_the_area_of_such_a_program_is_that_of_its_tiles() -> None:
    target = machine()
    known = replace(target, costs=replace(target.costs, tile_area_mm2=0.63))
    assert old(crowd((Shape("a", 300, 300),), known)).summary.area_mm2 == pytest.approx(4 * 0.63)


def timed(**changes: object) -> Report:
    """A program whose schedule says what limits it."""
    timing = Timing(
        mode="throughput",
        overlap="rows",
        latency_bound_ns=350.0,
        interval_bound_ns=150.0,
        latency_limit="2 steps that wait for each other, longest for a: 75 %",
        interval_limit="tile 0:0,0 with a",
        loads=(ResourceLoad(kind="tile", name="tile 0:0,0", busy_ns=150.0, layers=("a",)),),
    )
    made = program()
    return summarise(replace(made, mapping=replace(made.mapping, timing=replace(timing, **changes))))  # type: ignore[arg-type]


def test_a_schedule_says_how_short_it_could_be_and_what_limits_it() -> None:
    text = timed().text()
    for part in (
        "schedule     for the interval of inferences; layers overlap row by row\n",
        "latency   bound 350 ns: 2 steps that wait for each other, longest",
        "interval  bound 150 ns: tile 0:0,0 with a\n",
    ):
        assert part in text, part
    assert "schedule  " not in summarise(program()).text()
    page = timed().html()
    assert "No schedule of this mapping is shorter than 350 ns (2 steps" in page
    assert "none repeats after less than 150 ns (tile 0:0,0 with a)" in page
    assert "No schedule of this mapping" not in summarise(program()).html()
    assert json.loads(timed().json())["timing"] == {
        "mode": "throughput",
        "overlap": "rows",
        "latency_bound_ns": 350.0,
        "interval_bound_ns": 150.0,
        "latency_limit": "2 steps that wait for each other, longest for a: 75 %",
        "interval_limit": "tile 0:0,0 with a",
        "loads": [{"kind": "tile", "name": "tile 0:0,0", "busy_ns": 150.0, "layers": ["a"]}],
    }


def test_a_limit_that_names_a_hostile_layer_stays_text() -> None:
    report = timed(interval_limit="tile 0:0,0 with </p><script>alert(1)</script>\x1b[2J")
    assert "<script>alert" not in report.html()
    assert "\x1b" not in report.text() and "\\x1b[2J" in report.text()

"""The arithmetic of reports."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import pytest

from mho.report.summary import held, summarise
from mho.targets.errors import DataError
from mho.targets.isa import Load
from mho.targets.mapping import CostFacts, SolverFacts
from mho.targets.program import Decision, MatrixFacts, Program
from tests.compiler.report.crowd import MVM_NS, Shape, crowd, machine, mobile, resnet9
from tests.compiler.report.outcomes import OUTCOME


def with_solvers(program: Program, *solvers: SolverFacts) -> Program:
    return replace(program, mapping=replace(program.mapping, solvers=solvers))


def test_resnet9_has_the_published_size() -> None:
    summary = summarise(resnet9()).summary
    assert summary.weights == 1_866_536
    assert summary.tiles == 40
    assert summary.chips == 1
    assert summary.utilisation == 1_866_536 / (40 * 256 * 256)
    first = 1024 * (27 * 56 + 504 * 112)
    middle = 256 * (2 * 1008 * 112 + 1008 * 224)
    assert summary.macs == first + middle + 64 * 3 * 2016 * 224 + 224 * 10


def test_a_layer_counts_the_blocks_of_all_its_copies() -> None:
    report = summarise(crowd((Shape("fc", 300, 100, fires=8, replicas=3),)))
    (layer,) = report.layers
    assert (layer.blocks, layer.tiles, layer.replicas) == (6, 6, 3)
    assert layer.weights == 30_000, "copies hold the same weights"
    assert layer.macs == 8 * 30_000, "copies share the positions"
    assert layer.busy_ns is not None and isclose(layer.busy_ns, 8 / 3 * MVM_NS)
    assert report.summary.utilisation == 3 * 30_000 / (6 * 65_536)


def test_packed_layers_share_tiles() -> None:
    report = summarise(crowd((Shape("a", 100, 100), Shape("b", 100, 100)), pack=True))
    (tile,) = report.tiles
    assert [(b.layer, b.row_offset, b.column_offset) for b in tile.blocks] == [("a", 0, 0), ("b", 0, 100)]
    assert [layer.tiles for layer in report.layers] == [1, 1]
    assert tile.utilisation == report.summary.utilisation == 20_000 / 65_536


@pytest.mark.parametrize(
    ("rows", "columns", "cells"),
    [((0, 36), (0, 4), 36), ((0, 9), (0, 4), 9), ((5, 20), (0, 4), 15), ((0, 9), (1, 4), 0), ((0, 36), (1, 3), 18)],
)
def test_zeros_between_groups_hold_no_weight(rows: tuple[int, int], columns: tuple[int, int], cells: int) -> None:
    matrix = MatrixFacts(name="m", rows=36, columns=4, groups=4, origins=())
    load = Load(block=0, matrix="m", replica=0, rows=rows, columns=columns, scale_rows=rows)
    assert held(load, matrix) == cells


def test_the_blocks_of_a_depthwise_layer_hold_all_its_weights() -> None:
    report = summarise(mobile())
    for layer in report.layers:
        blocks = [b for tile in report.tiles for b in tile.blocks if b.layer == layer.name]
        assert sum(b.weights for b in blocks) == layer.weights
        assert len(blocks) == layer.blocks


def test_layers_that_share_a_matrix_look_alike_and_count_its_weights_once() -> None:
    program = crowd((Shape("first", 10, 10), Shape("other", 20, 20)))
    again = replace(program.layers[0], name="again", fires=5.0)
    report = summarise(replace(program, layers=(*program.layers, again)))
    assert [layer.colour for layer in report.layers] == [0, 1, 0]
    assert report.summary.weights == 500
    assert report.summary.macs == 100 + 400 + 5 * 100
    assert {b.layer for tile in report.tiles for b in tile.blocks} == {"first", "other"}


def test_the_summary_names_the_search_that_proved_least() -> None:
    proved = SolverFacts(search="packing", status="OPTIMAL", objective=4.0, bound=4.0)
    near = SolverFacts(search="partition", status="FEASIBLE", objective=100.0, bound=99.0)
    far = SolverFacts(search="placement", status="FEASIBLE", objective=100.0, bound=50.0)
    unknown = SolverFacts(search="placement", status="FEASIBLE", objective=100.0, bound=None)
    program = crowd((Shape("fc", 10, 10),))
    assert summarise(with_solvers(program, proved, near, far)).summary.solver == far
    assert summarise(with_solvers(program, near, unknown, far)).summary.solver == unknown
    assert summarise(with_solvers(program, proved)).summary.solver == proved
    assert summarise(with_solvers(program)).summary.solver is None


def test_reasons_gather_nodes_with_the_digital_ones_first() -> None:
    decisions = (
        Decision(node="a", operator="Conv", unit="analog", reason="weights"),
        Decision(node="p", operator="MaxPool", unit="digital", reason="no weights"),
        Decision(node="q", operator="Add", unit="digital", reason="no weights"),
        Decision(node="r", operator="MaxPool", unit="digital", reason="no weights"),
    )
    report = summarise(replace(crowd((Shape("a", 4, 4),)), decisions=decisions))
    assert report.layers_of == {"a": ("a",)}
    assert [(g.unit, len(g.decisions)) for g in report.reasons] == [("digital", 3), ("analog", 1)]
    assert report.reasons[0].operators == (("MaxPool", 2), ("Add", 1))


def test_a_step_in_the_schedule_knows_its_layer() -> None:
    lines = summarise(crowd((Shape("fc", 4, 4),))).schedule
    assert [(line.step, line.layer) for line in lines] == [("fc", "fc"), ("softmax", None)]


def test_a_program_without_layers_is_a_report_too() -> None:
    program = crowd((Shape("fc", 4, 4),))
    empty = replace(
        program,
        matrices=(),
        layers=(),
        cores=(),
        sequence=program.sequence[1:],
        mapping=replace(program.mapping, chips=0, tiles_lower_bound=0, schedule=(), links=(), solvers=()),
    )
    report = summarise(empty)
    assert report.summary.utilisation == 0.0
    assert report.summary.tiles == 0
    assert "not known" not in report.text()
    assert "<main>" in report.html()


def test_a_machine_without_limits_or_costs() -> None:
    program = crowd((Shape("fc", 600, 600),), machine(tiles=None))
    unknown = CostFacts(
        latency_ns=None, interval_ns=None, energy_nj=None, excluded=("everything",), layers_ns={}, layers_nj={}
    )
    report = summarise(replace(program, mapping=replace(program.mapping, costs=unknown, schedule=())))
    assert report.layers[0].busy_ns is None
    assert "latency      not known" in report.text()
    assert "not known" in report.html()


def test_a_search_that_meets_its_bound_is_optimal() -> None:
    met = SolverFacts(search="place", status="FEASIBLE", objective=403.0, bound=402.9999999)
    apart = SolverFacts(search="place", status="FEASIBLE", objective=403.0, bound=402.0)
    report = summarise(with_solvers(resnet9(), met, apart))
    assert [solver.status for solver in report.solvers] == ["OPTIMAL", "FEASIBLE"]
    assert report.summary.solver == apart


def test_an_outcome_of_another_program_is_refused() -> None:
    with pytest.raises(DataError, match=r"no layers conv1, conv2, .*another program"):
        summarise(crowd((Shape("other", 9, 9),)), OUTCOME)

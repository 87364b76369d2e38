"""The figures of one layer, against what is counted by hand."""

from __future__ import annotations

import pytest

import mho
from mho.examples.builder import Builder
from mho.passes.levels.matrix import Matrix, Recipe
from mho.passes.pack.pack import Mode, Pack
from mho.passes.unfold.figures import Beside, measure
from mho.passes.unfold.unfold import ChooseUnfolding, Form
from mho.report import summarise
from mho.targets.target import Costs
from mho.targets.unfolding import Dense, Places, ShiftedWindows, Unfolding, Window
from tests.passes.unfold.networks import bench, machine

COSTS = Costs(mvm_latency_ns=100, mvm_energy_nj=5, digital_latency_ns=10, digital_energy_nj=1)


def matrix(rows: int, columns: int, groups: int = 1, zeros: int = 0) -> Matrix:
    return Matrix("m", Recipe("m"), rows, columns, groups, zeros=zeros)


def test_row_blocks_add_partial_sums() -> None:
    found = measure(matrix(40, 20), Dense(), 7, bench(machine(16, 16, COSTS), "none"))
    assert (found.tiles, found.mvms, found.words) == (6, 6 * 7, 2 * 40 * 7)
    assert (found.work.converted, found.work.added) == (6, 4)
    assert found.time_ns == pytest.approx(7 * 100 + 10 + 2 * 10)
    assert found.energy_nj == pytest.approx(7 * (6 * 5 + 10 * 1))
    assert found.utilisation == pytest.approx(800 / (6 * 256))


@pytest.mark.parametrize(("packing", "tiles", "turns"), [("none", 4, 1), ("pipelined", 4, 1), ("sequential", 1, 4)])
def test_blocks_of_one_matrix_share_tiles(packing: Mode, tiles: int, turns: int) -> None:
    # Four groups of 5 × 20: as wide as an array each.
    found = measure(matrix(20, 80, 4), Dense(), 3, bench(machine(20, 20), packing))
    assert (found.tiles, found.busiest.mvms) == (tiles, turns)
    assert found.turns == 3 * turns


def test_positions_that_overlap_are_added_once_more() -> None:
    window = Window(kernel=(3,), strides=(1,), dilations=(1,), spread=(1,), pads=((1, 1),))
    tiles = bench(machine(16, 64), "pipelined")
    apart, together = measure(matrix(8, 24), Places(window=window), 5, tiles), measure(matrix(24, 8), window, 5, tiles)
    assert (apart.work.added, together.work.added) == (1, 1)
    assert (apart.tiles, together.tiles) == (1, 2)
    assert (apart.words, together.words) == (8 * 5, 24 * 5)


def test_a_digital_unit_takes_a_pass_a_weight_of_the_kernel() -> None:
    beside = Beside.of(matrix(9 * 40, 40, 40), 7, machine(16, 16, COSTS))
    assert beside.passes == 9 * 3
    assert (beside.time_ns, beside.energy_nj) == (7 * 27 * 10, 7 * 27 * 1)
    assert "whose time is not published" in str(Beside.of(matrix(9, 1), 1, machine(16, 16)))


@pytest.mark.parametrize("form", ["im2col", "windows", "places"])
@pytest.mark.parametrize("packing", ["none", "sequential"])
def test_figures_are_those_of_the_program(form: Form, packing: Mode) -> None:
    """Of a network of one layer: tiles, fires, MVMs, the time of its slowest tile and its energy."""
    net = Builder("net")
    x = net.input("x", ["N", 24, 6, 6])
    net.output(net.op("Conv", "conv", x, net.weight("w", 5, 24, 3, 3, fan_in=216), pads=[1] * 4), ["N", 5, 6, 6])
    target = machine(64, 48, COSTS)
    options = mho.Pipeline(unfold=ChooseUnfolding(unfold=form, most_tiles=2), pack=Pack(mode=packing))
    report = summarise(mho.compile(net.model, target, pipeline=options).program)
    (layer,) = report.layers
    matrices = {"im2col": (216, 5), "windows": (layer.rows, layer.columns), "places": (24, 45)}
    assert (layer.rows, layer.columns) == matrices[form]
    window = Window(kernel=(3, 3), strides=(1, 1), dilations=(1, 1), spread=(1, 1), pads=((1, 1), (1, 1)))
    copies = tuple(map(int, layer.unfolding.split()[1::2])) if form == "windows" else (1, 1)
    shapes: dict[str, Unfolding] = {
        "im2col": window,
        "windows": ShiftedWindows(window=window, copies=copies),
        "places": Places(window=window),
    }
    found = measure(matrix(layer.rows, layer.columns), shapes[form], round(layer.fires), bench(target, packing))
    assert (found.tiles, found.mvms) == (layer.tiles, layer.fires * layer.blocks)
    assert found.time_ns == pytest.approx(layer.busy_ns)
    assert found.energy_nj == pytest.approx(layer.energy_nj)

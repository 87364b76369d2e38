"""Costs: every part by hand, parts that add up, and figures that are missing."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.passes.emit.kernels import emit_cores
from mho.passes.levels.network import Network
from mho.passes.levels.plan import Plan, Ranged, Routing
from mho.passes.levels.tiling import Seat, Tiling
from mho.passes.schedule.machine import Machine
from mho.passes.schedule.schedule import Schedule
from mho.targets.cost import Work, kernel_work
from mho.targets.mapping import CostFacts, CostLine
from mho.targets.steps import Direction, Gate, Recurrent
from mho.targets.target import Costs, DigitalUnit, Mesh, Target
from tests.passes.placings import chain, dense, digital, machine, network, plan, routing, tiling

COSTS = Costs(
    mvm_latency_ns=100.0,
    mvm_energy_nj=2.0,
    dac_energy_nj=0.01,
    adc_energy_nj=0.1,
    digital_latency_ns=10.0,
    digital_energy_nj=0.5,
    tile_area_mm2=0.25,
)
MESH = Mesh(
    tiles=2, width=2, height=1, hop_latency_ns=3.0, hop_energy_nj=0.001, chip_latency_ns=50.0, chip_energy_nj=0.02
)
FULL = machine(MESH, COSTS)


ROOMY = machine(Mesh(tiles=16), COSTS)


def lines(costs: CostFacts, layer: str) -> dict[str, object]:
    return {line.component: (line.time_ns, line.energy_nj) for line in costs.breakdown if line.layer == layer}


def test_a_layer_of_one_block_by_hand() -> None:
    costs = plan(tiling(chain((3, 2)), FULL, {"l0": 5.0})).costs
    assert lines(costs, "l0") == {
        "mvm": (500.0, 10.0),
        "dac": (0.0, pytest.approx(5 * 3 * 0.01)),
        "adc": (0.0, pytest.approx(5 * 2 * 0.1)),
        "digital": (10.0, 2.5),
    }
    assert costs.latency_ns == costs.interval_ns == costs.layers_ns["l0"] == 510.0
    assert costs.energy_nj == pytest.approx(13.65)
    assert costs.area_mm2 == 0.25
    assert costs.excluded == ()


def test_partial_sums_travel_and_pass_the_digital_unit_twice() -> None:
    """Rows 0 to 4 and 4 to 6 lie in two tiles; the second sends two words at each of three positions."""
    costs = plan(tiling(chain((6, 2)), FULL, {"l0": 3.0})).costs
    assert lines(costs, "l0") == {
        "mvm": (300.0, 12.0),
        "dac": (0.0, pytest.approx(3 * 6 * 0.01)),
        "adc": (0.0, pytest.approx(3 * 2 * 2 * 0.1)),
        "digital": (20.0, pytest.approx(3 * (2 + 1) * 0.5)),
        "links": (3.0, pytest.approx(3 * 2 * 1 * 0.001)),
    }
    assert costs.latency_ns == 300 + 20 + 3


def test_charge_is_converted_once() -> None:
    costs = plan(tiling(chain((6, 2)), FULL, {"l0": 3.0}, analog=True)).costs
    assert lines(costs, "l0")["adc"] == (0.0, pytest.approx(3 * 2 * 0.1))
    assert lines(costs, "l0")["digital"] == (10.0, pytest.approx(3 * 0.5))


def test_the_energy_of_other_devices_a_weight_is_not_that_of_the_machine() -> None:
    tiled = replace(tiling(chain((4, 4), (4, 4)), ROOMY, {"l0": 3.0}), devices={"l0": 1})
    costs = plan(tiled).costs
    assert lines(costs, "l0")["mvm"] == (300.0, None)
    assert costs.layers_nj.keys() == {"l1"}
    assert costs.energy_nj is not None
    assert isclose(costs.energy_nj, summed(list(costs.breakdown), "energy_nj"))
    assert costs.missing["energy"] == ("mesh.hop_energy_nj", "costs.mvm_energy_nj of other devices a weight")
    alone = plan(replace(tiled, devices={"l0": 1, "l1": 1})).costs
    assert alone.energy_nj is None and alone.latency_ns is not None


def test_words_from_chip_to_chip() -> None:
    alone = machine(replace(MESH, tiles=1, width=1), COSTS)
    costs = plan(tiling(chain((4, 4), (4, 4)), alone, {"l0": 2.0, "l1": 2.0})).costs
    assert lines(costs, "l1")["chip links"] == (50.0, pytest.approx(2 * 4 * 0.02))
    assert "links" not in lines(costs, "l1")
    assert costs.area_mm2 == 0.5


def test_a_total_misses_only_what_the_network_uses() -> None:
    bare = machine(Mesh(tiles=2, width=2, height=1), Costs(mvm_latency_ns=100.0, mvm_energy_nj=2.0))
    alone = plan(tiling(chain((4, 4)), bare)).costs
    assert alone.missing == {
        "latency": ("costs.digital_latency_ns",),
        "interval": ("costs.digital_latency_ns",),
        "energy": ("costs.digital_energy_nj",),
        "area": ("costs.tile_area_mm2",),
    }
    assert alone.area_mm2 is None
    near = plan(tiling(chain((4, 4), (4, 4)), bare)).costs
    assert near.missing["latency"] == ("costs.digital_latency_ns", "mesh.hop_latency_ns")
    assert near.missing["interval"] == ("costs.digital_latency_ns",)
    assert near.missing["energy"] == ("costs.digital_energy_nj", "mesh.hop_energy_nj")
    far = plan(tiling(chain((4, 4), (4, 4)), machine(Mesh(tiles=1), bare.costs))).costs
    assert far.missing["latency"] == ("costs.digital_latency_ns", "mesh.chip_latency_ns")
    assert far.missing["energy"] == ("costs.digital_energy_nj", "mesh.chip_energy_nj")


def test_digital_steps_are_missing_by_where_they_run() -> None:
    steps = (
        dense("a", "x"),
        digital("norm", ("Softmax",), "a.y"),
        dense("b", "norm.y"),
        digital("pool", ("MaxPool",), "b.y"),
    )
    net = network(steps, {"a": (4, 4), "b": (4, 4)})
    shared = replace(FULL, units={"helper": DigitalUnit(count=2, operators=("Softmax", "LSTM"))})
    missing = plan(tiling(net, shared)).costs.missing
    both = ("digital steps on helper", "digital steps beside the chip")
    assert missing == {"latency": both, "interval": both, "energy": both, "area": ()}
    assert plan(tiling(net, FULL)).costs.missing["energy"] == ("digital steps beside the chip",)


def recurrent() -> Network:
    gates = (Gate(name="wx", matrix="wx", operand="x"), Gate(name="wh", matrix="wh", operand="h"))
    directions = (Direction(reverse=False, gates=gates, activations=()),)
    step = Recurrent(name="rnn", cell="LSTM", hidden=4, layout=0, directions=directions, input="x", output="s")
    return network((step,), dict.fromkeys(("wx", "wh"), (4, 4)))


def test_the_cell_of_a_recurrent_step_is_a_digital_step() -> None:
    tiled = tiling(recurrent(), FULL, {"wx": 10.0, "wh": 10.0})
    assert plan(tiled).costs.missing["latency"] == ("digital steps beside the chip",)
    shared = replace(FULL, units={"cells": DigitalUnit(operators=("LSTM",))})
    assert plan(replace(tiled, target=shared)).costs.missing["latency"] == ("digital steps on cells",)


def test_a_network_without_layers_costs_what_its_digital_steps_cost() -> None:
    costs = plan(tiling(network((digital("add", ("Add",), "x", "x"),), {}), machine())).costs
    assert (costs.latency_ns, costs.interval_ns, costs.energy_nj, costs.area_mm2) == (0.0, 0.0, 0.0, 0.0)
    assert costs.excluded == ("digital steps beside the chip",)


def test_kernels_do_the_work_that_is_charged() -> None:
    """The counts from the tiling are those of the emitted instructions, with and without charge, packed or not."""
    for analog in (False, True):
        tiled = tiling(chain((10, 6), (6, 4)), ROOMY, {"l0": 6.0, "l1": 2.0}, {"l0": 2}, analog=analog)
        for seated in (tiled, replace(tiled, tiles=pairs(tiled))):
            found = routing(seated)
            ranges = {(f"l{n}", b.number): 1.0 for n in (0, 1) for b in seated.blocks if b.matrix == f"l{n}"}
            partition = replace(found.placement.partition, ranged=Ranged(seated, ranges))
            made = Schedule().run(replace(found, placement=replace(found.placement, partition=partition)))
            assert charged(made) == emitted(made)


def pairs(tiled: Tiling) -> tuple[tuple[Seat, ...], ...]:
    """Two neighbouring blocks a tile; blocks that would overlap are none of this test's business."""
    numbers = [b.number for b in tiled.blocks]
    return tuple(tuple(Seat(n) for n in numbers[i : i + 2]) for i in range(0, len(numbers), 2))


def charged(made: Plan) -> dict[str, Work]:
    placed = Machine(made.routing)
    return {name: replace(placed.inference_work(name), hop_words=0, chip_words=0) for name in placed.traffic.layers}


def emitted(made: Plan) -> dict[str, Work]:
    placed = Machine(made.routing)
    total = dict.fromkeys(placed.traffic.layers, Work())
    for core in emit_cores(made):
        for kernel in core.kernels:
            total[kernel.layer] += kernel_work(kernel).times(placed.traffic.fires(kernel.layer))
    return total


figures = st.floats(0.001, 1000)


@st.composite
def machines(draw: st.DrawFn) -> Target:
    """All figures known, a chip of one, two or many tiles."""
    tiles = draw(st.sampled_from((1, 2, 16)))
    costs = Costs(**{key: draw(figures) for key in COST_KEYS})
    hop_ns, hop_nj, chip_ns, chip_nj = (draw(figures) for _ in MESH_KEYS)
    mesh = Mesh(
        tiles=tiles, hop_latency_ns=hop_ns, hop_energy_nj=hop_nj, chip_latency_ns=chip_ns, chip_energy_nj=chip_nj
    )
    return machine(mesh, costs)


COST_KEYS = (
    "mvm_latency_ns",
    "mvm_energy_nj",
    "dac_energy_nj",
    "adc_energy_nj",
    "digital_latency_ns",
    "digital_energy_nj",
    "tile_area_mm2",
)
MESH_KEYS = ("hop_latency_ns", "hop_energy_nj", "chip_latency_ns", "chip_energy_nj")
KEYS = (*(f"costs.{key}" for key in COST_KEYS), *(f"mesh.{key}" for key in MESH_KEYS))

NETWORKS = (
    chain((3, 2)),
    chain((6, 2), (4, 4)),
    chain((9, 7), (7, 5), (5, 3)),
    network((dense("a", "x"), digital("add", ("Add",), "a.y", "a.y"), dense("b", "add.y")), {"a": (4, 4), "b": (4, 6)}),
    recurrent(),
)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    net = draw(st.sampled_from(NETWORKS))
    names = list(net.matrices)
    fires = {name: draw(st.sampled_from((0.5, 1.0, 3.0, 7.0))) for name in names}
    copies = {name: draw(st.integers(1, 2)) for name in names}
    target = draw(machines())
    charge = target.mesh.tiles == 16 and draw(st.booleans())
    return tiling(net, target, fires, copies, analog=charge)


def changed(tiled: Tiling, key: str, factor: float | None) -> Tiling:
    section, name = key.split(".")
    owner = getattr(tiled.target, section)
    value = None if factor is None else getattr(owner, name) * factor
    return replace(tiled, target=replace(tiled.target, **{section: replace(owner, **{name: value})}))


def totals(costs: CostFacts) -> dict[str, float | None]:
    return {
        "latency": costs.latency_ns,
        "interval": costs.interval_ns,
        "energy": costs.energy_nj,
        "area": costs.area_mm2,
    }


def summed(found: list[CostLine], field: str) -> float:
    return sum(getattr(line, field) or 0.0 for line in found)


@settings(max_examples=25, deadline=None)
@given(tilings())
def test_parts_add_up_to_the_totals(tiled: Tiling) -> None:
    costs = plan(tiled).costs
    assert costs.energy_nj is not None
    assert isclose(summed(list(costs.breakdown), "energy_nj"), costs.energy_nj)
    assert isclose(sum(costs.layers_nj.values()), costs.energy_nj)
    for layer in costs.layers_ns:
        own = [line for line in costs.breakdown if line.layer == layer]
        tile = [line for line in own if line.component not in ("links", "chip links")]
        assert isclose(summed(own, "energy_nj"), costs.layers_nj[layer])
        assert isclose(summed(tile, "time_ns"), costs.layers_ns[layer])


@settings(max_examples=25, deadline=None)
@given(tilings(), st.sampled_from(KEYS))
def test_no_total_falls_where_a_figure_grows(tiled: Tiling, key: str) -> None:
    found = routing(tiled)
    before, after = (totals(costs_at(found, tiled, key, factor)) for factor in (1.0, 1.5))
    for name, value in before.items():
        grown = after[name]
        assert value is not None and grown is not None and grown >= value * (1 - 1e-12), name


@settings(max_examples=40, deadline=None)
@given(tilings(), st.sampled_from(KEYS))
def test_an_unknown_figure_is_missing_in_the_totals_that_use_it(tiled: Tiling, key: str) -> None:
    found = routing(tiled)
    known, grown, without = (costs_at(found, tiled, key, factor) for factor in (1.0, 2.0, None))
    assert not any(key in keys for keys in known.missing.values())
    for name, value in totals(known).items():
        listed = key in without.missing[name]
        if key.endswith(("dac_energy_nj", "adc_energy_nj")):
            assert not listed
        elif totals(grown)[name] != value:
            assert listed, f"{name} depends on {key}"
        if not listed:
            kept = totals(without)[name]
            assert kept == value or key.endswith(("dac_energy_nj", "adc_energy_nj")), name
    assert (key in without.excluded) == any(key in keys for keys in without.missing.values())


def costs_at(found: Routing, tiled: Tiling, key: str, factor: float | None) -> CostFacts:
    """The costs on the same places where one figure is another."""
    partition = found.placement.partition
    ranged = replace(partition.ranged, tiling=changed(tiled, key, factor))
    placement = replace(found.placement, partition=replace(partition, ranged=ranged))
    return Schedule().run(replace(found, placement=placement)).costs

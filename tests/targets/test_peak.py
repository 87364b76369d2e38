from __future__ import annotations

from dataclasses import replace

import pytest

from mho.targets.catalog import load_target
from mho.targets.peak import peak
from mho.targets.target import Costs, Crossbar, Mesh, Target


def values(target: Target) -> dict[str, float | None]:
    return {quantity.name: quantity.value for quantity in peak(target)}


BENCH = Target(
    name="bench",
    title="bench",
    crossbar=Crossbar(rows=100, columns=50, devices_per_weight=4, weight_scale="tile"),
    mesh=Mesh(tiles=8),
    costs=Costs(mvm_latency_ns=100, mvm_energy_nj=5, tile_area_mm2=0.5, chip_area_mm2=10),
)


def test_every_figure_by_hand() -> None:
    assert values(BENCH) == {
        "weights a tile": 5_000,
        "devices a tile": 20_000,
        "weights a chip": 40_000,
        "devices a chip": 160_000,
        "peak rate of a tile": 0.1,
        "peak rate of a chip": 0.8,
        "efficiency of a tile": 2.0,
        "an MVM of all tiles": 0.04,
        "density over the tiles": 0.2,
        "density over the die": 0.08,
    }
    assert all(quantity.missing == () for quantity in peak(BENCH))


def test_converters_that_stand_apart_add_to_an_mvm() -> None:
    apart = replace(BENCH, costs=replace(BENCH.costs, dac_energy_nj=0.02, adc_energy_nj=0.06))
    assert values(apart)["an MVM of all tiles"] == pytest.approx((5 + 100 * 0.02 + 50 * 0.06) * 8 / 1000)
    assert values(apart)["efficiency of a tile"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "quantity", "published", "tolerance"),
    [
        ("hermes64:one-phase", "peak rate of a chip", 63.1, 0.01),
        ("hermes64", "peak rate of a chip", 16.1, 0.01),
        ("hermes64:one-phase", "efficiency of a tile", 9.76, 0.01),
        ("hermes64", "efficiency of a tile", 2.48, 0.01),
        ("hermes64:one-phase", "an MVM of all tiles", 0.86, 0.01),
        ("hermes64", "an MVM of all tiles", 3.38, 0.01),
        ("hermes64:one-phase", "density over the tiles", 1.55, 0.01),
        ("hermes64", "density over the tiles", 0.4, 0.01),
        ("analog34", "efficiency of a tile", 12.4, 0.01),
        ("analog34", "devices a chip", 35_651_584, 0),
        ("analog34:two-device", "devices a chip", 35_651_584, 0),
        ("mesh2d", "efficiency of a tile", 100, 0.01),
        ("mesh2d", "density over the tiles", 10.9, 0.01),
    ],
)
def test_published_figures_follow(name: str, quantity: str, published: float, tolerance: float) -> None:
    assert values(load_target(name))[quantity] == pytest.approx(published, rel=tolerance)


def test_what_is_unknown_names_what_it_lacks() -> None:
    lacking = {quantity.name: quantity.missing for quantity in peak(load_target("training3t1c"))}
    cells = ("crossbar.rows", "crossbar.columns")
    assert lacking["weights a tile"] == cells
    assert lacking["peak rate of a chip"] == (*cells, "costs.mvm_latency_ns", "mesh.tiles")
    assert lacking["efficiency of a tile"] == (*cells, "costs.mvm_energy_nj")
    assert all(quantity.value is None for quantity in peak(load_target("training3t1c")))


def test_a_free_mvm_has_no_efficiency() -> None:
    free = replace(BENCH, costs=replace(BENCH.costs, mvm_energy_nj=0))
    assert values(free)["efficiency of a tile"] is None
    assert values(free)["an MVM of all tiles"] == 0

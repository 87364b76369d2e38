"""The shipped machines hold the published numbers, each with its source; a user's file works the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from mho.targets.catalog import load_target, target_names, variant_names
from mho.targets.describe import describe, facts
from mho.targets.schema import keys
from mho.targets.target import UNLIMITED, Source

DOCS = Path(__file__).parents[2] / "docs" / "targets.md"

EVERY = [
    "ideal256",
    "hermes64",
    "hermes64:one-phase",
    "hermes64:one-device",
    "hermes64:one-phase+one-device",
    "analog34",
    "analog34:two-device",
    "analog34:balanced",
    "mesh2d",
    "mesh2d:1024",
    "training3t1c",
]

MINIMAL = """
title = "bench"
[crossbar]
rows = 8
columns = 4
devices_per_weight = 2
weight_scale = "tile"
"""


def test_names() -> None:
    assert target_names() == ("analog34", "hermes64", "ideal256", "mesh2d", "training3t1c")
    assert variant_names("hermes64") == ("one-phase", "one-device")
    assert variant_names("analog34") == ("two-device", "balanced")
    assert {name for name in EVERY if ":" not in name} == set(target_names())


@pytest.mark.parametrize("name", EVERY)
def test_every_number_has_a_source(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    for fact in facts(target):
        assert len(fact.source.text) > 10 or not fact.given, fact
    assert all(source.certainty for source in target.sources.values())


def test_hermes64_numbers() -> None:
    four, one = load_target("hermes64"), load_target("hermes64:one-phase")
    assert (four.crossbar.rows, four.crossbar.columns, four.mesh.tiles) == (256, 256, 64)
    assert (four.mesh.width, four.mesh.height, four.crossbar.weight_scale) == (8, 8, "tile")
    assert (four.costs.mvm_latency_ns, four.costs.mvm_energy_nj) == (520, 52.8)
    assert (one.costs.mvm_latency_ns, one.costs.mvm_energy_nj) == (133, 13.4)
    assert one.costs.tile_area_mm2 == four.costs.tile_area_mm2 == 0.63
    assert four.device.model == one.device.model == "hermes-two-device"
    assert four.noise.output == 0.04


def test_variants_combine() -> None:
    both = load_target("hermes64:one-phase+one-device")
    assert both.costs.mvm_latency_ns == 133
    assert both.device.model == "hermes-one-device"
    assert "one device a polarity" in both.sources["crossbar.devices_per_weight"].text
    assert both.costs == load_target("hermes64:one-device+one-phase").costs


def test_analog34_counts_its_devices() -> None:
    for name in ("analog34", "analog34:two-device", "analog34:balanced"):
        target = load_target(name)
        crossbar, tiles = target.crossbar, target.mesh.tiles
        assert tiles is not None and crossbar.devices_per_weight is not None
        assert crossbar.rows * crossbar.columns * crossbar.devices_per_weight * tiles == 35_651_584
        assert crossbar.analog_rows == 2048
    assert load_target("analog34").costs.mvm_energy_nj == pytest.approx(2 * 512 * 512 / 12.4e3, rel=1e-3)
    assert load_target("analog34:two-device").costs.mvm_energy_nj is None


def test_ideal256_is_exact() -> None:
    target = load_target("ideal256")
    assert target.dac.bits is None and target.adc.bits is None and target.noise.output == 0
    assert (target.device.model, target.device.compensation, target.crossbar.weight_scale) == (
        "ideal",
        "none",
        "column",
    )
    assert target.mesh.tiles is None


def test_mesh2d_has_the_published_tiles() -> None:
    for name, side in (("mesh2d", 512), ("mesh2d:1024", 1024)):
        target = load_target(name)
        assert (target.crossbar.rows, target.crossbar.columns) == (side, side)
        assert target.costs.mvm_latency_ns == 40 and target.costs.mvm_energy_nj and target.costs.tile_area_mm2
        operations = 2 * side * side
        assert operations / target.costs.mvm_energy_nj / 1e3 == pytest.approx(100)
        assert operations / 40 / 1e3 / target.costs.tile_area_mm2 == pytest.approx(10.9, rel=1e-3)
        assert target.unit_of("Softmax") == "light"


def test_training3t1c_states_its_projections_and_no_size() -> None:
    target = load_target("training3t1c")
    assert (target.crossbar.rows, target.crossbar.columns) == (UNLIMITED, UNLIMITED)
    assert (target.stated.efficiency_tops_w, target.stated.density_tops_mm2) == (28.065, 3.6)
    assert "every matrix has an array of its own" in next(f.value for f in facts(target) if f.key == "rows")
    assert "what follows" not in describe(target)


def test_hermes64_shares_units_for_lstm_cells() -> None:
    target = load_target("hermes64")
    assert (target.unit_of("LSTM"), target.unit_of("Softmax")) == ("gdpu", None)
    assert target.units["gdpu"].count == 8


def test_a_source_names_its_certainty(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(MINIMAL + '[sources]\ncrossbar.rows = "digest: a paper: rows"\ncrossbar.columns = "us: we"\n')
    sources = load_target(path).sources
    assert sources["crossbar.rows"] == Source(text="a paper: rows", certainty="digest")
    assert sources["crossbar.columns"] == Source(text="us: we")


def test_a_path_works_like_a_name(tmp_path: Path) -> None:
    path = tmp_path / "bench:2.toml"
    path.write_text(MINIMAL + '[variants.wide.crossbar]\ncolumns = 16\n[sources]\n"crossbar.rows" = "us"\n')
    assert load_target(path).name == "bench:2"
    assert load_target(path).sources == {"crossbar.rows": Source(text="us")}
    wide = load_target(f"{path}:wide")
    assert (wide.name, wide.crossbar.columns, wide.crossbar.rows) == ("bench:2:wide", 16, 8)
    assert variant_names(path) == ("wide",)


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    path = tmp_path / "bench.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    assert load_target(path).costs.mvm_latency_ns == 200
    both = load_target(f"{path}:fast+exact")
    assert (both.costs.mvm_latency_ns, both.adc.bits, both.adc.range) == (100, None, "observed")
    assert both.sources["costs.mvm_latency_ns"].text == "measured with the short window"


def test_the_docs_name_every_key() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [key for key in keys() if f"`{key}`" not in text] == []


@pytest.mark.parametrize("name", EVERY)
def test_description_tells_every_value(name: str) -> None:
    target = load_target(name)
    told = {f"{fact.section}.{fact.key}": fact for fact in facts(target)}
    assert {key for key in told if not key.startswith("units.")} == set(keys()) - {"title"}
    text = describe(target)
    assert all(source.text in text for source in target.sources.values())
    assert told["costs.digital_energy_nj"].value == "not published"


def test_description_has_units_and_rates() -> None:
    text = describe(load_target("hermes64"))
    assert "520 ns" in text and "52.8 nJ" in text and "0.63 mm²" in text
    assert "16.13 TOPS" in text and "4,194,304" in text and "2.482 TOPS/W" in text
    assert "63.07 TOPS" in describe(load_target("hermes64:one-phase"))

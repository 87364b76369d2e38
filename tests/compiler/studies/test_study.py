"""A study's file becomes points: all combinations, zipped axes, and one build for those that compile alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from mho.studies.axes import read_axis
from mho.studies.study import read_study
from mho.targets.errors import OptionError, TargetError
from tests.compiler.studies.studies import HEAD, lay_out


def test_points_are_all_combinations_with_the_last_axis_fastest(tmp_path: Path) -> None:
    points = read_study(lay_out(tmp_path)).points()
    settings = [tuple(point.settings.values()) for point in points]
    assert settings == [(0.0, 0), (0.0, 1), (86_400.0, 0), (86_400.0, 1)]
    assert [point.number for point in points] == [1, 2, 3, 4]


def test_points_that_compile_alike_share_a_build(tmp_path: Path) -> None:
    axes = "[axes]\nadc_bits = [4, 8]\nseed = {from = 0, to = 2}\n"
    points = read_study(lay_out(tmp_path, axes)).points()
    assert len(points) == 6
    assert len({id(point.build) for point in points}) == 2
    assert [point.build.target.adc.bits for point in points] == [4, 4, 4, 8, 8, 8]


def test_axes_of_one_zip_go_together(tmp_path: Path) -> None:
    axes = "[axes]\nseed = [0, 1]\n[[zip]]\nadc_bits = [4, 8]\ndac_bits = [6, 10]\n"
    points = read_study(lay_out(tmp_path, axes)).points()
    pairs = [(point.build.target.adc.bits, point.build.target.dac.bits) for point in points]
    assert pairs == [(4, 6), (8, 10), (4, 6), (8, 10)]


def test_keys_of_the_machine_and_of_passes_are_axes(tmp_path: Path) -> None:
    axes = """
[axes]
noise.output = [0.0, 0.04]
"crossbar.devices_per_weight" = 2
device.model = "hermes-one-device"
pack.mode = ["none", "pipelined"]
digital = [[], "conv1"]
off = [[], ["drift", "read_noise"]]
target = ["hermes64", "hermes64:one-phase"]
[options.place]
effort = "fast"
"""
    points = read_study(lay_out(tmp_path, axes)).points()
    assert len(points) == 32
    last = points[-1]
    assert last.build.target.name == "hermes64:one-phase"
    assert last.build.target.noise.output == 0.04
    assert last.build.target.crossbar.devices_per_weight == 2
    assert last.build.pipeline.pack.mode == "pipelined"
    assert last.build.pipeline.place.effort == "fast"
    assert last.build.pipeline.lower.digital == ("conv1",)
    assert not last.reading.effects.drift
    assert not last.reading.effects.read_noise
    assert last.settings["off"] == "drift, read_noise"


def test_none_stands_for_no_converter(tmp_path: Path) -> None:
    points = read_study(lay_out(tmp_path, '[axes]\nadc_bits = [6, "none"]\n')).points()
    assert [point.build.target.adc.bits for point in points] == [6, None]


def test_a_study_without_axes_has_one_point(tmp_path: Path) -> None:
    (point,) = read_study(lay_out(tmp_path, "")).points()
    assert point.settings == {}


@pytest.mark.parametrize(
    ("given", "values"),
    [(3, (3,)), ([1, 2], (1, 2)), ({"from": 2, "to": 6, "step": 2}, (2, 4, 6)), ({"from": 0, "to": 1}, (0, 1))],
)
def test_an_axis_is_a_list_a_value_or_a_range(given: object, values: tuple[int, ...]) -> None:
    assert read_axis("seed", given).values == values


def test_more_points_than_allowed_are_refused(tmp_path: Path) -> None:
    study = lay_out(tmp_path, "[axes]\nseed = {from = 1, to = 200}\nread_seed = {from = 1, to = 51}\n")
    with pytest.raises(OptionError, match=r"10,200 points are more than 10,000; .* raise most_points"):
        read_study(study)
    study.write_text("most_points = 20_000\n" + study.read_text(encoding="utf-8"), encoding="utf-8")
    assert read_study(study).size == 10_200


def test_settings_that_contradict_each_other_are_all_told(tmp_path: Path) -> None:
    study = read_study(lay_out(tmp_path, "[axes]\nadc_bits = [1, 4, 99]\nout_noise = -1.0\n", HEAD))
    with pytest.raises(TargetError) as caught:
        study.points()
    text = str(caught.value)
    assert "adc.bits = 1: must be" in text
    assert "adc.bits = 99: must be" in text
    assert "noise.output = -1.0: must be" in text

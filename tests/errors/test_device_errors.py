"""Devices a weight that a machine, a network or a budget does not allow."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import mho
from mho.examples.builder import Builder
from mho.passes.partition.partition import PartitionChips
from mho.passes.tile.choose_devices import ChooseDevices
from mho.targets.errors import FitError, OptionError
from tests.shell import Shell


def network() -> onnx.ModelProto:
    net = Builder("two")
    hidden = net.gemm("dense", net.input("x", ["N", 1200]), 1200, 1100)
    net.output(net.gemm("logits", hidden, 1100, 10), ["N", 10])
    return net.model


def problems(options: ChooseDevices, target: str = "analog34") -> tuple[str, ...]:
    with pytest.raises(OptionError) as caught:
        mho.compile(network(), target, pipeline=mho.Pipeline(devices=options))
    return tuple(caught.value.problems)


def test_a_number_that_the_machine_does_not_allow() -> None:
    assert problems(ChooseDevices(devices=3, devices_of={"dense": 8})) == (
        "devices (--devices) = 3: a weight of analog34 is made of 4 or 2 devices",
        "devices_of (--devices-of) dense = 8: a weight of analog34 is made of 4 or 2 devices",
    )


def test_a_layer_that_the_network_has_not() -> None:
    assert problems(ChooseDevices(devices_of={"dense1": 2}, sensitive=("logit",))) == (
        "devices_of (--devices-of) names dense1, which has no weights on tiles; did you mean dense?",
        "sensitive (--sensitive) names logit, which has no weights on tiles; did you mean logits?",
    )


def test_auto_without_a_budget() -> None:
    assert problems(ChooseDevices(devices="auto")) == (
        "devices (--devices) = auto spends a budget of tiles: give the most chips (--chips) or --tiles",
    )


def test_auto_on_chips_without_a_limit() -> None:
    assert problems(ChooseDevices(devices="auto", chips=2), "ideal256") == (
        "devices (--devices) = auto spends a budget of tiles, and a chip of ideal256 has no limit: give the most tiles "
        "(--tiles)",
    )


def test_what_does_not_fit_with_the_fewest_devices() -> None:
    options = mho.Pipeline(devices=ChooseDevices(devices="auto", tiles=5), partition=PartitionChips(tiles=5))
    with pytest.raises(FitError, match=r"The network needs 9 tiles, but 5 are allowed: 4 tiles too many\."):
        mho.compile(network(), "analog34", pipeline=options)


def test_the_command_line_says_it_in_a_sentence(run: Shell, tmp_path: Path) -> None:
    onnx.save_model(network(), tmp_path / "two.onnx")
    found = run("compile", tmp_path / "two.onnx", "-t", "hermes64", "--devices", 2)
    assert (found.code, found.err) == (
        2,
        "mho: devices (--devices) = 2: a weight of hermes64 is made of 4 devices\n",
    )
    assert run("compile", "two.onnx", "-t", "analog34", "--devices", "many").code == 2
    assert not (tmp_path / "two.mho").exists()


def test_the_configuration_file_names_the_option(run: Shell, tmp_path: Path) -> None:
    onnx.save_model(network(), tmp_path / "two.onnx")
    (tmp_path / "mho.toml").write_text('[devices]\ndevices = "auto"\ndevices_of = {dense = 0}\n')
    found = run("compile", tmp_path / "two.onnx", "-t", "analog34", "--config", tmp_path / "mho.toml")
    assert (found.code, found.err.splitlines()) == (
        2,
        [
            "mho: devices_of (--devices-of) dense = 0: a weight of analog34 is made of 4 or 2 devices",
            "mho: devices (--devices) = auto spends a budget of tiles: give the most chips (--chips) or --tiles",
        ],
    )

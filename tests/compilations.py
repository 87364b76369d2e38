"""The bundled digits network compiled in several ways, each way once for the whole test run."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import mho
from mho.data import read_npz
from mho.examples import digits
from mho.passes.pack.pack import Mode, Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.replicate.replicate import Replicate
from mho.passes.solver import Effort
from mho.stages import Stages
from mho.targets.target import Converter, Crossbar, Device, DigitalUnit, Mesh, Noise, Target

Array = NDArray[Any]

Copies = int | Literal["fill", "balance"]

WAYS: tuple[tuple[str, Mode, Copies], ...] = (
    ("ideal256", "none", "fill"),
    ("ideal256", "pipelined", 1),
    ("ideal256", "sequential", 2),
    ("hermes64", "none", 2),
    ("hermes64", "pipelined", 1),
    ("hermes64", "sequential", "fill"),
    ("analog34", "none", 1),
    ("analog34", "pipelined", "fill"),
    ("analog34", "sequential", 2),
    ("small", "none", "fill"),
    ("small", "pipelined", 2),
    ("small", "sequential", 1),
    ("analog34:two-device", "pipelined", 1),
    ("everything", "pipelined", 2),
)
"""(target, packing, replicas): each target with each packing and each number of replicas."""
BUDGET = 48
"""Tiles that `fill` may use where a chip has no limit."""


def small() -> Target:
    """hermes64 cut down to crossbars of 48 × 32 on chips of 16 tiles, so that digits has many tiles and chips."""
    hermes = mho.load_target("hermes64")
    crossbar = Crossbar(rows=48, columns=32, devices_per_weight=4, weight_scale="column")
    return replace(hermes, name="small", crossbar=crossbar, mesh=Mesh(tiles=16, width=4, height=4))


def everything() -> Target:
    """A machine that has every effect, with crossbars of 48 × 32 of which two add their charge."""
    spread = Converter(bits=8, gain_spread=0.02, offset_spread=0.01, residual=0.5)
    return replace(
        small(),
        name="everything",
        crossbar=Crossbar(
            rows=48,
            columns=32,
            devices_per_weight=8,
            weight_scale="column",
            analog_rows=96,
            balanced_reads=True,
            wire_ohm=0.35,
            cell_us=5.0,
        ),
        dac=spread,
        adc=spread,
        device=Device(
            model="pcm",
            significance=(3.0, 1.0),
            compensation="column",
            read_noise="per_mvm",
            asymmetry=0.05,
            stuck_low=0.002,
            stuck_high=0.0005,
        ),
        noise=Noise(output=0.04, input=0.01, weight=0.0175),
        units={"cell": DigitalUnit(operators=("LSTM",), digital_format="float16")},
    )


def machine(name: str) -> Target:
    """A shipped machine, or one of the two made up here."""
    made_up = {"small": small, "everything": everything}
    return made_up[name]() if name in made_up else mho.load_target(name)


def pipeline(
    pack: Mode = "pipelined",
    replicas: Copies = 1,
    effort: Effort = "fast",
    tiles: int | None = BUDGET,
) -> mho.Pipeline:
    """All passes with the options that the command line offers for them."""
    return mho.Pipeline(
        pack=Pack(mode=pack, effort=effort),
        replicate=Replicate(replicas=replicas, tiles=tiles),
        partition=PartitionChips(effort=effort),
        place=PlaceCores(effort=effort),
    )


@cache
def digits_on(target: str, pack: Mode = "pipelined", replicas: Copies = 1) -> mho.Compiled:
    """The digits network on a machine, every level verified."""
    example = digits()
    stages = Stages(verify=True)
    options = pipeline(pack, replicas)
    return mho.compile(example.model, machine(target), example.calibration_data, pipeline=options, stages=stages)


@cache
def digits_test(count: int = 500) -> tuple[Array, Array]:
    """The first test images [count, 1, 8, 8] and their labels [count]."""
    arrays = read_npz(digits().test_data)
    images, labels = arrays["image"][:count], arrays["y"][:count]
    assert isinstance(images, np.ndarray)
    return images, labels

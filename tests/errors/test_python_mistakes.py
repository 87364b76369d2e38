"""What Python hands over is checked as a file and a command line are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mho
from mho.examples import digits
from mho.passes.expand.expand_weights import ExpandWeights
from mho.passes.pack.pack import Pack
from mho.passes.partition.partition import PartitionChips
from mho.passes.tile.spare import KeepSpare
from mho.targets.errors import OptionError, TargetError
from mho.targets.target import Converter, Crossbar, Device, Mesh, Noise, Target

SOUND = Target(
    name="bench", title="bench", crossbar=Crossbar(rows=64, columns=64, devices_per_weight=2, weight_scale="column")
)


def refusal(target: Target | str, pipeline: mho.Pipeline | None = None) -> str:
    with pytest.raises((OptionError, TargetError)) as caught:
        mho.compile(digits().model, target, pipeline=pipeline)
    return str(caught.value)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (replace(SOUND, noise=Noise(output=-1)), "bench: noise.output = -1: must be a finite number of at least 0"),
        (replace(SOUND, noise=Noise(output=float("nan"))), "bench: noise.output = NaN: must be a finite number"),
        (replace(SOUND, dac=Converter(bits=1)), "bench: dac.bits = 1: must be a whole number of at least 2"),
        (replace(SOUND, mesh=Mesh(tiles=0)), "bench: mesh.tiles = 0: must be a whole number of at least 1"),
        (replace(SOUND, device=Device(stuck_low=2.0)), "bench: device.stuck_low = 2.0: must be a finite number"),
        (replace(SOUND, crossbar=replace(SOUND.crossbar, wire_ohm=1.0)), "bench: crossbar.wire_ohm = 1: must stand"),
    ],
)
def test_a_machine_made_in_python_is_checked(target: Target, expected: str) -> None:
    assert refusal(target).startswith(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"partition": PartitionChips(chips=0)}, "option partition.chips = 0: "),
        ({"expand": ExpandWeights(seed=-3)}, "option expand.seed = -3: "),
        ({"pack": Pack(mode="nope")}, "option pack.mode = 'nope': "),  # type: ignore[arg-type]
    ],
)
def test_options_made_in_python_are_checked(given: dict[str, Any], expected: str) -> None:
    assert refusal(SOUND, mho.Pipeline(**given)).startswith(expected)


def test_no_spare_lines_of_a_crossbar_of_unknown_size() -> None:
    found = refusal("training3t1c", mho.Pipeline(spare=KeepSpare(rows=1)))
    assert found.startswith("spare.rows (--spare-rows) = 1, ") and "must be 0, as training3t1c does not say" in found


def test_a_metric_that_does_not_exist() -> None:
    compiled = mho.compile(digits().model, SOUND)
    with pytest.raises(OptionError, match="metric top2 does not exist; the metrics are top1, auc, "):
        compiled.validate({"image": np.zeros((2, 1, 8, 8), np.float32)}, metric="top2")  # type: ignore[arg-type]

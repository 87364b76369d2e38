"""Mistakes in a machine's file come back as sentences: all at once, with file, key, value and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mho.targets.catalog import load_target
from mho.targets.errors import TargetError

CROSSBAR = """
[crossbar]
rows = 8
columns = 4
devices_per_weight = 2
weight_scale = "tile"
"""
KNOWN = "Known are analog34, hermes64, ideal256, mesh2d, training3t1c"
GOOD = 'title = "bench"\n' + CROSSBAR


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is wrong with a file of this text, the folder left out."""
    path = tmp_path / "bench.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TargetError) as caught:
        load_target(path)
    assert not re.search(r"pydantic|https?:|\bNone\b|dataclass|literal|Traceback|_error", str(caught.value))
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = """
title = 3
rows = 4
[crossbar]
row = 2
columns = 0
weight_scale = "tiles"
devices_per_weight = 2.5
[adc]
bits = 99
range = -1
[core]
functions = ["sigmoid", "relu"]
[costs]
mvm_latency_ns = inf
[sources]
costs.mvm_latency = "x"
crossbar.rows = 3
[sourcs]
[variants.a.costs]
mvm_latency_ns = 1
[variants.b]
unpublished = ["x"]
[variants.c.mesh]
tiles = "many"
"""
    assert problems(tmp_path, text) == [
        "title = 3: must be a text",
        "crossbar.columns = 0: must be a whole number of at least 1",
        "crossbar.devices_per_weight = 2.5: must be a whole number of at least 1",
        'crossbar.weight_scale = "tiles": must be "column" or "tile"',
        "crossbar.row is not a known key; the nearest one is crossbar.rows",
        "adc.bits = 99: must be a whole number of at least 2 and at most 24",
        'adc.range = -1: must be a finite number above 0 or "observed"',
        'core.functions = ["sigmoid", "relu"]: must be a list of "accumulate", "add" or "relu"',
        "costs.mvm_latency_ns = Infinity: must be a finite number above 0",
        "sources.crossbar.rows = 3: must be a text",
        "rows is not a known key; the nearest one is crossbar.rows",
        "sourcs is not a known key; the nearest one is sources",
        "sources.costs.mvm_latency is not a known key; the nearest one is costs.mvm_latency_ns",
        'variants.b.unpublished names "x", which is not a known key',
        'variants.c.mesh.tiles = "many": must be a whole number of at least 1',
    ]


DEVICES = 'title = "bench"\n[crossbar]\nweight_scale = "tile"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            GOOD + "wire_ohm = 0.35",
            ["crossbar.wire_ohm = 0.35: must stand beside crossbar.cell_us, as IR drop needs both, or nowhere"],
        ),
        (
            GOOD + "cell_us = 5",
            ["crossbar.cell_us = 5: must stand beside crossbar.wire_ohm, as IR drop needs both, or nowhere"],
        ),
        (
            DEVICES + "devices_per_weight = 2\nbalanced_reads = true",
            [
                "crossbar.devices_per_weight = 2: must be a multiple of 4, as a weight is a pair in each of two copies "
                "(balanced_reads)"
            ],
        ),
        (
            DEVICES + "devices_per_weight = 6\nbalanced_reads = true\n[device]\nsignificance = [1, 3]",
            [
                "crossbar.devices_per_weight = 6: must be a multiple of 8, as a weight is 2 pairs in each of two "
                "copies (balanced_reads)"
            ],
        ),
        (
            DEVICES + "devices_per_weight = 4\n[device]\nmodel = 'hermes-one-device'\nsignificance = [1, 3]",
            [
                'device.significance = [1, 3]: must be one number, as device.model = "hermes-one-device" describes all '
                "devices of a polarity together"
            ],
        ),
        (
            DEVICES + "devices_choices = [2]",
            [
                "crossbar.devices_choices = [2]: must stand beside crossbar.devices_per_weight, which they are an "
                "alternative to"
            ],
        ),
        (
            DEVICES + "devices_per_weight = 4\ndevices_choices = [2, 3]\n[device]\nmodel='pcm'\nsignificance = [1, 1]",
            ["crossbar.devices_choices = [2, 3]: must be multiples of 2, the devices of a pair of device.significance"],
        ),
        (
            DEVICES + "devices_per_weight = 4\ndevices_choices = [2]\n[device]\nmodel='pcm'\nsignificance = [1, 4]",
            [
                "crossbar.devices_choices = [2]: must be left out, as the pairs of device.significance are of "
                "different significance"
            ],
        ),
        (
            DEVICES + "devices_per_weight = 4\ndevices_choices = [2]\n[device]\nmodel='hermes-two-device'",
            [
                'crossbar.devices_choices = [2]: must be left out, as device.model = "hermes-two-device" holds for one '
                "number of devices"
            ],
        ),
        (
            DEVICES + "devices_per_weight = 3\n[device]\nmodel = 'pcm'",
            ['crossbar.devices_per_weight = 3: must be 2, as a weight is a pair, device.model = "pcm"'],
        ),
        (
            DEVICES + "devices_per_weight = 8\n[device]\nmodel = 'hermes-two-device'",
            ['crossbar.devices_per_weight = 8: must be 4, as a weight is a pair, device.model = "hermes-two-device"'],
        ),
        (
            GOOD + "devices_choices = [2]",
            [
                "crossbar.devices_choices = [2]: must be other numbers than crossbar.devices_per_weight, each once",
            ],
        ),
        (
            GOOD + "devices_choices = [16]",
            ["crossbar.devices_choices = [16]: must be at most 8, the devices of a row"],
        ),
        (
            GOOD + "[device]\ncompensation = 'column'\nread_noise = 'per_mvm'\nstuck_low = 0.5\nstuck_high = 0.75",
            [
                'device.compensation = "column": must be "none", as device.model = "ideal" does not drift',
                'device.read_noise = "per_mvm": must be "per_run", as device.model = "ideal" has no read noise',
                "device.stuck_high = 0.75: must be at most 1 − device.stuck_low = 0.5",
            ],
        ),
        (
            GOOD + "[device]\nmodel = 'reram'\nread_noise = 'per_mvm'",
            ['device.read_noise = "per_mvm": must be "per_run", as device.model = "reram" has no read noise'],
        ),
    ],
)
def test_cells_that_cannot_be(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(tmp_path, text) == expected


def test_contradictions(tmp_path: Path) -> None:
    text = GOOD + "analog_rows = 4\n[dac]\nrange = 2\n[mesh]\ntiles = 10\nwidth = 3\nheight = 3\n"
    assert problems(tmp_path, text) == [
        'dac.range = 2.0: must be "observed", as every layer has its own input range',
        "crossbar.analog_rows = 4: must be at least crossbar.rows = 8",
        "mesh.tiles = 10: must be at most mesh.width · mesh.height = 9",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "title is missing; it must be a text"),
        (CROSSBAR, "title is missing; it must be a text"),
        ("title = 'x'\ncrossbar = 3", "crossbar = 3: must be a table of rows, columns, "),
        (GOOD + "[mesh]\nzzzz = 3", "mesh.zzzz is not a known key; known here: mesh.tiles, mesh.width, "),
        ("x = 1 = 2", "is not TOML: "),
        ("x = 1979-05-27", "holds a date, or tables nested more than 8 deep"),
        ("a" + ".a" * 3000 + " = 1", "holds a date, or tables nested more than 8 deep"),
        ("x = " + "[" * 100_000, "is not TOML: "),
        ("name = 'x'\n" + GOOD, "name is not a key: a machine is named after its file"),
        ("variants = 3", "variants must be a table of tables"),
        (GOOD + "[variants]\nfast = 3", "variants.fast must be a table"),
        (GOOD + '[variants."a+b"]', "variants.a+b must have a name that is not empty and holds no + or :"),
        (GOOD + "[variants.a]\nname = 'b'", "variants.a.name is not a key"),
        (GOOD + "[variants.a]\nunpublished = 'b'", 'variants.a.unpublished = "b": must be a list of dotted keys'),
        (
            GOOD + "[variants.a]\nunpublished = ['crossbar.weight_scale']",
            "variants.a.crossbar.weight_scale is missing",
        ),
        (GOOD + "[costs]\nmvm_latency_ns = true", "costs.mvm_latency_ns = true: must be a finite number above 0"),
        (GOOD + "[adc]\nbits = '8'", 'adc.bits = "8": must be a whole number of at least 2 and at most 24'),
        (GOOD + '[adc]\nrange = "x\\u001b[2J"', 'adc.range = "x\\u001b[2J": must be'),
        (GOOD + '[adc]\n"x\\u001b" = 1', "adc.x\\x1b is not a known key"),
        (GOOD + f"[adc]\nrange = '{'x' * 500}'", f'adc.range = "{"x" * 59}…: must be'),
    ],
)
def test_one_mistake(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text)[0].startswith(expected)


def test_a_variant_repeats_no_problem_of_the_base(tmp_path: Path) -> None:
    assert len(problems(tmp_path, GOOD + "[dac]\nbits = 1\n[variants.a.costs]\nmvm_latency_ns = 3")) == 1


def test_variants_that_only_clash_together(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(GOOD + "[variants.grid.mesh]\nwidth = 2\nheight = 2\n[variants.many.mesh]\ntiles = 5\n")
    load_target(f"{path}:grid")
    with pytest.raises(TargetError, match=r"bench.toml:grid\+many: mesh.tiles = 5: must be at most"):
        load_target(f"{path}:grid+many")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "hermes",
            f"hermes: no such target. Did you mean hermes64? {KNOWN}; a path",
        ),
        (
            "zzz",
            f"zzz: no such target. {KNOWN}; a path to a .toml file works as well.",
        ),
        ("\x1b[2J", "\\x1b[2J: no such target. "),
        ("", ": no such target. "),
        ("no/such.toml", "no/such.toml: cannot be read: No such file or directory"),
        ("hermes64:onephase", 'hermes64.toml: has no variant "onephase": it has one-phase, one-device; did you mean'),
        ("hermes64:", 'hermes64.toml: has no variant "": it has one-phase, one-device'),
        ("ideal256:fast", 'ideal256.toml: has no variant "fast": it has none'),
    ],
)
def test_names(name: str, expected: str) -> None:
    with pytest.raises(TargetError) as caught:
        load_target(name)
    assert str(caught.value).startswith(expected)


def test_both_unknown_variants_are_told() -> None:
    with pytest.raises(TargetError) as caught:
        load_target("hermes64:x+one-phase+y")
    assert len(caught.value.problems) == 2


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(TargetError, match=r"bench.toml: is not UTF-8 text \(byte 9\)"):
        load_target(path)
    with pytest.raises(TargetError, match=r"cannot be read: Is a directory"):
        (tmp_path / "folder.toml").mkdir()
        load_target(tmp_path / "folder.toml")

"""What users may ask of unfoldings and grouped convolutions that cannot be."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mho.examples.builder import Builder
from tests.shell import Shell


def model(path: Path) -> Path:
    net = Builder("net")
    x = net.input("x", ["N", 4, 6, 6])
    y = net.op("Conv", "first", x, net.weight("w", 4, 4, 1, 1, fan_in=4))
    y = net.op("Conv", "second", y, net.weight("v", 4, 1, 3, 3, fan_in=9), group=4)
    net.output(y, ["N", 4, 4, 4])
    onnx.save(net.model, path)
    return path


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        (
            '[unfold]\nunfold_of = { third = "windows", second = "places" }\n',
            ["unfold.unfold_of names third, which is no convolution on tiles; there are first, second"],
        ),
        (
            '[unfold]\nunfold_of = { first = "places" }\n',
            ["unfold.unfold_of: first cannot be unfolded in places: its kernel is a single place"],
        ),
        (
            '[group]\ngrouped_of = { first = "dense" }\n',
            ["group.grouped_of names first, which is no grouped convolution on tiles; there are second"],
        ),
        ("[unfold]\nmost_tiles = 0\n", ["option unfold.most_tiles = 0: input should be greater than or equal to 1"]),
        (
            "[group]\ndigital_below = 2.0\n",
            ["option group.digital_below = 2.0: input should be less than or equal to 1"],
        ),
        ('[unfold]\nunfold = "shifted"\n', ["option unfold.unfold = 'shifted'"]),
        ("[unfold]\nkind = 1\n", ["unfold.kind is no option"]),
    ],
)
def test_options_that_cannot_be(run: Shell, tmp_path: Path, options: str, problems: list[str]) -> None:
    (tmp_path / "options.toml").write_text(options)
    found = run("compile", model(tmp_path / "net.onnx"), "-t", "ideal256", "--config", "options.toml")
    assert found.code == 2 and "Traceback" not in found.err
    told = " ".join(found.err.split())
    assert all(problem in told for problem in problems), told
    assert not (tmp_path / "net.mho").exists()


def test_flags_are_checked(run: Shell, tmp_path: Path) -> None:
    found = run("compile", model(tmp_path / "net.onnx"), "-t", "ideal256", "--unfold", "shifted")
    assert found.code == 2 and "'shifted' is not one of" in found.err
    found = run("compile", model(tmp_path / "net.onnx"), "-t", "ideal256", "--grouped", "sparse")
    assert found.code == 2 and "'sparse' is not one of" in found.err

"""A small study of the packaged digits network, and readings of its table."""

from __future__ import annotations

import csv
from pathlib import Path

from mho.data import read_npz, write_npz
from mho.examples import digits

HEAD = """
model = "digits.onnx"
data = "few.npz"
calibration = "digits_calibration.npz"
target = "hermes64"
"""

AXES = """
[axes]
time = ["0s", "1d"]
seed = [0, 1]
"""


def lay_out(folder: Path, axes: str = AXES, head: str = HEAD) -> Path:
    """The study's file beside its model and twenty of the test images."""
    example = digits()
    for path in (example.model, example.calibration_data):
        (folder / path.name).write_bytes(path.read_bytes())
    write_npz(folder / "few.npz", {name: array[:20] for name, array in read_npz(example.test_data).items()})
    study = folder / "study.toml"
    study.write_text(head + axes, encoding="utf-8")
    return study


def lines_of(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV table by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

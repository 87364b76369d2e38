"""mho.examples: networks to compile, and the trained network of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Digits:
    """The files of the demo's network, which reads handwritten digits; digits.md tells their origin.

    `test_data` holds `image` [500, 1, 8, 8] and the labels `y` [500], `calibration_data` holds `image` [128, 1, 8, 8].
    """

    model: Path
    test_data: Path
    calibration_data: Path


def digits() -> Digits:
    """Where the bundled network and its data lie."""
    folder = Path(__file__).parent
    return Digits(folder / "digits.onnx", folder / "digits.npz", folder / "digits_calibration.npz")

"""The digital end of a layer: scale, bias, addend, activation, and the number format of the unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.targets.steps import Activation
from mho.targets.target import NumberFormat

Array = NDArray[Any]
Floats = NDArray[np.float32]


def apply_epilogue(
    sums: Floats,
    scale: Floats | None,
    bias: Floats | None,
    addend: Floats | None,
    activation: Activation | None,
    number_format: NumberFormat,
) -> Floats:
    """activation(scale · sums + bias + addend) for sums [positions, columns], which are overwritten."""
    if scale is not None:
        sums *= scale
    if bias is not None:
        sums += bias
    if addend is not None:
        sums += addend
    if activation is not None:
        activate(sums, activation)
    if number_format == "float16":
        return sums.astype(np.float16).astype(np.float32)
    return sums


def activate(values: Floats, activation: Activation) -> None:
    """Applies the function in place."""
    match activation.function:
        case "relu":
            np.maximum(values, 0, out=values)
        case "clip":
            np.clip(values, activation.low, activation.high, out=values)
        case "leaky_relu":
            np.multiply(values, np.float32(activation.slope), out=values, where=values < 0)

"""The digital end of a layer: scale, bias, addend, activation.

The machine finishes a layer at once, the interpreter instruction by instruction; both do it here.
"""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from mho.runtime.layers import Column, LayerMath
from mho.targets.isa import Activate, Affine, Finishing
from mho.targets.steps import Activation

Array = NDArray[Any]
Floats = NDArray[np.float32] | NDArray[np.float64]


def finish(instruction: Finishing, values: Floats, math: LayerMath, addend: Floats | None) -> None:
    """Executes a finishing instruction on its columns of a layer, in place.

    Args:
        values: [positions, columns of the instruction].
        addend: [positions, columns of the layer], or with one column for all, or None.
    """
    columns = slice(*instruction.columns)
    match instruction:
        case Affine():
            affine(values, _part(math.scale, columns), _part(math.bias, columns))
        case Activate():
            one = addend is None or addend.shape[1] == 1
            activate(values, addend if one or addend is None else addend[:, columns], math.activation)
        case _:
            assert_never(instruction)


def finish_all(values: Floats, math: LayerMath, addend: Floats | None) -> None:
    """What the finishing instructions of a layer do together, in place: values [positions, columns]."""
    affine(values, math.scale, math.bias)
    activate(values, addend, math.activation)


def affine(values: Floats, scale: Column | None, bias: Column | None) -> None:
    """scale · values + bias in place, one number a column."""
    if scale is not None:
        values *= scale
    if bias is not None:
        values += bias


def activate(values: Floats, addend: Floats | None, activation: Activation | None) -> None:
    """activation(values + addend) in place."""
    if addend is not None:
        values += addend
    if activation is None:
        return
    match activation.function:
        case "relu":
            np.maximum(values, 0, out=values)
        case "clip":
            np.clip(values, activation.low, activation.high, out=values)
        case "leaky_relu":
            np.multiply(values, np.float32(activation.slope), out=values, where=values < 0)
        case _:
            assert_never(activation.function)


def _part(numbers: Column | None, columns: slice) -> Column | None:
    return None if numbers is None else numbers[columns]

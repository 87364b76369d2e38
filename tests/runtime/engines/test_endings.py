"""The compiled ends of layers against plain numpy: the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.engines.endings import NO_ENDING, end_planes, end_rows, ending_of, round_halves
from mho.runtime.epilogue import finish_all
from mho.runtime.formats import rounded
from mho.runtime.layers import LayerMath
from mho.targets.steps import Activation
from tests.plans import draw

ACTIVATIONS = {
    "none": None,
    "relu": Activation(function="relu"),
    "clip": Activation(function="clip", low=-0.5, high=0.75),
    "from below": Activation(function="clip", low=-0.5),
    "from above": Activation(function="clip", high=0.75),
    "leaky": Activation(function="leaky_relu", slope=0.2),
}


def every_float() -> NDArray[np.float32]:
    """float32 numbers all over their range, those that are none or infinite among them."""
    bits = np.arange(0, 1 << 32, 4999, dtype=np.uint64).astype(np.uint32)
    ties = np.arange(0x1000, 1 << 32, 0x2000 * 7, dtype=np.uint64).astype(np.uint32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519, 65520, 6e-8, 3e-8, 6.1e-5], np.float32)
    return np.concatenate([bits.view(np.float32), ties.view(np.float32), special])


def test_halves_are_those_of_numpy() -> None:
    found = every_float()
    wanted = rounded(found, "float16")
    round_halves(found)
    assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("constants", [False, True])
def test_endings_are_those_of_the_epilogue(activation: str, halves: bool, adds: bool, constants: bool) -> None:
    math = LayerMath("layer", "matrix", activation=ACTIVATIONS[activation])
    if constants:
        math = replace(math, scale=draw(1, 6), bias=draw(2, 6))
    sums, addend = draw(3, 8, 6), draw(4, 8, 6)
    sums[0, 0] = np.nan
    finished = sums.copy()
    finish_all(finished, math, addend if adds else None)
    wanted = rounded(finished, "float16") if halves else finished
    ending = ending_of(math, halves)
    rows = sums.copy()
    end_rows(rows, 0, 2, addend if adds else np.empty((0, 0), np.float32), ending)
    assert np.array_equal(rows[:, 2:], sums[:, 2:])
    end_rows(rows, 2, 6, addend if adds else np.empty((0, 0), np.float32), ending)
    assert np.array_equal(rows, wanted, equal_nan=True)
    planes, more = (np.ascontiguousarray(a.reshape(2, 4, 6).transpose(0, 2, 1)) for a in (sums, addend))
    end_planes(planes, 0, 6, more if adds else np.empty((0, 0, 0), np.float32), ending)
    assert np.array_equal(planes.transpose(0, 2, 1).reshape(8, 6), wanted, equal_nan=True)


def test_no_ending_leaves_sums_alone() -> None:
    sums = draw(5, 3, 4)
    found = sums.copy()
    end_rows(found, 0, 4, np.empty((0, 0), np.float32), NO_ENDING)
    assert np.array_equal(found, sums)

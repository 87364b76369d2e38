"""Convolutions of every geometry, unfolded in every way, as operators of ONNX."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Literal

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.runtime.effects import Conditions, Effects
from mho.runtime.unfold import output_positions, position_shape
from mho.targets.program import Program
from mho.targets.steps import Analog, Port
from mho.targets.unfolding import Places, ShiftedWindows, Unfolding, Window
from tests.compiler.export.agreement import model_of, session_of
from tests.programs import tiny_program

AutoPad = Literal["explicit", "same_upper", "same_lower"]

TOLERANCE = 1e-5


@st.composite
def unfoldings(draw: st.DrawFn) -> Unfolding:
    """A window of one to three axes, several of them side by side, or places; padding is added, cut off or found."""
    rank = draw(st.integers(1, 3))

    def sides(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    found: AutoPad = draw(st.sampled_from(["explicit", "explicit", "same_upper", "same_lower"]))
    kind = draw(st.sampled_from(["window", "shifted", "places"]))
    window = Window(
        kernel=sides(1, 3),
        strides=sides(1, 3),
        dilations=sides(1, 2),
        spread=sides(1, 3) if found == "explicit" and kind != "shifted" else (1,) * rank,
        pads=tuple(zip(sides(-1, 2), sides(-1, 2), strict=True)) if found == "explicit" else None,
        auto_pad=found,
    )
    if kind == "shifted":
        return ShiftedWindows(window=window, copies=sides(1, 3))
    return Places(window=window) if kind == "places" else window


def program_of(unfolding: Unfolding, channels: int, kernels: int, sizes: tuple[int | None, ...]) -> Program:
    """A layer of that unfolding, cut into blocks of 7 × 5 that mind no channels, without converters."""
    rows, columns = channels * unfolding.channel_rows, kernels * unfolding.channel_columns
    tiny = tiny_program(rows, columns, 7, 5, bits=None)
    layer = tiny.sequence[0]
    assert isinstance(layer, Analog)
    bias = np.random.default_rng(1).standard_normal(kernels).astype(np.float32)
    return replace(
        tiny,
        sequence=(replace(layer, unfolding=unfolding),),
        inputs=(Port(name="x", type="tensor(float)", shape=("batch", channels, *sizes)),),
        outputs=(Port(name="y", type="tensor(float)", shape=("batch", kernels, *(None for _ in sizes))),),
        tensors={**tiny.tensors, "constant/b": bias},
    )


@settings(max_examples=120, deadline=None)
@given(unfoldings(), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans(), st.data())
def test_every_geometry(
    unfolding: Unfolding, channels: int, kernels: int, known: bool, ideal: bool, data: st.DataObject
) -> None:
    rank = len(unfolding.kernel if isinstance(unfolding, Window) else unfolding.window.kernel)  # type: ignore[union-attr]
    sizes = tuple(data.draw(st.lists(st.integers(2, 8), min_size=rank, max_size=rank)))
    shape = (2, channels, *sizes)
    cut = unfolding.window if isinstance(unfolding, ShiftedWindows | Places) else unfolding
    assert isinstance(cut, Window)
    assume(prod(position_shape(shape, unfolding)) > 0 and prod(output_positions(shape, unfolding)) > 0)
    assume(all(size > 2 for size in sizes) or cut.pads is None)
    known = known or (cut.pads is None and max(cut.strides) > 1)
    program = program_of(unfolding, channels, kernels, sizes if known else (None,) * rank)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    effects = Effects.ideal() if ideal else Effects.quantised()
    compiled = mho.Compiled(program)
    expected = compiled.run(x, effects=effects)["y"]
    (found,) = session_of(model_of(compiled, Conditions(effects=effects))).run(None, {"x": x})
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * float(np.abs(expected).max(initial=1)))

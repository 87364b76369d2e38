"""What a program says of a convolution's unfolding, checked and written as text."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import mho
from mho.examples.builder import Builder
from mho.passes.unfold.unfold import ChooseUnfolding, Form
from mho.targets.check.check import check_program
from mho.targets.isa import Affine, Kernel
from mho.targets.program import Program
from mho.targets.steps import Analog
from mho.targets.text import parse_program, print_program
from mho.targets.unfolding import Places, ShiftedWindows, Unfolding, Window


@cache
def program(form: Form) -> Program:
    net = Builder("net")
    x = net.input("x", ["N", 2, 5, 5])
    net.output(net.op("Conv", "conv", x, net.weight("w", 6, 2, 3, 3, fan_in=18), net.bias("b", 6)), ["N", 6, 3, 3])
    data = np.ones((2, 2, 5, 5), np.float32)
    return mho.compile(net.model, "ideal256", data, pipeline=mho.Pipeline(unfold=ChooseUnfolding(unfold=form))).program


def layer(form: Form) -> Analog:
    (step,) = program(form).sequence
    assert isinstance(step, Analog)
    return step


def problems(form: Form, unfolding: Unfolding) -> tuple[str, ...]:
    return check_program(replace(program(form), sequence=(replace(layer(form), unfolding=unfolding),)))


@pytest.mark.parametrize("form", ["im2col", "windows", "places"])
def test_text_gives_the_program_back(form: Form) -> None:
    made = program(form)
    assert check_program(made) == ()
    again = parse_program(print_program(made), made.tensors)
    assert (again.sequence, again.matrices) == (made.sequence, made.matrices)


def test_windows_tell_of_every_axis_and_of_plain_samples() -> None:
    wide = layer("windows").unfolding
    assert isinstance(wide, ShiftedWindows)
    assert "step conv: copies number 1, not 2" in problems("windows", replace(wide, copies=(9,)))
    spread = replace(wide, window=replace(wide.window, spread=(2, 1)))
    assert "step conv: spreads above 1 number 1, not 0" in problems("windows", spread)
    short = replace(wide, window=replace(wide.window, strides=(1,)))
    assert "step conv: strides number 1, not 2" in problems("windows", short)


def test_columns_are_whole_channels() -> None:
    wide = layer("windows").unfolding
    assert isinstance(wide, ShiftedWindows)
    told = problems("windows", replace(wide, copies=(4, 5)))
    assert "layer conv has 20 columns a channel, which its matrix of 54 has not" in told


def test_a_constant_has_a_number_a_channel() -> None:
    told = problems("places", layer("im2col").unfolding)
    assert any("constant" in problem and "for 54 columns" in problem for problem in told)


def test_kernels_do_not_finish_what_is_added_over_positions() -> None:
    made = program("places")
    assert isinstance(layer("places").unfolding, Places) and isinstance(layer("im2col").unfolding, Window)
    (core,) = made.cores
    (kernel,) = core.kernels
    assert not any(isinstance(instruction, Affine) for instruction in kernel.body)
    finished = (*kernel.body[:-1], Affine(buffer="a0", columns=(0, 54)), kernel.body[-1])
    changed = replace(core, kernels=(Kernel(layer="conv", replica=0, buffers=kernel.buffers, body=finished),))
    assert any("is stored after" in problem for problem in check_program(replace(made, cores=(changed,))))


def test_zeros_are_fewer_than_entries() -> None:
    made = program("windows")
    (matrix,) = made.matrices
    assert 0 < matrix.zeros < matrix.weights and matrix.filled == 9 * 108 and matrix.copies == 9
    told = check_program(replace(made, matrices=(replace(matrix, zeros=matrix.weights),)))
    assert told == (f"matrix conv has {matrix.weights} zeros in {matrix.weights} entries, 9 times",)

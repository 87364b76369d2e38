"""Linking finds every conversion, in whatever order the cores stand, and refuses kernels that do not fit together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.runtime.crossbar import program_blocks
from mho.runtime.effects import Conditions, Effects
from mho.runtime.link import LinkedLayer, conversions, link_layer
from mho.targets.errors import ProgramError
from mho.targets.isa import Convert, CoreProgram, Kernel, Send
from mho.targets.program import Program
from tests.programs import tiny_program

DIGITAL = tiny_program(10, 5, 4, 3)
CHARGE = tiny_program(10, 5, 4, 3, charge=True)


def linked(program: Program, cores: tuple[CoreProgram, ...] | None = None) -> LinkedLayer:
    loads = [load for core in program.cores for load in core.loads]
    blocks = program_blocks(program, loads, Conditions(effects=Effects.ideal()))
    return link_layer(cores or program.cores, "dense", blocks)


def groups(cores: tuple[CoreProgram, ...]) -> set[tuple[int, ...]]:
    return {c.blocks for c in conversions([(core.site, core.kernels[0]) for core in cores], "dense")}


@given(st.permutations(range(6)))
def test_the_order_of_the_cores_does_not_matter(order: list[int]) -> None:
    for program, expected in ((DIGITAL, {(i,) for i in range(6)}), (CHARGE, {(0, 1, 2), (3, 4, 5)})):
        assert groups(tuple(program.cores[i] for i in order)) == expected


def test_charge_that_goes_over_several_cores() -> None:
    """Core 2 sends to core 1, which adds its own and sends to core 0."""
    first, second, third = CHARGE.cores[:3]
    kernel = first.kernels[0]
    receive, multiply, from_second, from_third, *rest = kernel.body
    send = third.kernels[0].body[-1]
    assert isinstance(send, Send)
    relay = second.kernels[0].body
    chained = (
        replace(first, kernels=(replace(kernel, body=(receive, multiply, from_second, *rest)),)),
        replace(second, kernels=(replace(second.kernels[0], body=(*relay[:-1], from_third, relay[-1])),)),
        replace(
            third,
            kernels=(replace(third.kernels[0], body=(*third.kernels[0].body[:-1], replace(send, to=(second.site,)))),),
        ),
    )
    assert groups(chained) == groups(chained[::-1]) == {(0, 1, 2)}


def body_of(core: CoreProgram, kernel: Kernel, without: type) -> CoreProgram:
    return replace(core, kernels=(replace(kernel, body=tuple(i for i in kernel.body if not isinstance(i, without))),))


def test_a_message_that_nobody_sends() -> None:
    cores = tuple(body_of(core, core.kernels[0], Send) for core in DIGITAL.cores)
    with pytest.raises(ProgramError, match="layer dense: cores 0:0,0, 0:3,0 wait for messages that nobody sends"):
        linked(DIGITAL, cores)


def test_a_converter_without_charge() -> None:
    home = DIGITAL.cores[0].kernels[0]
    twice = tuple(
        i for instruction in home.body for i in ([instruction] * (2 if isinstance(instruction, Convert) else 1))
    )
    cores = (replace(DIGITAL.cores[0], kernels=(replace(home, body=twice),)), *DIGITAL.cores[1:])
    with pytest.raises(ProgramError, match="core 0:0,0 converts buffer a, which holds no charge"):
        linked(DIGITAL, cores)


def test_a_layer_without_kernels() -> None:
    with pytest.raises(ProgramError, match="no core has a kernel for layer other"):
        link_layer(DIGITAL.cores, "other", {})


def test_products_of_partial_sums() -> None:
    (products,) = linked(DIGITAL).replicas
    assert [p.rows for p in products] == [(0, 4), (4, 8), (8, 10)]
    assert all(p.columns == slice(0, 5) for p in products)
    stored = DIGITAL.tensors["matrix/w"][0]
    whole = np.concatenate([p.weights * p.unit for p in products])
    assert whole == pytest.approx(stored, rel=1e-6)
    assert products[0].noise_blocks == ((0, 0, 3), (3, 3, 5))
    assert products[0].adc_range.tolist() == [4.0] * 5


def test_products_of_charge() -> None:
    ((product,),) = linked(CHARGE).replicas
    assert (product.rows, product.columns) == ((0, 10), slice(0, 5))
    assert product.weights * product.unit == pytest.approx(CHARGE.tensors["matrix/w"][0], rel=1e-6)


def test_replicas_are_apart() -> None:
    program = tiny_program(6, 5, 4, 3, replicas=3)
    found = linked(program)
    assert [[p.noise_blocks[0][0] for p in products] for products in found.replicas] == [[0, 1], [4, 5], [8, 9]]


def test_columns_that_do_not_follow_each_other_are_listed() -> None:
    """The middle one of three column blocks has another input range, so the outer two make one product."""
    program = tiny_program(4, 9, 4, 3)
    middle = program.cores[1]
    kernel = middle.kernels[0]
    other = tuple(replace(i, input_range=2.0) if i.op == "mvm" else i for i in kernel.body)
    cores = (program.cores[0], replace(middle, kernels=(replace(kernel, body=other),)), program.cores[2])
    (products,) = linked(program, cores).replicas
    outer, inner = products
    assert isinstance(outer.columns, np.ndarray)
    assert outer.columns.tolist() == [0, 1, 2, 6, 7, 8]
    assert inner.columns == slice(3, 6)

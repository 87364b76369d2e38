"""What `check_program` finds in reloaded programs that were tampered with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions
from mho.runtime.interpreter import Interpreter
from mho.runtime.sequencer import Sequencer
from mho.targets.check.check import check_program
from mho.targets.errors import ProgramError
from mho.targets.isa import Accumulate, Mvm, Site
from mho.targets.program import Program
from mho.targets.reload import Reload, firing_order, pages_of
from mho.targets.replay import replay
from mho.targets.steps import Analog
from tests.programs import tiny_program

SITES = (Site(0, 0, 0), Site(0, 1, 0), Site(0, 2, 0))


def reload_of(program: Program, sites: tuple[Site, ...] = SITES, inferences: int = 10) -> Reload:
    found = replay(firing_order(pages_of(program.cores), ["dense"], "alternate"), len(sites), inferences)
    sizes = [
        sum((load.rows[1] - load.rows[0]) * (load.columns[1] - load.columns[0]) for load in core.loads)
        for core in program.cores
    ]
    return Reload(
        mode="alternate",
        sites=sites,
        order=("dense",),
        inferences=inferences,
        writes=found.writes,
        most_writes=found.most_writes(inferences),
        cells=found.cells(sizes),
        kept_words=5.0,
        segments=found.segments / found.inferences,
    )


def program(**changes: Any) -> Program:
    """Four blocks that take turns on three tiles, with something changed."""
    bare = tiny_program()
    return replace(bare, reload=replace(reload_of(bare), **changes))


def test_a_true_program_is_sound() -> None:
    assert check_program(program()) == ()
    assert program().reload == reload_of(tiny_program())
    reload = program().reload
    assert reload is not None
    assert reload.writes == 4 + 9


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"writes": 12}, "writes in 10 inferences are 12, and the order makes 13"),
        ({"most_writes": 1}, "most writes of a tile in 10 inferences are 1, and the order makes"),
        ({"cells": 1.0}, "cells written in 10 inferences are 1.0, and the order makes"),
        ({"inferences": 11}, "writes in 11 inferences are 13, and the order makes 14"),
        ({"segments": 1.0}, "segments in 10 inferences are 1.0, and the order makes"),
        ({"mode": "order"}, "and the order makes"),
        ({"sites": (SITES[0], SITES[0], SITES[1])}, "tile 0:0,0 is there 2 times"),
        ({"sites": (SITES[0], Site(0, 8, 0))}, "tile 0:8,0 lies outside a chip of 8 × 8"),
        ({"sites": ()}, "there is no tile"),
        ({"sites": SITES[:2]}, "and the order makes"),
        ({"order": ()}, "the order leaves layer dense out"),
        ({"order": ("dense", "other")}, "the order names the unknown layer other"),
        ({"order": ("dense",) * 2_000_000}, "8,000,000 tiles fire in an inference"),
    ],
)
def test_what_was_changed_is_found(changes: dict[str, Any], says: str) -> None:
    problems = check_program(program(**changes))
    assert any(problem.startswith("reload: ") and says in problem for problem in problems), problems


def with_late_product() -> Program:
    """A core that waits for another before it needs its tile."""
    bare = program()
    first = bare.cores[0]
    kernel = first.kernels[0]
    assert any(isinstance(instruction, Accumulate) for instruction in kernel.body)
    product = next(instruction for instruction in kernel.body if isinstance(instruction, Mvm))
    late = replace(kernel, body=(*kernel.body, product))
    return replace(bare, cores=(replace(first, kernels=(late,)), *bare.cores[1:]))


def test_a_tile_is_not_needed_after_a_wait() -> None:
    assert any("needs its tile for layer dense after it has waited" in p for p in check_program(with_late_product()))


def test_charge_cannot_wait() -> None:
    bare = tiny_program(charge=True)
    charged = replace(bare, reload=reload_of(bare))
    assert any("gives charge of layer dense to another core" in problem for problem in check_program(charged))


def test_layers_fire_in_the_order_of_the_steps() -> None:
    bare = program()
    layer, facts = bare.sequence[0], bare.layers[0]
    assert isinstance(layer, Analog)
    kernels = [replace(core, kernels=(*core.kernels, replace(core.kernels[0], layer="late"))) for core in bare.cores]
    two = replace(
        bare,
        sequence=(layer, replace(layer, name="late", input="y", output="z")),
        layers=(facts, replace(facts, name="late")),
        cores=tuple(kernels),
        reload=replace(reload_of(bare), order=("late", "dense")),
    )
    assert any("first fire in the order late, dense" in problem for problem in check_program(two))


def test_the_interpreter_refuses_a_block_that_is_in_no_tile() -> None:
    """The core's product comes after a wait, when another page lies over its own."""
    late = with_late_product()
    one = replace(late, reload=replace(reload_of(late, SITES[:1])))
    unit = Interpreter(one, Conditions())
    sequencer = Sequencer(one, unit, DigitalUnit(one.tensors))
    rows = one.matrices[0].rows
    with pytest.raises(ProgramError, match="fires while it is in no tile"):
        sequencer.run({"x": np.ones((1, rows), np.float32)})

"""Exact arithmetic of whole pictures beside that of unfolded ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.digital import DigitalUnit
from mho.runtime.engines.exact import FastExactUnit
from mho.runtime.exact import ExactUnit
from mho.runtime.sequencer import Sequencer
from mho.targets.program import Program
from mho.targets.steps import Analog
from mho.targets.unfolding import Window
from tests.plans import compile_model, draw, machine_of, parse
from tests.runtime.test_machine import CASES


@pytest.mark.parametrize("case", CASES)
def test_all_layers(case: str) -> None:
    model, data = CASES[case]
    program = compile_model(model, data, machine_of())
    wanted, found = (
        Sequencer(program, unit(program), DigitalUnit(program.tensors)).run(data)["y"]
        for unit in (ExactUnit, FastExactUnit)
    )
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5 * float(np.abs(wanted).max()))


def fired_as_picture(program: Program, x: NDArray[np.float32]) -> bool:
    (step,) = program.sequence
    assert isinstance(step, Analog) and isinstance(step.unfolding, Window)
    return FastExactUnit(program).fire_picture(step.name, x, step.unfolding, 0, None) is not None


def test_which_convolutions_are_fired_as_pictures() -> None:
    x = draw(1, 2, 4, 6, 6)
    text = "g (float[n, 4, 6, 6] x) => (float[n, 4, h, v] y) {{ y = {} (x, w) }}"
    plain = compile_model(parse(text.format("Conv"), w=draw(2, 4, 4, 3, 3)), {"x": x}, machine_of())
    assert fired_as_picture(plain, x)
    grouped = compile_model(parse(text.format("Conv <group = 2>"), w=draw(2, 4, 2, 3, 3)), {"x": x}, machine_of())
    assert not fired_as_picture(grouped, x)
    transposed = parse(text.format("ConvTranspose <strides = [2, 2]>"), w=draw(2, 4, 4, 3, 3))
    assert not fired_as_picture(compile_model(transposed, {"x": x}, machine_of()), x)
    (name,) = (key for key in plain.tensors if key.startswith("matrix/"))
    whole = replace(plain, tensors={**plain.tensors, name: np.rint(plain.tensors[name]).astype(np.int8)})
    assert not fired_as_picture(whole, x)

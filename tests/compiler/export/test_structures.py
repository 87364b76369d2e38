"""Branches, loops, sequences and the ONNX standard's own tests with constant weights, as exported models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import mho
from mho.runtime.digital import open_session, run_session
from mho.runtime.effects import Conditions, Effects
from mho.runtime.samples import Samples
from tests.compiler.export.agreement import model_of
from tests.differential.test_structure import STRUCTURES, Structure, assert_close
from tests.differential.test_structure import model_of as parsed
from tests.onnx_suite.test_suite import CONSTANTS, check


def outputs(compiled: mho.Compiled, effects: Effects, inputs: Mapping[str, Any]) -> list[Any]:
    """What the exported model gives."""
    session = open_session(model_of(compiled, Conditions(effects=effects)).SerializeToString())
    names = [port.name for port in compiled.program.outputs]
    return run_session(session, inputs, names)


@pytest.mark.parametrize("case", STRUCTURES, ids=lambda case: case.name)
def test_structures(case: Structure) -> None:
    compiled = mho.compile(parsed(case.text), "hermes64", Samples.whole(case.samples))
    for effects in (Effects.ideal(), Effects.quantised()):
        expected = compiled.run(Samples.whole(case.samples), effects=effects)
        for number, sample in enumerate(case.samples):
            for port, found in zip(compiled.program.outputs, outputs(compiled, effects, sample), strict=True):
                assert_close(found, expected[port.name][number])


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_operators_with_constant_weights(name: str) -> None:
    variant = CONSTANTS[name]
    prepared = check(variant.case, variant.model, [(variant.inputs, variant.expected)])
    assert prepared.compiled is not None
    named = prepared._named(variant.inputs)
    found = outputs(prepared.compiled, Effects.ideal(), named)
    variant.case.check(variant.expected, [value if isinstance(value, list) else np.asarray(value) for value in found])

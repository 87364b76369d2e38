"""The ONNX standard's own tests: whatever onnxruntime passes, the compiled program passes too.

What is skipped is what onnxruntime alone fails, asked anew at every run.
"""

from __future__ import annotations

import onnx
import pytest

from mho.backend import MhoBackend, MhoRep
from mho.passes.lower import explain_rules
from tests.onnx_suite.cases import Case, Values, cases
from tests.onnx_suite.constants import WEIGHTS, Constant, with_constants
from tests.onnx_suite.plain_onnxruntime import refusal

NAMES = sorted(cases())
CONSTANTS = {f"{name}-{variant.choice}": variant for name in NAMES for variant in with_constants(cases()[name])}


def check(case: Case, model: onnx.ModelProto, data: list[tuple[Values, Values]]) -> MhoRep:
    """Runs every data set through one program."""
    why = refusal(case, model, data)
    if why is not None:
        pytest.skip(f"onnxruntime alone fails: {why}")
    prepared = MhoBackend.prepare(model)
    for inputs, expected in data:
        case.check(expected, list(prepared.run(inputs)))
    return prepared


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    case = cases()[name]
    check(case, case.model(), list(case.data()))


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_with_constant_weights(name: str) -> None:
    variant: Constant = CONSTANTS[name]
    prepared = check(variant.case, variant.model, [(variant.inputs, variant.expected)])
    assert prepared.compiled is not None
    if not multiplies_integers(variant.model):
        assert prepared.compiled.program.layers


def multiplies_integers(model: onnx.ModelProto) -> bool:
    """Whether the operators are those of real numbers on integers, which no converter meets."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
    integers = any(value.type.tensor_type.elem_type not in floats for value in model.graph.input)
    return integers and {node.op_type for node in model.graph.node} <= {"MatMul", "Gemm"}


def test_every_analog_operator_is_tested() -> None:
    analog = {support.operator for support in explain_rules() if support.where == "analog"}
    assert {name for name in analog if "." not in name} == set(WEIGHTS)

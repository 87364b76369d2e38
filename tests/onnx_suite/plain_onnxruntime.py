"""onnxruntime alone on a case: what it passes is what must pass as a program."""

from __future__ import annotations

from typing import Any

import onnx

from mho.runtime.digital import open_session, run_session
from mho.targets.errors import ProgramError
from tests.onnx_suite.cases import Case, Values


def refusal(case: Case, model: onnx.ModelProto, data: list[tuple[Values, Values]]) -> str | None:
    """Why onnxruntime fails the case, or None where it passes."""
    try:
        for inputs, expected in data:
            case.check(expected, _outputs(model, inputs))
    except (ProgramError, AssertionError, RuntimeError, TypeError) as error:
        return str(error).strip().partition("\n")[0][:200] or type(error).__name__
    return None


def _outputs(model: onnx.ModelProto, inputs: Values) -> list[Any]:
    session = open_session(model.SerializeToString())
    values = dict(zip([port.name for port in session.get_inputs()], inputs, strict=False))
    return run_session(session, values, [port.name for port in session.get_outputs()])

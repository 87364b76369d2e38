"""onnxruntime alone on a case: what it passes is what must pass as a program."""

from __future__ import annotations

from typing import Any

import onnx

from mho.runtime.digital import open_session, run_session


def outputs_of(model: onnx.ModelProto, inputs: list[Any]) -> list[Any]:
    """The model's outputs for its inputs in order."""
    session = open_session(model.SerializeToString())
    values = dict(zip([port.name for port in session.get_inputs()], inputs, strict=False))
    return run_session(session, values, [port.name for port in session.get_outputs()])

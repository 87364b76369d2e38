"""What onnxruntime computes on samples, optimisations off, fed exactly as a program is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

import mho
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples

Array = NDArray[Any]

IDEAL_TOLERANCE = 1e-4
"""Of an output's largest magnitude: what the order of float32 sums may change in ideal mode."""


def reference(
    model: Path | onnx.ModelProto, compiled: mho.Compiled, data: Mapping[str, Array], state: Mapping[str, str] | None
) -> dict[str, Array]:
    """All outputs over all samples."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in compiled.program.outputs]

    def run(inputs: Mapping[str, Array], first_sample: int) -> dict[str, Any]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run_samples(match_samples(data, compiled.program.inputs, state), run)


def worst_error(found: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """The largest max |y − r| / max |r| of all outputs; shapes and types must be equal."""
    assert list(found) == list(expected)
    errors = []
    for name, wanted in expected.items():
        got = found[name]
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), name
        difference = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max(initial=0)
        errors.append(float(difference / max(np.abs(wanted.astype(np.float64)).max(initial=0), 1e-30)))
    return max(errors)

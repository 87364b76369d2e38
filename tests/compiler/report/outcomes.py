"""Outcomes of validations, as `mho validate --json` writes them."""

from __future__ import annotations

from typing import Any

from mho.targets.program import Program

HOUR_S, DAY_S = 3600.0, 86_400.0

OUTCOME: dict[str, Any] = {
    "samples": 1000,
    "metric": "top1",
    "reference": {"kind": "onnxruntime", "accuracy": 0.9367},
    "runs": [
        {
            "seed": seed,
            "time_s": time_s,
            "accuracy": 0.93 - 0.004 * index - 0.002 * seed,
            "agreement": 0.97 - 0.005 * index,
            "sqnr_db": 21.5 - index,
            "max_abs_error": 0.4,
        }
        for seed in range(3)
        for index, time_s in enumerate((0.0, HOUR_S, DAY_S, 30 * DAY_S))
    ],
    "mean": 0.92,
    "std": 0.004,
    "layers": [{"name": "conv1", "sqnr_db": 28.0}, {"name": "conv2", "sqnr_db": None}, {"name": "fc", "sqnr_db": 12.5}],
}
"""Three seeds read at four times."""


def outcome_of(program: Program) -> dict[str, Any]:
    """The outcome with the names of the program's first layers."""
    names = [layer.name for layer in program.layers]
    layers = [layer | {"name": name} for layer, name in zip(OUTCOME["layers"], names, strict=False)]
    return OUTCOME | {"layers": layers}

"""mho compiles neural networks to machines of analog tiles, and proves how close the results are.

import mho

program = mho.compile("m.onnx", target="hermes64", data=x)
program.run(x)
program.validate(x, y, runs=5)
program.report()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mho.compiled import Compiled
    from mho.driver import compile
    from mho.pipeline import Pipeline
    from mho.report.accuracy import Accuracy
    from mho.report.summary import Report
    from mho.runtime.effects import Effects
    from mho.runtime.samples import Samples
    from mho.targets.catalog import load_target
    from mho.targets.draw_faults import FaultRates, draw_faults
    from mho.targets.errors import MhoError
    from mho.targets.fault_file import read_faults, write_faults
    from mho.targets.faults import FaultMap

    __version__: str

__all__ = [
    "Accuracy",
    "Compiled",
    "Effects",
    "FaultMap",
    "FaultRates",
    "MhoError",
    "Pipeline",
    "Report",
    "Samples",
    "compile",
    "draw_faults",
    "load",
    "load_target",
    "read_faults",
    "write_faults",
]

_HOMES = {
    "Accuracy": "mho.report.accuracy",
    "Compiled": "mho.compiled",
    "Effects": "mho.runtime.effects",
    "FaultMap": "mho.targets.faults",
    "FaultRates": "mho.targets.draw_faults",
    "MhoError": "mho.targets.errors",
    "Pipeline": "mho.pipeline",
    "Report": "mho.report.summary",
    "Samples": "mho.runtime.samples",
    "compile": "mho.driver",
    "draw_faults": "mho.targets.draw_faults",
    "load_target": "mho.targets.catalog",
    "read_faults": "mho.targets.fault_file",
    "write_faults": "mho.targets.fault_file",
}


def load(path: str) -> Compiled:
    """The compiled program of a .mho file; see `mho.Compiled.load`."""
    from mho.compiled import Compiled

    return Compiled.load(path)


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `mho --help` need not wait for onnxruntime and ortools."""
    from importlib import import_module
    from importlib.metadata import version

    if name == "__version__":
        return version("mho")

    if name not in _HOMES:
        raise AttributeError(f"module 'mho' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

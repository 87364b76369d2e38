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
    from mho.runtime.effects import Effects
    from mho.runtime.samples import Samples
    from mho.targets.catalog import load_target
    from mho.targets.errors import MhoError

    __version__: str

__all__ = ["Compiled", "Effects", "MhoError", "Pipeline", "Samples", "compile", "load", "load_target"]

_HOMES = {
    "Compiled": "mho.compiled",
    "Effects": "mho.runtime.effects",
    "MhoError": "mho.targets.errors",
    "Pipeline": "mho.pipeline",
    "Samples": "mho.runtime.samples",
    "compile": "mho.driver",
    "load_target": "mho.targets.catalog",
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

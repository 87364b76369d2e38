"""Which machine runs a program: all have the same draws, and agree up to the rounding of float32."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, assert_never, get_args

from mho.runtime.effects import Conditions
from mho.runtime.engines.scratch import Buffers
from mho.runtime.exact import ExactUnit
from mho.runtime.machine import Machine
from mho.targets.errors import OptionError, plain
from mho.targets.program import Program

Engine = Literal["fast", "reference", "cuda"]
"""`fast`: compiled loops on all cores. `reference`: plain numpy. `cuda`: torch on an NVIDIA GPU."""

ENGINES: tuple[Engine, ...] = get_args(Engine)


def open_machine(program: Program, conditions: Conditions, engine: Engine, buffers: Buffers) -> Machine:
    """A program's machine under some conditions.

    Args:
        buffers: arrays for results, used again from machine to machine.

    Raises:
        OptionError: the conditions are impossible on the program's machine, or the engine is not to be had here.
    """
    match engine:
        case "fast":
            from mho.runtime.engines.fused import FusedMachine

            return FusedMachine(program, conditions, buffers)
        case "reference":
            return Machine(program, conditions)
        case "cuda":
            require_cuda()
            from mho.runtime.engines.cuda import CudaMachine

            return CudaMachine(program, conditions)
        case _:
            assert_never(engine)


def open_exact(program: Program, engine: Engine) -> ExactUnit:
    """Exact arithmetic on a program's layers."""
    if engine == "reference":
        return ExactUnit(program)
    from mho.runtime.engines.exact import FastExactUnit

    return FastExactUnit(program)


def require_engine(engine: str) -> None:
    """Refuses an engine that does not exist or is not to be had here.

    Raises:
        OptionError: says what is missing.
    """
    if engine not in ENGINES:
        raise OptionError(f"there is no engine {plain(engine)}; the engines are {', '.join(ENGINES)}")
    if engine == "cuda":
        require_cuda()


def require_cuda() -> None:
    """Refuses machines without PyTorch or without an NVIDIA GPU.

    Raises:
        OptionError: says which of them is missing.
    """
    if find_spec("torch") is None:
        raise OptionError(
            "the engine cuda needs PyTorch, which is not installed here: pip install 'mho[cuda]', "
            "or choose the engine fast"
        )
    from mho.runtime.engines.cuda import gpu_present

    if not gpu_present():
        raise OptionError("the engine cuda needs an NVIDIA GPU, and PyTorch finds none here; choose the engine fast")

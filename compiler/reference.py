"""What results are compared with: the model in onnxruntime, or the program in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mho.runtime.digital import open_session, run_session
from mho.runtime.samples import Samples, Values, run_samples
from mho.targets.errors import ModelError, OptionError, ProgramError, plain
from mho.targets.steps import Port


def model_outputs(
    model: Path, outputs: tuple[Port, ...], samples: Samples, advance: Callable[[int], None], threads: int = 0
) -> dict[str, Values]:
    """What onnxruntime gives for a model, by name.

    Args:
        outputs: those of the program that is compared with it.
        advance: told the number of samples that are done.
        threads: 0 takes all cores.

    Raises:
        ModelError: the file is missing or cannot be run.
        OptionError: it is another model than the program's.
    """
    session = _open(model, threads)
    names = [port.name for port in outputs]
    missing = set(names) - {o.name for o in session.get_outputs()}
    if missing:
        raise OptionError(f"{model} is another model: it has no output {plain(', '.join(sorted(missing)))}")

    def run(inputs: Mapping[str, Any], start: int) -> dict[str, Any]:
        try:
            return dict(zip(names, run_session(session, inputs, names), strict=True))
        except ProgramError as error:
            raise OptionError(f"{model} is another model, which the data does not suit: {error}") from error

    return run_samples(samples, run, advance, outputs)


def _open(model: Path, threads: int) -> Any:
    """An onnxruntime session on the model, with threads of its own."""
    if not model.is_file():
        raise ModelError(f"{model}: there is no such file to compare with")
    try:
        return open_session(str(model), threads=threads)
    except ProgramError as error:
        raise ModelError(f"{model} cannot be compared with: {error}") from error

"""What a user may ask of a run: effects, compensation and recalibration that contradict each other are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_args

from mho.data import Data, read_data, refuse_useless
from mho.runtime.effects import Conditions, Effects, effects_of, impossible
from mho.runtime.matching import match_samples
from mho.runtime.recalibrate import Recalibration
from mho.runtime.simulator import Simulator
from mho.targets.errors import DataError, OptionError, plain
from mho.targets.program import Program
from mho.targets.target import Compensation

EFFECTS = tuple(f.name for f in fields(Effects))


def require_possible(program: Program, conditions: Iterable[Conditions], recalibrates: bool) -> None:
    """Refuses what cannot be run on the program's machine.

    Args:
        conditions: of all runs.

    Raises:
        OptionError: effects, compensation and recalibration contradict each other or the machine; all problems at once.
    """
    problems = dict.fromkeys(
        problem
        for each in conditions
        for problem in (*contradictions(each, recalibrates), *impossible(program.target, each))
    )
    if problems:
        raise OptionError(problems)


def contradictions(conditions: Conditions, recalibrates: bool) -> Iterator[str]:
    """What no machine can do at once, in sentences."""
    effects, wanted = conditions.effects, conditions.compensation
    if wanted not in (None, *get_args(Compensation)):
        allowed = ", ".join(get_args(Compensation))
        yield f"compensation {plain(str(wanted))} does not exist; the compensations are {allowed}"
    elif wanted not in (None, "none"):
        off = [name for name in ("drift", "compensation") if not getattr(effects, name)]
        if off:
            are = "is" if len(off) == 1 else "are"
            yield f"{wanted} compensation cannot act while {' and '.join(off)} {are} off: leave one of them out"
    if recalibrates and effects == Effects.ideal():
        yield "without any effect the machine is exact, so there is nothing to recalibrate: leave one of them out"


def compensation_of(program: Program, conditions: Conditions) -> Compensation | None:
    """The compensation of drift that acts under conditions; None where nothing drifts."""
    device, effects = program.target.device, conditions.effects
    if device.model == "ideal" or not effects.drift:
        return None
    return (conditions.compensation or device.compensation) if effects.compensation else "none"


def effects_off(conditions: Conditions) -> tuple[str, ...]:
    """The effects that are switched off."""
    return tuple(name for name in EFFECTS if not getattr(conditions.effects, name))


def lacked(program: Program, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the effects that the program's machine does not have, so that their switch changes nothing."""
    present = effects_of(program.target, program.faults)
    return tuple(name for name in names if name not in present)


def open_recalibration(
    simulator: Simulator, data: Data | None, state: Mapping[str, str] | None = None
) -> Recalibration | None:
    """What recalibrates a program's machines on a user's samples; None where there are none.

    Raises:
        DataError: the samples do not suit the program, are fewer than two, or are no numbers.
        OptionError: there is no layer to recalibrate.
    """
    if data is None:
        return None
    where = plain(str(data)) if isinstance(data, str | Path) else "recalibrate"
    try:
        samples = match_samples(read_data(data), simulator.program.inputs, state)
        refuse_useless(samples)
        return simulator.recalibration(samples)
    except DataError as error:
        raise DataError(p if p.startswith(where) else f"{where}: {p}" for p in error.problems) from None

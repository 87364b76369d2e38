"""`Axis`: one setting and the values that a study gives it, read from the study's file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from mho.conditions import EFFECTS
from mho.pipeline import Pipeline
from mho.targets.errors import OptionError, brief, plain
from mho.targets.schema import is_key, keys, nearest
from mho.times import seconds_of

Kind = Literal["seed", "read_seed", "time", "off", "target", "digital", "field", "option"]
"""What a setting acts on: the first four on a run, the others on what is compiled; `field` is a key of the machine and
`option` one of a pass."""

FRIENDLY = {
    "adc_bits": "adc.bits",
    "adc_range": "adc.range",
    "dac_bits": "dac.bits",
    "out_noise": "noise.output",
    "input_noise": "noise.input",
    "weight_noise": "noise.weight",
    "device": "device.model",
    "compensation": "device.compensation",
    "devices_per_weight": "crossbar.devices_per_weight",
    "weight_scale": "crossbar.weight_scale",
    "rows": "crossbar.rows",
    "columns": "crossbar.columns",
}
"""Short names of what is varied most → keys of the machine."""

PLAIN: tuple[Kind, ...] = ("seed", "read_seed", "time", "off", "target", "digital")
COLUMNS = {"time": "time_s"}
MOST_VALUES = 100_000
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Axis:
    """A setting and its values.

    Attributes:
        column: its name in the table.
        key: the key of the machine or of the pass, dotted; else the kind.
        values: seeds as integers, times in seconds, effects and layers as tuples of names.
    """

    column: str
    kind: Kind
    key: str
    values: tuple[Any, ...]


def flattened(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The axes of a table: in TOML, `adc.bits = […]` is a table within a table."""
    for name, value in table.items():
        if isinstance(value, dict) and not _is_range(value):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def read_axis(name: str, given: Any) -> Axis:
    """An axis as the file has it: a list of values, one value, or a range of whole numbers.

    Raises:
        OptionError: there is no such setting, or values are none for it; all problems at once.
    """
    kind, key = _meant(name)
    values = _listed(name, given)
    read = [_value(name, kind, value) for value in values]
    problems = [found.args[0] for found in read if isinstance(found, ValueError)]
    if not values:
        problems.append(f"{plain(name)} has no value; leave it out, or give it one")
    seen = [json.dumps(value, sort_keys=True, default=str) for value in read]
    twice = dict.fromkeys(text for place, text in enumerate(seen) if text in seen[:place]) if not problems else {}
    problems += [f"{plain(name)} has the value {brief(text)} more than once" for text in twice]
    if problems:
        raise OptionError(problems)
    return Axis(COLUMNS.get(name, name), kind, key, tuple(read))


def _meant(name: str) -> tuple[Kind, str]:
    for kind in PLAIN:
        if name == kind:
            return kind, name
    key = FRIENDLY.get(name, name)
    if is_key(key):
        return "field", key
    passes = _options()
    if key in passes:
        return "option", key
    guess = nearest(name, (*PLAIN, *FRIENDLY, *keys(), *passes))
    meant = f"; did you mean {guess}?" if guess else "."
    raise OptionError(
        f"{plain(name)} is no setting{meant} Settings are {', '.join(PLAIN)}, the machine's keys such as adc.bits or "
        f"their short names ({', '.join(FRIENDLY)}), and options of passes such as pack.mode"
    )


def _options() -> tuple[str, ...]:
    """Every option of every pass, `pass.option`; constraints and layers left digital are no plain values."""
    defaults = Pipeline()
    return tuple(
        f"{one.name}.{option.name}" for one in fields(Pipeline) for option in fields(getattr(defaults, one.name))
    )


def _is_range(value: dict[str, Any]) -> bool:
    return {"from", "to"} <= set(value) <= {"from", "to", "step"}


def _listed(name: str, given: Any) -> list[Any]:
    if not isinstance(given, dict):
        return given if isinstance(given, list) else [given]
    first, last, step = given["from"], given["to"], given.get("step", 1)
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (first, last, step))
    if not whole or step < 1 or last < first:
        raise OptionError(
            f"{plain(name)}: a range is {{ from = 0, to = 9, step = 1 }}, of whole numbers, both included"
        )
    count = (last - first) // step + 1
    if count > MOST_VALUES:
        raise OptionError(f"{plain(name)}: {count:,} values are more than {MOST_VALUES:,}, the most that an axis has")
    return list(range(first, last + 1, step))


def _value(name: str, kind: Kind, value: Any) -> Any:
    """A value as runs take it, or a ValueError that says why it is none."""
    shown = f"{plain(name)} = {brief(repr(value))}"
    match kind:
        case "seed" | "read_seed":
            fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SEED
            return value if fits else ValueError(f"{shown}: a seed is a whole number from 0")
        case "time":
            seconds = _seconds(value)
            return (
                ValueError(f"{shown}: is not a time such as 0s, 90s, 10m, 1h, 1d or 1y") if seconds is None else seconds
            )
        case "target":
            return value if isinstance(value, str) else ValueError(f"{shown}: must be the name of a machine or a path")
        case "off" | "digital":
            names = [value] if isinstance(value, str) else value
            if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                return ValueError(f'{shown}: must be a list of names, as in {name} = [[], ["first", "second"]]')
            unknown = [n for n in names if kind == "off" and n not in EFFECTS]
            known = f"the effects are {', '.join(EFFECTS)}"
            return ValueError(f"{shown}: {brief(unknown[0])} is no effect; {known}") if unknown else tuple(names)
        case _:
            return value


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        return seconds_of(value)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15
    return float(value) if fits else None

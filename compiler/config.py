"""Options of the pipeline from a TOML file and from flags, checked against the passes themselves."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mho.passes.constrain.constrain import Constrain
from mho.pipeline import Pipeline
from mho.targets.errors import OptionError, brief, plain
from mho.targets.files import read_bounded

Tables = Mapping[str, Mapping[str, Any]]

MOST_BYTES = 2**20


def read_config(path: Path) -> Tables:
    """The tables of a configuration file: one a pass, its keys the pass's options.

    Raises:
        OptionError: the file is missing, not TOML, or names what does not exist; all problems at once.
    """
    try:
        table = tomllib.loads(read_bounded(path, MOST_BYTES).decode())
    except FileNotFoundError as error:
        raise OptionError(f"{plain(str(path))} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{plain(str(path))} is not a TOML file: {plain(str(error))}") from error
    problems = list(unknown_options(table, plain(str(path))))
    if problems:
        raise OptionError(problems)
    return table


def read_constraints(path: Path) -> Mapping[str, Any]:
    """The options of the pass `constrain` from a file of their own: JSON where its name ends so, else TOML.

    Raises:
        OptionError: the file is missing, is neither, or names what does not exist; all problems at once.
    """
    parse: Callable[[str], Any] = json.loads if path.suffix == ".json" else tomllib.loads
    kind = "JSON" if path.suffix == ".json" else "TOML"
    label, known = plain(str(path)), [f.name for f in fields(Constrain)]
    try:
        table = parse(read_bounded(path, MOST_BYTES).decode())
    except FileNotFoundError as error:
        raise OptionError(f"{label} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{label} is not a {kind} file: {plain(str(error))}") from error
    if not isinstance(table, dict):
        raise OptionError(f"{label}: must be a table with the keys {', '.join(known)}")
    problems = [f"{label}: {plain(key)} is no constraint{_guess(key, known)}" for key in table if key not in known]
    if problems:
        raise OptionError(problems)
    return table


def with_constraints(config: Tables, more: Iterable[Mapping[str, Any]]) -> Tables:
    """The tables with further constraints beside those that they have: none takes the place of another.

    Raises:
        OptionError: a constraint is no list or table.
    """
    merged: dict[str, Any] = {}
    for constraints in (config.get("constrain", {}), *more):
        for key, value in constraints.items():
            if key == "pin" and isinstance(value, Mapping):
                pins = merged.setdefault("pin", {})
                merged["pin"] = pins | {name: (*pins.get(name, ()), *_places(where)) for name, where in value.items()}
            elif key != "pin" and isinstance(value, list | tuple):
                merged[key] = (*merged.get(key, ()), *value)
            else:
                kind = "table of layers" if key == "pin" else "list"
                raise OptionError(f"constrain.{key} = {brief(repr(value))}: must be a {kind}")
    return {**config, "constrain": merged} if any(merged.values()) else config


def _places(where: Any) -> tuple[Any, ...]:
    return tuple(where) if isinstance(where, list | tuple) else (where,)


def build_pipeline(config: Tables, flags: Tables) -> Pipeline:
    """The pipeline with these options, flags before the file's.

    Raises:
        OptionError: a value has the wrong type or range, naming pass and option.
    """
    merged = {name: {**config.get(name, {}), **flags.get(name, {})} for name in {*config, *flags}}
    try:
        return _adapter().validate_python(merged)
    except ValidationError as error:
        raise OptionError(_sentence(detail) for detail in error.errors(include_url=False)) from None


def require_sound_options(pipeline: Pipeline) -> None:
    """Checks options that were set in Python as those of a file are.

    Raises:
        OptionError: a value has the wrong type or range, naming pass and option.
    """
    build_pipeline(asdict(pipeline), {})


@cache
def _adapter() -> TypeAdapter[Pipeline]:
    return TypeAdapter(Pipeline)


def _sentence(detail: Any) -> str:
    # A union of types puts the name of each type it tried behind the option; the option is what users know.
    key = ".".join(str(part) for part in detail["loc"][:2])
    return f"option {key} = {brief(repr(detail['input']))}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def unknown_options(table: Mapping[str, Any], label: str) -> list[str]:
    """What a configuration names that does not exist, in sentences."""
    defaults = Pipeline()
    passes = {f.name: {o.name for o in fields(getattr(defaults, f.name))} for f in fields(Pipeline)}
    problems = []
    for name, options in table.items():
        if name not in passes:
            problems.append(f"{label}: [{plain(name)}] is no pass{_guess(name, passes)}")
        elif not isinstance(options, dict):
            problems.append(f"{label}: {plain(name)} must be a table of options")
        else:
            problems += [
                f"{label}: {name}.{plain(key)} is no option{_guess(key, passes[name])}"
                for key in options
                if key not in passes[name]
            ]
    return problems


def _guess(word: str, known: Any) -> str:
    close = get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"

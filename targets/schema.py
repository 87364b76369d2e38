"""What a machine description may say: finds every mistake in a table and puts it into a sentence."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from mho.targets.contradictions import contradictions
from mho.targets.errors import plain
from mho.targets.target import DigitalUnit, Source, Target

Table = dict[str, Any]

LONGEST_VALUE = 60
SECTIONS = tuple(f.name for f in fields(Target))[2:]
"""The tables of a file; its other two entries are the name, which the file gives, and the title."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one key: `key` is dotted, `text` follows it in a sentence."""

    key: str
    text: str


def build(table: Table) -> Target:
    """The target that a table without `problems` describes.

    Raises:
        pydantic.ValidationError: if the table has problems.
    """
    return _adapter().validate_json(json.dumps(table), strict=True)


def problems(table: Table) -> tuple[Problem, ...]:
    """Everything that is wrong with a table, in the order of the keys of `Target`; empty if it describes one."""
    try:
        target = build(table)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        found = [_problem(detail, table) for detail in details]
    else:
        found = [Problem(key, text) for key, text in contradictions(target)]
    return tuple({p.key: p for p in (*found, *_idle_sources(table))}.values())


@cache
def keys() -> dict[str, Any]:
    """Every dotted key of a machine with the type of its value, `name` and the sources left out."""
    return {key: hint for key, hint in _leaves(Target, "") if key != "name"}


def is_key(key: str) -> bool:
    """Whether a machine can have such a dotted key; units are named by the file."""
    section, _, name = key.rpartition(".")
    return key in keys() or (section.startswith("units.") and name in get_type_hints(DigitalUnit))


def allowed(hint: Any) -> str:
    """The values that a type allows, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if Source in parts:
        return "a text"
    if is_dataclass(hint):
        return f"a table of {', '.join(get_type_hints(hint))}"
    if origin is dict:
        return "a table of tables" if is_dataclass(parts[1]) else "a table of texts"
    if origin is Annotated:
        return allowed(parts[0]) if get_origin(parts[0]) is tuple else _number(parts[0], parts[1].metadata)
    if origin is Literal:
        return _alternatives([json.dumps(p) for p in parts])
    if origin in (Union, types.UnionType):
        return _alternatives([allowed(p) for p in parts if p is not types.NoneType])
    if hint is bool:
        return "true or false"
    if origin is tuple:
        return f"a list of {allowed(parts[0])}"
    return "a text"


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that `word` most likely stands for, or None."""
    found = get_close_matches(word, known, 1)
    if found:
        return found[0]
    ends = {name.rpartition(".")[2]: name for name in known}
    found = get_close_matches(word.rpartition(".")[2], ends, 1)
    return ends[found[0]] if found else None


@cache
def _adapter() -> TypeAdapter[Target]:
    return TypeAdapter(Target)


def _leaves(kind: type, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if is_dataclass(hint):
            yield from _leaves(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        elif get_origin(hint) is not dict and not name.startswith("__"):
            yield f"{prefix}{name}", hint


def _problem(detail: ErrorDetails, table: Table) -> Problem:
    if detail["type"] == "unexpected_keyword_argument":
        return _unknown(".".join(str(part) for part in detail["loc"]))
    key, hint = _locate(detail["loc"])
    if detail["type"] == "missing":
        return Problem(key, f"is missing; it must be {allowed(hint)}")
    return Problem(key, f"= {shown(_value(table, key))}: must be {allowed(hint)}")


def _unknown(key: str) -> Problem:
    known = tuple(keys())
    guess = nearest(key, known if "." in key else (*SECTIONS, *known))
    if guess is not None:
        return Problem(key, f"is not a known key; the nearest one is {guess}")
    section = key.rpartition(".")[0]
    here = [name for name in known if name.rpartition(".")[0] == section] or list(known)
    return Problem(key, f"is not a known key; known here: {', '.join(here)}")


def _locate(location: tuple[int | str, ...]) -> tuple[str, Any]:
    """The dotted key of an error and the type wanted there; what lies inside a value belongs to its key."""
    hint: Any = Target
    path: list[str] = []
    for part in location:
        if is_dataclass(hint):
            hint = get_type_hints(hint, include_extras=True)[str(part)]
        elif get_origin(hint) is dict:
            hint = get_args(hint)[1]
        else:
            break
        path.append(str(part))
    return ".".join(path), hint


def _value(table: Table, key: str) -> object:
    """The value at a dotted key whose tables exist; the sources' own keys hold dots."""
    value: Any = table
    while key:
        head, _, key = (key, "", "") if key in value else key.partition(".")
        value = value[head]
    return value


def shown(value: object) -> str:
    """A value as its file has it, shortened, harmless to a terminal."""
    text = plain(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _number(kind: type, constraints: list[Any]) -> str:
    low = [f"at least {c.ge}" for c in constraints if hasattr(c, "ge")]
    low += [f"above {c.gt}" for c in constraints if hasattr(c, "gt")]
    high = [f"at most {c.le}" for c in constraints if hasattr(c, "le")]
    noun = "a whole number" if kind is int else "a finite number"
    return f"{noun} {' and '.join(low + high)}".replace(" at least", " of at least")


def _alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _idle_sources(table: Table) -> Iterator[Problem]:
    """Sources of nothing: a slip in the key would leave the number that was meant without one."""
    sources = table.get("sources")
    for key in sources if isinstance(sources, dict) else ():
        if not is_key(key):
            yield Problem(f"sources.{key}", _unknown(key).text)

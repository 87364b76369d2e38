"""A machine with some of its numbers changed, as studies vary them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mho.targets.errors import TargetError, plain
from mho.targets.schema import Problem, Table, allowed, build, is_key, keys, nearest, problems
from mho.targets.target import Target


def with_fields(target: Target, values: Mapping[str, Any]) -> Target:
    """The machine with other values at dotted keys, such as `adc.bits`; what is known of their sources is dropped.

    Args:
        values: as a machine's file has them; "none" stands for an unknown or absent value where the key has no word
            of its own for it.

    Raises:
        TargetError: with everything that is wrong with the keys, the values, and what they make together.
    """
    table: Table = asdict(target)
    found = [_misplaced(key, table) for key in values]
    missing = [problem for problem in found if problem is not None]
    if not missing:
        for key, value in values.items():
            *path, name = key.split(".")
            _section(table, path)[name] = None if _means_nothing(key, value) else value
            table["sources"].pop(key, None)
        missing = list(problems(table))
    if missing:
        raise TargetError(f"{plain(target.name)}: {plain(p.key)} {plain(p.text)}" for p in missing)
    return build(table)


def _misplaced(key: str, table: Table) -> Problem | None:
    """Why a key cannot be changed; None where it can."""
    *path, _ = key.split(".")
    if is_key(key) and path and _section(table, path) is not None:
        return None
    guess = nearest(key, tuple(keys()))
    return Problem(key, "is not a key of this machine" + (f"; the nearest one is {guess}" if guess else ""))


def _section(table: Table, path: list[str]) -> Any:
    inner: Any = table
    for part in path:
        inner = inner.get(part) if isinstance(inner, dict) else None
    return inner


def _means_nothing(key: str, value: object) -> bool:
    return value == "none" and '"none"' not in allowed(keys().get(key))

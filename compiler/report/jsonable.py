"""Values as JSON has them: no infinity, no NaN, whole numbers without a point."""

from __future__ import annotations

from math import isfinite
from typing import Any


def number(value: float | None) -> float | int | None:
    """A number, whole where it is, None where it is not finite."""
    if value is None or not isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value


def jsonable(value: object) -> Any:
    """`value` with every number in it as `number` gives it, and tuples as lists."""
    match value:
        case float():
            return number(value)
        case dict():
            return {key: jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case _:
            return value

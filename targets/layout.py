"""How the dataclasses of a program are laid out as lines of text, read off their fields.

A field of one dataclass is a line of its own below its owner, named after the field; one that may be None is so where
it has lines below it. A tuple of dataclasses is a line each, named by their `op`, else by the field in the singular;
everything else is written `field=value` on the owner's line. `Site` counts as a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from mho.targets.isa import Site

SINGULAR = {"matrices": "matrix", "schedule": "slot", "stuck": "stuck", "pareto": "point"}


@dataclass(frozen=True)
class Value:
    """A field on its owner's line. `default` is MISSING where the field must be written."""

    name: str
    default: object
    holds_sites: bool


@dataclass(frozen=True)
class Child:
    """A line below its owner's line: of the dataclass `kind`, for `field`, which takes one or `many`."""

    field: str
    kind: Any
    many: bool


@dataclass(frozen=True)
class Layout:
    """How a dataclass is written.

    Attributes:
        children: keyword of the line → what it holds.
        many: fields that hold a tuple of lines.
    """

    values: tuple[Value, ...]
    children: Mapping[str, Child]
    many: tuple[str, ...]


@cache
def layout(kind: Any) -> Layout:
    """The layout of a dataclass; fields without a repr are left out."""
    hints = get_type_hints(kind)
    values: list[Value] = []
    children: dict[str, Child] = {}
    many: list[str] = []
    for field in (f for f in fields(kind) if f.repr and f.name != "op"):
        hint = hints[field.name]
        items = _line_kinds(get_args(hint)[0]) if get_origin(hint) is tuple else ()
        single = _without_none(hint)
        if _line_kinds(single) == (single,) and (single == hint or layout(single).children):
            children[field.name] = Child(field.name, single, many=False)
        elif items:
            many.append(field.name)
            children |= {keyword(item, field.name): Child(field.name, item, many=True) for item in items}
        else:
            values.append(Value(field.name, _default(field), _holds_sites(hint)))
    return Layout(tuple(values), children, tuple(many))


def layout_of(node: Any) -> Layout:
    """The layout of an instance's dataclass."""
    kind: Any = type(node)
    return layout(kind)


@cache
def keyword(kind: Any, field: str) -> str:
    """What the line of an item of a field begins with."""
    ops = [f.default for f in fields(kind) if f.name == "op"]
    return str(ops[0]) if ops else SINGULAR.get(field, field[:-1])


def _without_none(hint: Any) -> Any:
    """The one type that a value has where it is not None; any other type as it is."""
    members = [member for member in get_args(hint) if member is not NoneType]
    return members[0] if get_origin(hint) in (Union, UnionType) and len(members) == 1 else hint


def _line_kinds(hint: Any) -> tuple[Any, ...]:
    """The dataclasses that a type consists of, where it consists of such alone."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return members if all(is_dataclass(m) and m is not Site for m in members) else ()


def _holds_sites(hint: Any) -> bool:
    return hint is Site or Site in get_args(hint)


def _default(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default

"""Hypothesis strategies read off the fields of the program's dataclasses, hostile names included."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from mho.targets.steps import Body
from mho.targets.target import Fraction

Strategy = st.SearchStrategy[Any]

SCALARS: dict[Any, Strategy] = {
    int: st.integers(-(2**40), 2**40),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=8),
    NoneType: st.none(),
    Any: st.none(),
}
CHECKED: dict[Any, Strategy] = {int: st.integers(2, 24), float: st.floats(1e-300, 1e300)}
"""Numbers that every limit of an annotated field allows but that of a fraction."""


@cache
def anything(hint: Any) -> Strategy:
    """Values of a type: a scalar, a literal, a tuple, a dictionary, a union or a dataclass of such."""
    arguments = get_args(hint)
    if hint in SCALARS:
        return SCALARS[hint]
    if hint == Fraction:
        return st.floats(0, 1)
    if get_origin(hint) is Annotated and get_origin(arguments[0]) is tuple:
        return st.lists(anything(get_args(arguments[0])[0]), min_size=1, max_size=2).map(tuple)
    if get_origin(hint) is Annotated:
        return CHECKED[arguments[0]] if arguments[0] in CHECKED else anything(arguments[0])
    if get_origin(hint) is Literal:
        return st.sampled_from(arguments)
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*map(anything, arguments))
    if get_origin(hint) is dict:
        return st.dictionaries(anything(arguments[0]), anything(arguments[1]), max_size=2)
    if get_origin(hint) is tuple and arguments[-1] is Ellipsis:
        return st.lists(anything(arguments[0]), max_size=2).map(tuple)
    if get_origin(hint) is tuple:
        return st.tuples(*map(anything, arguments))
    hints = get_type_hints(hint, include_extras=True)
    if hint is Body:
        names = anything(hints["inputs"])
        return st.builds(Body, inputs=names, steps=st.deferred(lambda: anything(hints["steps"])), outputs=names)
    return st.builds(hint, **{f.name: anything(hints[f.name]) for f in fields(hint)})

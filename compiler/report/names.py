"""Names from models, made short enough for a column and still told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mho.targets.errors import plain

MOST_CHARACTERS = 30

_HEADS = (0.5, 0.75, 0.25, 1.0, 0.0)


def shortened(names: Iterable[str], most: int = MOST_CHARACTERS) -> Mapping[str, str]:
    """Each name with its middle left out: `model/dense/Ma…e/BiasAdd`, at most `most` characters.

    Control characters are written out first. Names whose head and tail agree are cut elsewhere, and
    where no cut tells them apart they get a number: two names never look the same.
    """
    unique = tuple(dict.fromkeys(names))
    shown = {name: _cut(plain(name), most, _HEADS[0]) for name in unique}
    groups: dict[str, list[str]] = {}
    for name, text in shown.items():
        groups.setdefault(text, []).append(name)
    taken = set(groups)
    for group in (group for group in groups.values() if len(group) > 1):
        apart = _told_apart(group, most, taken)
        taken.update(apart.values())
        shown |= apart
    return shown


def _cut(text: str, most: int, head: float) -> str:
    """The text without its middle; `head` is the part of the room that the beginning gets."""
    if len(text) <= most:
        return text
    first = round((most - 1) * head)
    last = most - 1 - first
    return f"{text[:first]}…{text[len(text) - last :]}"


def _told_apart(names: list[str], most: int, taken: set[str]) -> dict[str, str]:
    for head in _HEADS[1:]:
        cut = {name: _cut(plain(name), most, head) for name in names}
        texts = set(cut.values())
        if len(texts) == len(names) and texts.isdisjoint(taken):
            return cut
    return _numbered(names, most, taken)


def _numbered(names: list[str], most: int, taken: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    number = 0
    for name in names:
        text = ""
        while not text or text in taken:
            number += 1
            suffix = f" ({number})"
            text = _cut(plain(name), most - len(suffix), _HEADS[0]) + suffix
        found[name] = text
    return found

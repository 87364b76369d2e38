"""The words of constraints: `NAME`, `NAME#REPLICA`, `NAME[ROWS,COLUMNS]` for blocks, `CHIP` or `CHIP:X,Y` for places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mho.passes.levels.demands import Part
from mho.passes.tile.named import guess
from mho.targets.errors import plain
from mho.targets.fault_file import LARGEST_INDEX, parse_site
from mho.targets.isa import Site, Span

_PART = re.compile(r"(?P<name>.+?)(#(?P<replica>\d{1,9}))?(\[(?P<rows>\d*:\d*),(?P<columns>\d*:\d*)\])?", re.DOTALL)
_COMMA = re.compile(r",(?![^\[\]]*\])")


class WordError(ValueError):
    """A word of a constraint that means nothing; its text is the rest of a sentence about it."""


def listed(text: str) -> tuple[str, ...]:
    """The words of `A,B,…`; the comma within brackets belongs to its word."""
    return tuple(word.strip() for word in _COMMA.split(text))


@dataclass(frozen=True)
class Vocabulary:
    """What names mean in a network.

    Attributes:
        matrices: name of a layer, matrix or node → the matrices that it means.
        shapes: matrix → rows and columns.
    """

    matrices: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, tuple[int, int]]

    def part(self, word: str) -> Part:
        """The part that a word names; a name that looks like more than a name is a name first.

        Raises:
            WordError: there is no such layer, or a slice is empty.
        """
        if word in self.matrices:
            return Part(word, self.matrices[word])
        match = _PART.fullmatch(word)
        name = match["name"] if match else word
        if match is None or name not in self.matrices:
            raise WordError(f"names {plain(name)}, which has no weights on tiles{guess(name, self.matrices)}")
        matrices = self.matrices[name]
        rows, columns = (
            _span(match[axis], max(self.shapes[m][side] for m in matrices))
            for side, axis in enumerate(("rows", "columns"))
        )
        return Part(word, matrices, None if match["replica"] is None else int(match["replica"]), rows, columns)


def _span(text: str | None, size: int) -> Span | None:
    """`first:stop` of an axis, either of them left out."""
    if text is None or text == ":":
        return None
    first, _, stop = text.partition(":")
    span = int(first or 0), min(int(stop or size), size)
    if span[0] >= span[1]:
        raise WordError(f"names the slice {text}, which is empty of {size} lines")
    return span


def place(words: Iterable[str | int]) -> tuple[int | None, tuple[Site, ...]]:
    """The one chip, or the cores, that the words of a pin name; cores may stand in one text with spaces between.

    Raises:
        WordError: they name neither a chip nor cores, or several chips.
    """
    single = [word for text in words for word in str(text).split()]
    chips = [int(word) for word in dict.fromkeys(single) if re.fullmatch(r"\d{1,10}", word)]
    cores = [parse_site(word) for word in dict.fromkeys(single) if not re.fullmatch(r"\d{1,10}", word)]
    found = tuple(core for core in cores if core is not None)
    if len(found) < len(cores) or not single or max(chips, default=0) > LARGEST_INDEX:
        raise WordError(
            f'= "{plain(" ".join(single))}": must be a chip such as 0, or cores such as 0:3,4 (chip, column, row)'
        )
    if len(chips) > 1:
        raise WordError(f"pins to the chips {_and(chips)}: its blocks can be on one of them only; give one")
    if chips and any(core.chip != chips[0] for core in found):
        raise WordError(f"pins to chip {chips[0]} and to cores of other chips; give one of both")
    return (None, found) if found else (chips[0], ())


def _and(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"

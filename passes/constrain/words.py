"""The words of constraints: `NAME`, `NAME#REPLICA`, `NAME[ROWS,COLUMNS]` for blocks, `CHIP`, `CHIP:X,Y` for places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mho.passes.levels.demands import Part
from mho.passes.tile.named import guess
from mho.targets.errors import plain
from mho.targets.fault_file import LARGEST_INDEX, parse_site
from mho.targets.isa import Site, Span

_PART = re.compile(r"(?P<name>.+?)(#(?P<replica>\d{1,9}))?(\[(?P<rows>\d*:\d*),(?P<columns>\d*:\d*)\])?", re.DOTALL)


class WordError(ValueError):
    """A word of a constraint that means nothing; its text is the rest of a sentence about it."""


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


def place(words: Iterable[str | int]) -> tuple[int, tuple[Site, ...]]:
    """The chip, and the cores of it, that the words of a pin name; cores may stand in one text with spaces between.

    Raises:
        WordError: they name neither a chip nor cores, or several chips.
    """
    single = list(dict.fromkeys(word for text in words for word in str(text).split()))
    chips = [int(word) for word in single if re.fullmatch(r"\d{1,10}", word)]
    cores = [parse_site(word) for word in single if not re.fullmatch(r"\d{1,10}", word)]
    found = tuple(core for core in cores if core is not None)
    if len(found) < len(cores) or not single or max(chips, default=0) > LARGEST_INDEX:
        raise WordError(
            f'= "{plain(" ".join(single))}": must be a chip such as 0, or cores such as 0:3,4 (chip, column, row)'
        )
    named = sorted({*chips, *(core.chip for core in found)})
    if len(named) > 1:
        raise WordError(
            f"names the chips {', '.join(map(str, named[:-1]))} and {named[-1]}: give one; parts of a layer may be "
            "pinned apart (NAME#REPLICA, NAME[ROWS,COLUMNS])"
        )
    return named[0], found

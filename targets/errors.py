"""The one family of exceptions that mho raises for a user's mistake."""

from __future__ import annotations

from collections.abc import Iterable

PROBLEMS_SHOWN = 20
PROBLEM_CHARACTERS = 1000
NAME_CHARACTERS = 120


class MhoError(Exception):
    """What is wrong with the input, in sentences that a user can act on.

    Each problem names what, where (file, node, layer, key), the limit, and what to do. All problems found
    together are reported together, the most important first; a screen of them is shown and the others are counted.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = first_problems([problems] if isinstance(problems, str) else problems)
        super().__init__("\n".join(self.problems))

    def _render_traceback_(self) -> list[str]:
        """What IPython and notebooks show: the sentences, without the way through the compiler to them."""
        return [f"{type(self).__name__}: {self}"]


class ModelError(MhoError):
    """The ONNX model cannot be loaded or compiled."""


class TargetError(MhoError):
    """The machine description cannot be found, read or used."""


class FitError(MhoError):
    """The network does not fit the machine under the given options."""


class DataError(MhoError):
    """The data does not suit the model: names, shapes, types or values."""


class ProgramError(MhoError):
    """The compiled program is damaged, too new, or not one at all."""


class OptionError(MhoError):
    """The options contradict each other or the machine."""


class StudyError(MhoError):
    """The workers of a study cannot do their work; what they had finished is kept."""


def first_problems(problems: Iterable[str]) -> tuple[str, ...]:
    """As many as fit a screen, none longer than a paragraph; a last sentence counts those left out."""
    found = tuple(problems)
    shown = tuple(_without_middle(problem, PROBLEM_CHARACTERS) for problem in found[:PROBLEMS_SHOWN])
    left = len(found) - len(shown)
    return (*shown, f"and {left:,} more {'problem' if left == 1 else 'problems'}") if left else shown


def brief(name: str) -> str:
    """A name from a model as a sentence can hold it: plain, and of a long one the middle left out."""
    return _without_middle(plain(_without_middle(name, NAME_CHARACTERS)), NAME_CHARACTERS)


def _without_middle(text: str, most: int) -> str:
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 tile`, `1,024 tiles`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(text: str) -> str:
    """`text` with control characters escaped, so that a name from a model cannot disturb a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)

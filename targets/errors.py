"""The one family of exceptions that mho raises for a user's mistake."""

from __future__ import annotations

from collections.abc import Iterable


class MhoError(Exception):
    """What is wrong with the input, in sentences that a user can act on.

    Each problem names what, where (file, node, layer, key), the limit, and what to do. All problems found
    together are reported together, the most important first.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


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


def plain(text: str) -> str:
    """`text` with control characters escaped, so that a name from a model cannot disturb a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)

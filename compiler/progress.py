"""What long work tells about itself while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows what is being done and how long it may take."""

    def expect(self, total: int) -> None:
        """Pieces of work begin that have this size together, so that the time that is left is that of them all."""

    def finish(self) -> None:
        """What was expected is done: pieces that begin from here on count for themselves."""

    def start(self, what: str, total: int | None = None) -> None:
        """A new piece of work begins; `total` is its size in samples or the like, where known."""

    def advance(self, amount: int) -> None:
        """Part of the current piece is done."""

    def found(self, objective: float, bound: float) -> None:
        """The best that the current search has found so far, and what no solution can be below."""


class Quiet:
    """Shows nothing."""

    def expect(self, total: int) -> None:
        return

    def finish(self) -> None:
        return

    def start(self, what: str, total: int | None = None) -> None:
        return

    def advance(self, amount: int) -> None:
        return

    def found(self, objective: float, bound: float) -> None:
        return

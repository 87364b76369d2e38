"""Who watches the searches: is told how far they are, and may end them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Watch(Protocol):
    """Follows a search."""

    def found(self, objective: float, bound: float) -> None:
        """The best that the search has found so far, and what no solution can be below."""

    def over(self) -> bool:
        """Whether searches are to end soon and keep the best that they have."""


class Unwatched:
    """Wants to know nothing and ends nothing."""

    def found(self, objective: float, bound: float) -> None:
        return

    def over(self) -> bool:
        return False


_WATCH: ContextVar[Watch] = ContextVar("watch", default=Unwatched())  # noqa: B039  it has no state


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Inside, searches of this thread and of those that it starts through `solver.in_parallel` tell this watch."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def watch() -> Watch:
    """Who watches here; a search asks for it once and tells it."""
    return _WATCH.get()

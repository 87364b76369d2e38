"""Ctrl-C while compiling: it ends the searches, and the rest goes on with what they found."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """The first Ctrl-C during a search ends it and all that follow; a second one, or one elsewhere, ends the program.

    Attributes:
        ended: the searches that were ended early.
    """

    def __init__(self) -> None:
        self.ended: list[str] = []

    @property
    def over(self) -> bool:
        """Whether searches are to end."""
        return bool(self.ended)

    @contextmanager
    def during(self, search: str) -> Iterator[None]:
        """Inside, the first Ctrl-C only ends the search.

        Nothing changes on other threads than the main one, and where the process was started to ignore Ctrl-C.
        """
        if self.ended:
            self.ended.append(search)
        deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if self.ended or deaf or threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, before)
            self.ended.append(search)

        before = signal.signal(signal.SIGINT, end)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the program."""
        if not self.ended:
            return ()
        return (
            f"interrupted: the search of {', '.join(self.ended)} ended early, and the program keeps the best that was "
            "found; compile again for what a whole search finds",
        )

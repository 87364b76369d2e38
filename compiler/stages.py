"""Stages: how the driver follows the pipeline: progress, checks, dumps, and an early stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar

from mho.interrupts import Interrupts
from mho.passes.levels.dump import level_text
from mho.passes.verify.level import verify_level
from mho.passes.watch import watched
from mho.progress import Progress, Quiet

P = ParamSpec("P")
Level = TypeVar("Level")

log = logging.getLogger("mho")


class StoppedError(Exception):
    """The pipeline ended where the user asked for it."""


SEARCHES = ("devices", "pack", "partition", "place")
"""The stages that search, and that Ctrl-C ends early."""


class BrokenLevelError(AssertionError):
    """A pass left a level that contradicts itself: a bug in mho."""


@dataclass(frozen=True)
class Stages:
    """Runs one pass after the other.

    Attributes:
        verify: check every level that a pass returns.
        dump: the stages whose level is handed to `write` as text; ("all",) is every stage.
        stop_after: the last stage to run.
        write: takes (stage, text).
        total: size of the next pass's work, for the progress, where it is known.
        interrupts: ends searches at Ctrl-C; None leaves Ctrl-C to Python.
    """

    progress: Progress = field(default_factory=Quiet)
    verify: bool = False
    dump: tuple[str, ...] = ()
    stop_after: str | None = None
    write: Callable[[str, str], None] = lambda stage, text: None
    total: int | None = None
    interrupts: Interrupts | None = None

    def of(self, total: int) -> Stages:
        """The same for a pass whose work has this size, in the units by which it advances."""
        return replace(self, total=total)

    def __call__(self, name: str, run: Callable[P, Level], *args: P.args, **kwargs: P.kwargs) -> Level:
        """Runs one pass.

        Raises:
            BrokenLevelError: `verify` is on and the level is not valid.
            StoppedError: this was the last stage.
        """
        self.progress.start(name, self.total)
        started = time.perf_counter()
        with watched(self), self._interruptible(name):
            level = run(*args, **kwargs)
        log.info("%s: %.2f s", name, time.perf_counter() - started)
        problems = verify_level(level) if self.verify else ()
        if problems:
            raise BrokenLevelError(f"pass {name} broke the level:\n" + "\n".join(problems[:20]))
        if name in self.dump or "all" in self.dump:
            self.write(name, level_text(level))
        if name == self.stop_after:
            raise StoppedError(name)
        return level

    def found(self, objective: float, bound: float) -> None:
        """As a watch of searches: how far one is."""
        self.progress.found(objective, bound)

    def over(self) -> bool:
        """As a watch of searches: whether Ctrl-C ended them."""
        return self.interrupts is not None and self.interrupts.over

    def _interruptible(self, name: str) -> AbstractContextManager[None]:
        if self.interrupts is None or name not in SEARCHES:
            return nullcontext()
        return self.interrupts.during(name)

"""What commands show: progress on a terminal, results on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from mho.progress import Progress, Quiet


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on standard error, where that is a terminal; otherwise nothing."""
    if not sys.stderr.isatty():
        yield Quiet()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars)


class _Bar:
    """One bar that is renamed whenever a new piece of work begins, and filled anew unless more is expected."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task = bars.add_task("starting", total=None)
        self._what = ""
        self._expects = False

    def expect(self, total: int) -> None:
        self._renew(self._what or "starting", total)
        self._expects = True

    def finish(self) -> None:
        self._expects = False

    def start(self, what: str, total: int | None = None) -> None:
        self._what = what
        if self._expects:
            self._bars.update(self._task, description=what)
        else:
            self._renew(what, total)

    def _renew(self, what: str, total: int | None) -> None:
        # A bar that is reset without a total keeps the one that it had.
        self._bars.remove_task(self._task)
        self._task = self._bars.add_task(what, total=total)

    def advance(self, amount: int) -> None:
        self._bars.advance(self._task, amount)

    def found(self, objective: float, bound: float) -> None:
        self._bars.update(self._task, description=f"{self._what}: {standing(objective, bound)}")


def standing(objective: float, bound: float) -> str:
    """How far a search is, in few characters."""
    from mho.report import quantities as q

    if bound <= 0 < objective:
        return f"{q.short(objective)}, no bound yet"
    gap = max(0.0, (objective - bound) / objective) if objective else 0.0
    return f"{q.short(objective)}, at least {q.short(bound)}, gap {q.percent(gap)}"


def show(renderable: Any) -> None:
    """Prints a rich renderable to standard output: in colour on a terminal, elsewhere as plain text of 80 columns."""
    if not sys.stdout.isatty():
        from mho.report.terminal import as_text

        click.echo(as_text(renderable), nl=False)
        return
    from rich.console import Console

    Console(highlight=False).print(renderable)


def emit_json(value: Any) -> None:
    """Prints a value as JSON to standard output."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))

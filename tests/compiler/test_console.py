"""The bar that a terminal shows while work goes on."""

from __future__ import annotations

import io

from rich.console import Console
from rich.progress import Progress as Bars

from mho.cli.console import _Bar


def test_a_size_is_of_its_own_piece_of_work_alone() -> None:
    bars = Bars(console=Console(file=io.StringIO()))
    bar = _Bar(bars)
    bar.start("observe", 4)
    bar.advance(3)
    bar.start("partition")
    (task,) = bars.tasks
    assert (task.description, task.total, task.completed) == ("partition", None, 0)
    bar.found(10.0, 5.0)
    assert bars.tasks[0].description == "partition: 10, at least 5, gap 50.0 %"


def test_what_is_expected_is_one_bar_over_all_pieces() -> None:
    bars = Bars(console=Console(file=io.StringIO()))
    bar = _Bar(bars)
    bar.expect(10)
    for piece in ("one", "two"):
        bar.start(piece, 4)
        bar.advance(4)
    (task,) = bars.tasks
    assert (task.description, task.total, task.completed) == ("two", 10, 8)
    bar.finish()
    bar.start("three", 2)
    assert (bars.tasks[0].total, bars.tasks[0].completed) == (2, 0)

"""Ctrl-C while compiling, sent by the searches themselves so that nothing depends on time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mho.cli.console import standing
from mho.examples import digits
from mho.interrupts import Interrupts
from mho.passes.levels.plan import Partition, Placement, Ranged
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.watch import watch
from mho.targets.check.check import check_program
from mho.targets.program_file import read_program
from tests.shell import Shell


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """Ctrl-C as in a terminal: a process in the background of a script is started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_process_that_ignores_it_goes_on() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts = Interrupts()
    with interrupts.during("partition"):
        signal.raise_signal(signal.SIGINT)
        assert not interrupts.over
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_first_ends_the_searches_and_the_second_the_program() -> None:
    interrupts = Interrupts()
    with interrupts.during("partition"):
        assert interrupts.ended == []
        signal.raise_signal(signal.SIGINT)
        assert interrupts.over
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with interrupts.during("place"), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert interrupts.ended == ["partition", "place"]
    assert "partition, place ended early" in interrupts.warnings[0]


def test_outside_a_search_it_ends_the_program() -> None:
    interrupts = Interrupts()
    with interrupts.during("partition"):
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert interrupts.warnings == ()


def test_a_compile_goes_on_with_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    search = PartitionChips.run
    ended: list[bool] = []

    def interrupted(self: PartitionChips, ranged: Ranged) -> Partition:
        signal.raise_signal(signal.SIGINT)
        ended.append(watch().over())
        return search(self, ranged)

    monkeypatch.setattr(PartitionChips, "run", interrupted)
    output = tmp_path / "digits.mho"
    outcome = Shell(monkeypatch, capsys)("compile", digits().model, "-t", "hermes64", "-o", output)
    assert outcome.code == 0
    assert ended == [True]
    program = read_program(output)
    assert any("search of partition, place" in warning for warning in program.manifest.warnings)
    assert check_program(program) == ()


def test_two_of_them_leave_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(self: PlaceCores, partition: Partition) -> Placement:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one went unnoticed")

    monkeypatch.setattr(PlaceCores, "run", interrupted)
    output = tmp_path / "digits.mho"
    outcome = Shell(monkeypatch, capsys)("compile", digits().model, "-t", "hermes64", "-o", output)
    assert outcome.code == 130
    assert not output.exists()


def test_progress_tells_objective_bound_and_gap() -> None:
    assert standing(200.0, 150.0) == "200, at least 150, gap 25.0 %"
    assert standing(200.0, 0.0) == "200, no bound yet"
    assert standing(0.0, 0.0) == "0, at least 0, gap 0.0 %"

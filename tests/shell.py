"""Commands of `mho` run inside the test's own process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from mho.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in this process as the script `mho` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        self.monkeypatch.setattr(sys, "argv", ["mho", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = self.capsys.readouterr()
        assert isinstance(left.value.code, int)
        assert "Traceback" not in printed.err
        return Outcome(left.value.code, printed.out, printed.err)

"""The page on Python is true: its examples are run, and give what stands below them."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+")
TOLERANCE = 0.1
"""What a measured number may differ by, as a part of it: scores after rounding, spreads of a few runs."""


class Measured(doctest.OutputChecker):
    """Takes numbers with a decimal point as measured; words, counts and shapes have to be the same."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        found, wanted = ([float(n) for n in NUMBER.findall(text)] for text in (got, want))
        same = len(found) == len(wanted) and all(
            abs(a - b) <= max(1.0, TOLERANCE * abs(b)) for a, b in zip(found, wanted, strict=True)
        )
        return same and super().check_output(NUMBER.sub("#", want), NUMBER.sub("#", got), optionflags)


def test_examples_give_what_the_page_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    page = doctest.DocTestParser().get_doctest(PAGE.read_text(encoding="utf-8"), {}, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner(Measured(), optionflags=doctest.NORMALIZE_WHITESPACE)
    failures: list[str] = []
    runner.run(page, out=failures.append)
    assert page.examples and not failures, "".join(failures)

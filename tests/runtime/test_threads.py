"""How many threads there are, and answers in the order of the questions."""

from __future__ import annotations

import os

import pytest

from mho.runtime.threads import answers, available_cores


@pytest.mark.parametrize(("wished", "expected"), [("3", 3), ("1", 1), ("0", None), ("", None), ("many", None)])
def test_threads_are_as_many_as_wished_or_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, wished: str, expected: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wished)
    assert available_cores() == (expected or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("threads", ["1", "4"])
def test_answers_come_in_order_and_failures_through(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert answers(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    assert answers(lambda n: n, []) == []
    with pytest.raises(ZeroDivisionError):
        answers(lambda n: 1 // n, [3, 2, 1, 0, 5])

"""Threads that share out tasks."""

from __future__ import annotations

from functools import partial
from threading import get_ident

import pytest

from mho.runtime.workers import Workers


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_task_runs_once(count: int) -> None:
    done: list[int] = []
    Workers(count).run([partial(done.append, number) for number in range(100)])
    assert sorted(done) == list(range(100))


def test_tasks_of_a_task_run_on_its_thread() -> None:
    workers = Workers(3)
    seen: list[tuple[int, int]] = []

    def outer() -> None:
        mine = get_ident()
        workers.run([lambda: seen.append((mine, get_ident()))] * 4)

    workers.run([outer] * 6)
    assert len(seen) == 24 and all(outer == inner for outer, inner in seen)


def test_a_failure_reaches_the_caller_and_the_workers_go_on() -> None:
    workers = Workers(2)

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        workers.run([lambda: None, fails, lambda: None])
    done: list[int] = []
    workers.run([partial(done.append, 1)] * 3)
    assert done == [1, 1, 1]

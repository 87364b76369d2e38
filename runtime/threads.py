"""Work that several threads share out: how many of them there are, and answers in the order of the questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def available_cores() -> int:
    """How many threads are to work: as OMP_NUM_THREADS says, else the cores that this process may use."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    if wished.isdecimal() and int(wished) > 0:
        return int(wished)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answers(function: Callable[[Question], Answer], questions: Iterable[Question]) -> list[Answer]:
    """The answers of a function that may be asked several things at once; what fails first is raised."""
    listed = list(questions)
    cores = min(available_cores(), len(listed))
    if cores < 2:
        return [function(question) for question in listed]
    with ThreadPoolExecutor(cores, "mho") as pool:
        try:
            return list(pool.map(function, listed))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise

"""Workers to which something happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

from mho.studies.tasks import Done, Task, Workers


class Clumsy:
    """Does something once, when so many answers have come."""

    def __init__(self, workers: Workers, after: int, mishap: Callable[[], None]) -> None:
        self.workers = workers
        self.after = after
        self.mishap = mishap

    def submit(self, task: Task) -> None:
        self.workers.submit(task)

    def finished(self) -> Iterator[Done]:
        for number, done in enumerate(self.workers.finished(), 1):
            yield done
            if number == self.after:
                self.mishap()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)

"""Threads that share out tasks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from queue import SimpleQueue
from threading import Thread, local

from mho.runtime.threads import available_cores

Task = Callable[[], None]


class _State(local):
    """Whether a thread is at a task."""

    busy = False


_STATE = _State()


class Batch:
    """Tasks that any thread may take, and a word for each that is done."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._waiting = deque(tasks)
        self._count = len(self._waiting)
        self._finished: SimpleQueue[BaseException | None] = SimpleQueue()

    def work(self) -> None:
        """Runs tasks as long as there are any, also when one fails: they are short, and are those of one layer."""
        _STATE.busy = True
        try:
            while self._waiting:
                self._finished.put(_failure(self._waiting.popleft()))
        except IndexError:
            pass  # another thread took the last one
        finally:
            _STATE.busy = False

    def wait(self) -> None:
        """Returns when all tasks have ended.

        Raises:
            BaseException: that of the first task that failed.
        """
        for _ in range(self._count):
            failure = self._finished.get()
            if failure is not None:
                raise failure


def _failure(task: Task) -> BaseException | None:
    try:
        task()
    except BaseException as error:  # noqa: BLE001  # raised again where the batch was given
        return error
    return None


class Workers:
    """A number of threads, that of the caller among them.

    Attributes:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._queues: list[SimpleQueue[Batch]] = [SimpleQueue() for _ in range(count - 1)]
        for queue in self._queues:
            Thread(target=_serve, args=(queue,), daemon=True, name="mho worker").start()

    def run(self, tasks: Sequence[Task]) -> None:
        """Runs all tasks, in an order and on threads that are left open; within a task, on its own thread.

        Raises:
            BaseException: that of the first task that failed.
        """
        if _STATE.busy or len(tasks) == 1 or self.count == 1:
            for task in tasks:
                task()
            return
        batch = Batch(tasks)
        for queue in self._queues[: len(tasks) - 1]:
            queue.put(batch)
        batch.work()
        batch.wait()


def _serve(queue: SimpleQueue[Batch]) -> None:
    while True:
        batch = queue.get()
        batch.work()
        del batch


def shared_workers() -> Workers:
    """The workers of this process, made when they are first asked for."""
    return _workers(os.getpid(), available_cores())


@cache
def _workers(process: int, count: int) -> Workers:
    return Workers(count)

"""`LocalWorkers`: processes on this machine, one thread each; one that dies is replaced and its task done again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from mho.studies.tasks import MOST_ATTEMPTS, Done, Task, WorkerFault
from mho.targets.errors import StudyError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class _Worker:
    process: SpawnProcess
    line: Connection
    task: Task | None = None


class LocalWorkers:
    """A pool of processes, as many as asked for, started when there is work for them."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._waiting: deque[Task] = deque()
        self._workers: list[_Worker] = []
        self._deaths: Counter[str] = Counter()

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.line.close()
            worker.process.close()
        self._workers = []

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that run now."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Takes on a task."""
        self._waiting.append(task)

    def finished(self) -> Iterator[Done]:
        """Answers in the order in which they come.

        Raises:
            StudyError: a task ended several workers.
            WorkerFault: a bug in a worker.
        """
        while self._waiting or any(worker.task for worker in self._workers):
            self._hand_out()
            busy = {worker.line: worker for worker in self._workers if worker.task}
            for line in wait(list(busy)):
                answer = self._heard(busy[line])  # type: ignore[index]
                if answer is not None:
                    yield answer

    def _hand_out(self) -> None:
        """Gives waiting tasks to idle workers, new ones where there are too few."""
        for worker in list(self._workers):
            if worker.task is None and self._waiting:
                self._give(worker, self._waiting.popleft())
        while self._waiting and len(self._workers) < self._jobs:
            self._workers.append(_started())
            self._give(self._workers[-1], self._waiting.popleft())

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.task = task
        # One that died while it was idle is met when it is listened to.
        with suppress(OSError):
            worker.line.send(task)

    def _heard(self, worker: _Worker) -> Done | None:
        task = worker.task
        assert task is not None, "only workers at a task are listened to"
        try:
            answer: Done | str = worker.line.recv()
        except (EOFError, OSError):
            self._bury(worker, task)
            return None
        worker.task = None
        if isinstance(answer, str):
            raise WorkerFault(answer)
        return answer

    def _bury(self, worker: _Worker, task: Task) -> None:
        """Puts the task of a dead worker back in front."""
        worker.process.join()
        code = worker.process.exitcode
        worker.line.close()
        worker.process.close()
        self._workers.remove(worker)
        self._deaths[task.key] += 1
        if self._deaths[task.key] >= MOST_ATTEMPTS:
            raise StudyError(
                f"{MOST_ATTEMPTS} workers ended at the same task, the last with code {code}: perhaps the memory does "
                "not suffice for so many at once; try --jobs 1"
            )
        self._waiting.appendleft(task)


def _started() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    with _one_thread_each():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Libraries read the number of their threads when they are loaded, before a worker runs a line of its own."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def serve(line: Any) -> None:
    """A worker: performs tasks until nobody asks any more."""
    from mho.studies.bench import Bench

    # Ctrl-C reaches all processes of a terminal; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bench = Bench()
    while True:
        try:
            task: Task = line.recv()
            places = {parcel.digest: parcel.path for parcel in task.parcels}
            answer: Done | str = bench.perform(task, places.__getitem__)
        except EOFError:
            return
        except Exception:  # noqa: BLE001 - a bug here is told where the study was started
            answer = traceback.format_exc()
        line.send(answer)

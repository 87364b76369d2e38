"""`ClusterWorkers`: a study on a Dask cluster; the one place that knows Dask.

A task is a few kilobytes. The files that it needs are results of tasks of their own, so that Dask sends each once to a
worker, keeps it there, and makes it again where the worker that held it is gone.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import TemporaryDirectory
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mho.studies.tasks import MOST_ATTEMPTS, Done, Parcel, Task, WorkerFault
from mho.targets.errors import OptionError, StudyError, plain

if TYPE_CHECKING:
    from mho.studies.bench import Bench

CONNECT_S = 20
MOST_KEPT = 16
"""Parcels that a worker keeps on its disk."""

Files = dict[str, bytes]


def require_dask() -> None:
    """Refuses clusters where Dask is not installed.

    Raises:
        OptionError: says how to install it.
    """
    if find_spec("distributed") is None:
        raise OptionError(
            "--scheduler needs dask.distributed, which is not installed here: pip install 'mho[cluster]', or leave "
            "--scheduler out to use the cores of this machine"
        )


class ClusterWorkers:
    """The workers of a Dask scheduler.

    Args:
        address: of the scheduler, such as tcp://10.0.0.1:8786.

    Raises:
        StudyError: nobody answers there.
    """

    def __init__(self, address: str) -> None:
        from dask import config
        from distributed import Client, as_completed

        self._address = address
        # Files travel in the graph so that they can be made again; that their tasks are large is meant.
        self._quiet = config.set({"distributed.admin.large-graph-warning-threshold": "100GB"})
        try:
            self._client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise StudyError(
                f"--scheduler {plain(address)}: no Dask scheduler answers there; start one with `dask scheduler`, and "
                "workers with `dask worker ADDRESS --nthreads 1`, then give the address that it prints"
            ) from error
        self._completed: Any = as_completed(loop=self._client.loop, raise_errors=False)
        self._session = token_hex(4)
        self._tasks: dict[Any, Task] = {}
        self._attempts: Counter[str] = Counter()
        self._sent: dict[str, Any] = {}
        self._users: Counter[str] = Counter()

    def __enter__(self) -> ClusterWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):
            self._client.cancel(list(self._tasks), force=True)
        self._client.close()

    def submit(self, task: Task) -> None:
        """Takes on a task."""
        self._attempts[task.key] += 1
        files = [self._send(parcel) for parcel in task.parcels]
        key = f"mho-task-{task.key[:16]}-{self._session}-{self._attempts[task.key]}"
        future = self._client.submit(perform, task, *files, key=key, pure=False)
        self._tasks[future] = task
        self._completed.add(future)

    def finished(self) -> Iterator[Done]:
        """Answers in the order in which they come.

        Raises:
            StudyError: a task ended several workers, or the scheduler is gone.
            WorkerFault: a bug in a worker.
        """
        while self._tasks:
            future = next(self._completed)
            task = self._tasks.pop(future)
            done = self._answer(future, task)
            if done is None:
                self.submit(task)
            self._release(task)
            if done is not None:
                yield done

    def _answer(self, future: Any, task: Task) -> Done | None:
        """The answer; None where the task has to be performed again."""
        from distributed import KilledWorker

        if future.status == "finished":
            done: Done = future.result()
            return done
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                raise StudyError(
                    f"a task ended several workers of {plain(self._address)}: perhaps the memory of each does not "
                    "suffice; what is finished is kept"
                ) from error
            if isinstance(error, ImportError):
                raise StudyError(
                    f"a worker of {plain(self._address)} cannot import mho: {plain(str(error))}; install mho with the "
                    "same versions of everything on all workers"
                ) from error
            raise WorkerFault(f"{type(error).__name__}: {error}") from error
        if self._attempts[task.key] >= MOST_ATTEMPTS:
            raise StudyError(f"the scheduler {plain(self._address)} lost a task {MOST_ATTEMPTS} times; is it running?")
        return None

    def _send(self, parcel: Parcel) -> Any:
        """The files of a parcel as the result of a task; sent to the scheduler once."""
        self._users[parcel.digest] += 1
        if parcel.digest not in self._sent:
            key = f"mho-file-{parcel.digest[:32]}-{self._session}"
            self._sent[parcel.digest] = self._client.submit(received, parcel.content(), key=key, pure=False)
        return self._sent[parcel.digest]

    def _release(self, task: Task) -> None:
        """Lets workers forget what no task waits for."""
        for parcel in task.parcels:
            self._users[parcel.digest] -= 1
            if not self._users[parcel.digest]:
                del self._sent[parcel.digest]


class KeptBench:
    """What a worker process keeps between tasks: its bench, and parcels as files, each in a folder named by its digest.

    Tasks of one process wait for each other, so a process with several threads is no faster.
    """

    def __init__(self) -> None:
        from mho.studies.bench import Bench

        self._bench: Bench = Bench()
        self._lock = Lock()
        self._folder = TemporaryDirectory(prefix="mho-")
        self._kept: OrderedDict[str, Path] = OrderedDict()

    def perform(self, task: Task, contents: tuple[Files, ...]) -> Done:
        """The answer to a task, whose parcels have these contents."""
        with self._lock:
            for parcel, files in zip(task.parcels, contents, strict=True):
                self._keep(parcel, files)
            return self._bench.perform(task, self._kept.__getitem__)

    def _keep(self, parcel: Parcel, files: Files) -> None:
        if parcel.digest not in self._kept:
            while len(self._kept) >= MOST_KEPT:
                rmtree(self._kept.popitem(last=False)[1].parent, ignore_errors=True)
            folder = Path(self._folder.name) / parcel.digest
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            self._kept[parcel.digest] = folder / parcel.path.name
        self._kept.move_to_end(parcel.digest)


@cache
def kept_bench() -> KeptBench:
    """The one of this process."""
    return KeptBench()


def received(files: Files) -> Files:
    """A parcel on a worker."""
    return files


def perform(task: Task, *contents: Files) -> Done:
    """A task on a worker."""
    return kept_bench().perform(task, contents)

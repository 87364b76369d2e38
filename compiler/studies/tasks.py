"""What a worker is asked, what it answers, and the files that it needs for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mho.studies.points import Build, Figures, Reading

MOST_ATTEMPTS = 3
"""So often a task is performed whose worker ends each time."""


@dataclass(frozen=True)
class Parcel:
    """A file by its content: a worker elsewhere is sent it once, and keeps it under its digest.

    Attributes:
        digest: SHA-256, hexadecimal.
        path: where it lies on the machine on which the study was started.
        beside: files that it needs in the same folder, by name.
    """

    digest: str
    path: Path
    beside: tuple[str, ...] = ()

    def content(self) -> dict[str, bytes]:
        """All of it, by name."""
        return {name: (self.path.parent / name).read_bytes() for name in (self.path.name, *self.beside)}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A piece of work.

    Attributes:
        key: a digest of all that decides its result.
        versions: of mho and its libraries where the study was started; a worker with others refuses.
    """

    key: str
    versions: Mapping[str, str]

    @property
    def parcels(self) -> tuple[Parcel, ...]:
        """The files that it needs."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class BuildTask(Task):
    """Compile the model."""

    build: Build
    model: Parcel
    calibration: Parcel | None

    @property
    def parcels(self) -> tuple[Parcel, ...]:
        return (self.model,) if self.calibration is None else (self.model, self.calibration)


@dataclass(frozen=True, kw_only=True)
class PointTask(Task):
    """Run a program and compare its results with the model's."""

    reading: Reading
    program: Parcel
    model: Parcel
    data: Parcel

    @property
    def parcels(self) -> tuple[Parcel, ...]:
        return self.program, self.model, self.data


@dataclass(frozen=True, kw_only=True)
class Done:
    """The answer to a task.

    Attributes:
        program: the bytes of the .mho file that a `BuildTask` made.
        figures: what a `PointTask` found.
        problems: why there is neither, in sentences.
    """

    key: str
    program: bytes = b""
    figures: Figures | None = None
    problems: tuple[str, ...] = ()


class WorkerFault(Exception):  # noqa: N818 - a bug that happened elsewhere, not a user's mistake
    """A worker met a bug; the text is its traceback."""


class Workers(Protocol):
    """Processes that perform tasks, here or elsewhere; a task whose worker dies is performed again."""

    def submit(self, task: Task) -> None:
        """Takes on a task."""

    def finished(self) -> Iterator[Done]:
        """Answers in the order in which they come, until there is none to wait for; tasks may be submitted meanwhile.

        Raises:
            StudyError: a task ended worker after worker, or the workers cannot be reached.
        """

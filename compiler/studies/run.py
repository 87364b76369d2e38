"""`run_study`: compiles what is not compiled, runs what is not finished, and gathers the lines of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mho.driver import library_versions
from mho.progress import Progress, Quiet
from mho.studies.parcels import file_parcel, model_parcel
from mho.studies.points import Build, Figures, Point, digest_of
from mho.studies.records import Records
from mho.studies.study import Study
from mho.studies.tasks import BuildTask, Done, Parcel, PointTask, Workers


@dataclass(frozen=True)
class Line:
    """A point and what was found for it, or why nothing was."""

    point: Point
    figures: Figures | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """All points of a study in their order.

    Attributes:
        kept: points that were finished before.
    """

    study: Study
    lines: tuple[Line, ...]
    kept: int

    @property
    def problems(self) -> tuple[str, ...]:
        """What is at fault, each sentence once with the first of the points that it is about."""
        found: dict[str, list[Point]] = {}
        for line in self.lines:
            for problem in line.problems:
                found.setdefault(problem, []).append(line.point)
        return tuple(f"{_several(points)}: {problem}" for problem, points in found.items())


def _several(points: list[Point]) -> str:
    more = len(points) - 1
    return points[0].words + (f" and {more:,} more" if more else "")


@dataclass
class _State:
    """What is known while a study runs: by key, the points that wait for a program, and what was found."""

    waiting: dict[str, list[Point]] = field(default_factory=dict)
    running: dict[str, Point] = field(default_factory=dict)
    found: dict[int, Figures] = field(default_factory=dict)
    problems: dict[int, tuple[str, ...]] = field(default_factory=dict)


class Runner:
    """Runs one study.

    Args:
        records: where finished points are kept.
        progress: told of every point that is done.
    """

    def __init__(self, study: Study, records: Records, progress: Progress | None = None) -> None:
        self._study = study
        self._records = records
        self._progress = progress or Quiet()
        self._versions = library_versions()
        self._model = model_parcel(study.model)
        self._data = file_parcel(study.data)
        self._calibration = None if study.calibration is None else file_parcel(study.calibration)
        self._build_keys: dict[int, str] = {}
        self._state = _State()

    def run(self, points: tuple[Point, ...], workers: Workers) -> Outcome:
        """Runs the points that are not finished.

        Raises:
            StudyError: the workers cannot do their work.
        """
        self._progress.start("points", len(points))
        self._records.open()
        keys = {point.number: self._point_key(point) for point in points}
        state = self._state
        kept = {p.number: f for p in points if (f := self._records.figures(keys[p.number])) is not None}
        state.found |= kept
        self._progress.advance(len(kept))
        for point in points:
            if point.number not in kept:
                state.waiting.setdefault(self._build_key(point.build), []).append(point)
        for key in tuple(state.waiting):
            self._begin(key, workers)
        for done in workers.finished():
            self._take(done, workers)
        lines = (Line(p, state.found.get(p.number), state.problems.get(p.number, ())) for p in points)
        return Outcome(self._study, tuple(lines), len(kept))

    def _begin(self, key: str, workers: Workers) -> None:
        """Has a program compiled, or its points run where it is there already."""
        program = self._records.program(key)
        if program is not None:
            self._run_points(key, program, workers)
            return
        workers.submit(
            BuildTask(
                key=key,
                versions=self._versions,
                build=self._state.waiting[key][0].build,
                model=self._model,
                calibration=self._calibration,
            )
        )

    def _run_points(self, key: str, program: Parcel, workers: Workers) -> None:
        for point in self._state.waiting.pop(key):
            task = PointTask(
                key=self._point_key(point),
                versions=self._versions,
                reading=point.reading,
                program=program,
                model=self._model,
                data=self._data,
            )
            self._state.running[task.key] = point
            workers.submit(task)

    def _take(self, done: Done, workers: Workers) -> None:
        state = self._state
        if done.key in state.waiting:
            if done.problems:
                for point in state.waiting.pop(done.key):
                    state.problems[point.number] = done.problems
                    self._progress.advance(1)
            else:
                self._run_points(done.key, self._records.keep_program(done.key, done.program), workers)
            return
        point = state.running.pop(done.key)
        if done.figures is None:
            state.problems[point.number] = done.problems
        else:
            state.found[point.number] = done.figures
            self._records.keep(done.key, done.figures)
        self._progress.advance(1)

    def _build_key(self, build: Build) -> str:
        mark = id(build)
        if mark not in self._build_keys:
            calibration = None if self._calibration is None else self._calibration.digest
            self._build_keys[mark] = digest_of("program", build, self._model.digest, calibration, self._versions)
        return self._build_keys[mark]

    def _point_key(self, point: Point) -> str:
        return digest_of("point", self._build_key(point.build), point.reading, self._data.digest)


def constant_settings(study: Study) -> Mapping[str, str | None]:
    """What is the same for all points, as the table has it."""
    settings: dict[str, str | None] = {
        "model": study.model.name,
        "data": study.data.name,
        "calibration": None if study.calibration is None else study.calibration.name,
        "target": study.target,
        "engine": study.engine,
        "metric": study.metric,
        "output": study.output,
    }
    options = {f"{name}.{key}": str(value) for name, table in study.options.items() for key, value in table.items()}
    return {**settings, **options}

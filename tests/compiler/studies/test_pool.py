"""Workers on this machine: one that dies loses nothing, one that always dies is told, and Ctrl-C keeps what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from mho.studies.pool import LocalWorkers
from mho.studies.records import Records
from mho.studies.run import Runner
from mho.studies.study import Study, read_study
from mho.studies.table import csv_text, table_of
from mho.studies.tasks import Task, WorkerFault, Workers
from mho.targets.errors import StudyError
from tests.compiler.studies.clumsy import Clumsy, kill
from tests.compiler.studies.studies import lay_out


def table(study: Study, records: Path, workers: Workers) -> str:
    return csv_text(table_of(Runner(study, Records(records)).run(study.points(), workers)))


def test_a_worker_that_is_killed_loses_nothing_and_the_table_is_the_same(tmp_path: Path) -> None:
    study = read_study(lay_out(tmp_path, "[axes]\nseed = [0, 1, 2, 3, 4, 5]\n"))
    with LocalWorkers(1) as workers:
        expected = table(study, tmp_path / "quiet", workers)
    with LocalWorkers(2) as workers:
        clumsy = Clumsy(workers, 2, lambda: kill(workers.pids[0]))
        assert table(study, tmp_path / "killed", clumsy) == expected


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    study = read_study(lay_out(tmp_path))
    with pytest.raises(KeyboardInterrupt), LocalWorkers(2) as workers:
        Runner(study, Records(tmp_path / "records")).run(study.points(), Clumsy(workers, 3, interrupt))
    assert len(list((tmp_path / "records" / "points").iterdir())) == 2
    with LocalWorkers(1) as workers:
        assert Runner(study, Records(tmp_path / "records")).run(study.points(), workers).kept == 2


class Deadly(Task):
    """A task that ends its worker as soon as it arrives."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        import os

        return os._exit, (9,)


def test_a_task_that_ends_every_worker_is_told() -> None:
    with LocalWorkers(1) as workers, pytest.raises(StudyError, match=r"3 workers ended at the same task, .* code 9"):
        workers.submit(Deadly(key="deadly", versions={}))
        list(workers.finished())


def test_a_bug_in_a_worker_is_told_where_the_study_was_started() -> None:
    with LocalWorkers(1) as workers, pytest.raises(WorkerFault, match="NotImplementedError"):
        workers.submit(Task(key="no kind of task", versions={}))
        list(workers.finished())


def test_a_worker_with_other_versions_refuses(tmp_path: Path) -> None:
    study = read_study(lay_out(tmp_path, ""))
    runner = Runner(study, Records(tmp_path / "records"))
    runner._versions = {"numpy": "0.1"}
    with LocalWorkers(1) as workers:
        (line,) = runner.run(study.points(), workers).lines
    assert line.problems[0].startswith("a worker has numpy ")

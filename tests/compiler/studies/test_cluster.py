"""The same study on a Dask cluster: a scheduler and two worker processes on loopback, one of which is killed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mho.studies.records import Records
from mho.studies.run import Runner
from mho.studies.study import read_study
from mho.studies.table import csv_text, table_of
from tests.compiler.studies.clumsy import Clumsy, kill
from tests.compiler.studies.studies import lay_out
from tests.shell import Shell

pytest.importorskip("distributed")


@dataclass
class Cluster:
    address: str
    workers: list[subprocess.Popen[str]]


def started(*arguments: str) -> subprocess.Popen[str]:
    """A process of Dask; what it logs is read here."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def heard(process: subprocess.Popen[str], pattern: str) -> str:
    """The first group of a pattern in what a process logs."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(pattern, line)
        if found:
            return found[1]
    raise AssertionError(f"a process ended before it logged {pattern}")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    scheduler = started("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    address = heard(scheduler, r"Scheduler at:\s+(tcp://\S+)")
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    workers = [started("distributed.cli.dask_worker", address, *options) for _ in range(2)]
    for worker in workers:
        heard(worker, r"(Starting established connection)")
    yield Cluster(address, workers)
    for process in (*workers, scheduler):
        process.kill()
        process.communicate()


def test_the_table_is_that_of_this_machine(cluster: Cluster, run: Shell, tmp_path: Path) -> None:
    lay_out(tmp_path)
    assert run("sweep", "study.toml", "-o", "here.csv", "--jobs", 1).code == 0
    outcome = run("sweep", "study.toml", "-o", "there.csv", "--scheduler", cluster.address)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_a_worker_that_is_killed_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    from mho.studies.cluster import ClusterWorkers

    study = read_study(lay_out(tmp_path, "[axes]\nadc_bits = [5, 8]\nseed = {from = 0, to = 5}\n"))
    records = Records(tmp_path / "records")
    with ClusterWorkers(cluster.address) as workers:
        clumsy = Clumsy(workers, 4, lambda: kill(cluster.workers[0].pid))
        outcome = Runner(study, records).run(study.points(), clumsy)
    assert outcome.problems == ()
    assert cluster.workers[0].wait() != 0
    assert csv_text(table_of(outcome)).count("\n") == 13


def test_a_model_travels_with_its_external_data(cluster: Cluster, tmp_path: Path) -> None:
    import onnx

    from mho.studies.cluster import ClusterWorkers

    study = lay_out(tmp_path, "")
    model = onnx.load(tmp_path / "digits.onnx")
    onnx.save(model, tmp_path / "digits.onnx", save_as_external_data=True, location="weights.bin", size_threshold=64)
    read = read_study(study)
    with ClusterWorkers(cluster.address) as workers:
        (line,) = Runner(read, Records(tmp_path / "records")).run(read.points(), workers).lines
    assert line.problems == ()
    assert line.figures is not None
    assert line.figures.reference == 1.0


def test_an_address_where_nobody_answers_is_told(run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.studies.cluster.CONNECT_S", 1)
    lay_out(tmp_path)
    outcome = run("sweep", "study.toml", "-o", "there.csv", "--scheduler", "tcp://127.0.0.1:9")
    assert outcome.code == 1
    assert "mho: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers there" in outcome.err

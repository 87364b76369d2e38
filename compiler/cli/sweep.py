"""mho sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mho.cli import console
from mho.cli.options import json_option, refuse_output

if TYPE_CHECKING:
    from mho.studies.points import Point
    from mho.studies.records import Records
    from mho.studies.run import Outcome
    from mho.studies.study import Study
    from mho.studies.tasks import Workers

EXIT_INPUT = 1


@click.command("sweep", short_help="Run a network under many settings.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The table, .csv or .parquet; STUDY.csv if not given."
)
@click.option("--jobs", type=click.IntRange(1), help="Processes on this machine; one a core if not given.")
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster that does the work instead, tcp://HOST:PORT.")
@click.option("--dry-run", is_flag=True, help="List the points and stop.")
@json_option
@click.pass_context
def sweep_command(
    context: click.Context,
    /,
    study: Path,
    output: Path | None,
    jobs: int | None,
    scheduler: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the network of a STUDY under all its settings and gather the results in one table.

    \b
    Example: mho sweep study.toml -o results.parquet
    Example: mho sweep study.toml --dry-run
    """
    from mho.studies.records import Records
    from mho.studies.study import read_study
    from mho.studies.table import require_writable

    asked = read_study(study)
    points = asked.points()
    if dry_run:
        _list(points, as_json)
        return
    output = output or Path(f"{asked.name}.csv")
    require_writable(output)
    refuse_output(output, study, asked.model, asked.data, asked.calibration)
    records = Records(output.with_name(f"{output.name}.points"))
    outcome = _run(asked, points, records, jobs, scheduler)
    _write(outcome, output, as_json)
    context.exit(EXIT_INPUT if outcome.problems else 0)


def _run(study: Study, points: tuple[Point, ...], records: Records, jobs: int | None, scheduler: str | None) -> Outcome:
    from mho.studies.run import Runner

    try:
        with console.progress() as progress, _workers(jobs, scheduler) as workers:
            return Runner(study, records, progress).run(points, workers)
    except KeyboardInterrupt:
        click.echo(f"mho: what is finished lies in {records.folder}; the same command goes on from there", err=True)
        raise


@contextmanager
def _workers(jobs: int | None, scheduler: str | None) -> Iterator[Workers]:
    from mho.runtime.threads import available_cores
    from mho.studies.cluster import ClusterWorkers, require_dask
    from mho.studies.pool import LocalWorkers

    if scheduler is not None:
        require_dask()
        with ClusterWorkers(scheduler) as cluster:
            yield cluster
        return
    with LocalWorkers(jobs or available_cores()) as workers:
        yield workers


def _list(points: tuple[Point, ...], as_json: bool) -> None:
    if as_json:
        console.emit_json({"points": [{"point": p.number, **p.settings} for p in points]})
        return
    for point in points:
        click.echo(point.words)


def _write(outcome: Outcome, output: Path, as_json: bool) -> None:
    from mho.studies.page import write_page
    from mho.studies.table import table_of, write_table
    from mho.targets.errors import first_problems, plain

    table, page = table_of(outcome), output.with_suffix(".html")
    write_table(table, output)
    write_page(outcome, page, output)
    if as_json:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        console.emit_json({"table": str(output), "page": str(page), "kept": outcome.kept, "points": rows})
    for problem in first_problems(outcome.problems):
        click.echo(f"mho: {plain(problem)}", err=True)
    click.echo(f"wrote {output} and {page}", err=True)

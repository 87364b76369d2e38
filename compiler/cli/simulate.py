"""mho validate, mho run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mho.cli import console
from mho.cli.effects import Chosen, effects_options
from mho.cli.options import (
    Percent,
    Times,
    data_help,
    engine_option,
    json_option,
    merged,
    read_seed_option,
    refuse_output,
    state_option,
)

if TYPE_CHECKING:
    from mho.report.accuracy import Accuracy

EXIT_THRESHOLD = 3

program_argument = click.argument("program", type=click.Path(path_type=Path))


@click.command("validate", short_help="Compare a program's results with onnxruntime's.")
@program_argument
@click.option("--model", type=click.Path(path_type=Path), help="The ONNX model to compare with, run by onnxruntime.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help=f"{data_help} 'y' holds the labels.")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Number of seeds.")
@read_seed_option
@click.option("--time", "times_s", type=Times(), default="0s", show_default=True, help="Times after programming.")
@effects_options
@click.option(
    "--metric", type=click.Choice(["top1", "auc", "mse", "spearman", "none"]), help="By the labels if not given."
)
@click.option("--output", help="The output to compare; the first by default.")
@state_option
@engine_option
@click.option("--min-agreement", type=Percent(), metavar="P", help="Exit 3 if a run's winners agree in fewer than P %.")
@click.option("--max-drop", type=Percent(), metavar="P", help="Exit 3 if the mean accuracy is over P points lower.")
@json_option
@click.pass_context
def validate_command(context: click.Context, /, **given: Any) -> None:
    """Run a compiled PROGRAM and compare its results with onnxruntime's.

    \b
    Example: mho validate m.mho --model m.onnx --data test.npz --runs 5 --time 0s,1h,1d,30d
    Example: mho validate m.mho --data test.npz --time 1d --off read_noise --compensate column
    """
    from mho.compiled import Compiled
    from mho.data import read_npz
    from mho.report import accuracy_summary

    chosen = Chosen.of(given)
    data = read_npz(given["data"])
    compiled = Compiled.load(given["program"])
    with console.progress() as progress:
        accuracy = compiled.validate(
            data,
            data.get("y"),
            runs=given["runs"],
            metric=given["metric"],
            times_s=given["times_s"],
            read_seed=given["read_seed"],
            effects=chosen.effects,
            compensation=chosen.compensation,
            recalibrate=chosen.recalibrate,
            model=given["model"],
            output=given["output"],
            state=merged(given["state"]),
            engine=given["engine"],
            progress=progress,
        )
    if given["as_json"]:
        console.emit_json(accuracy.as_json())
    else:
        console.show(accuracy_summary(accuracy))
    for warning in (*chosen.warnings(compiled.program), *accuracy.warnings):
        click.echo(f"mho: warning: {warning}", err=True)
    missed = missed_thresholds(accuracy, given["min_agreement"], given["max_drop"])
    for sentence in missed:
        click.echo(f"mho: {sentence}", err=True)
    context.exit(EXIT_THRESHOLD if missed else 0)


def missed_thresholds(accuracy: Accuracy, min_agreement: float | None, max_drop: float | None) -> list[str]:
    """What falls short, in sentences; thresholds in per cent and percentage points."""
    missed = []
    agreements = [run.agreement for run in accuracy.runs if run.agreement is not None]
    if min_agreement is not None:
        worst = min(agreements, default=None)
        if worst is None:
            missed.append("there is no agreement to compare with --min-agreement: the output is no score a class")
        elif 100 * worst < min_agreement:
            missed.append(f"the winners agree in {100 * worst:.2f} %, --min-agreement wants {min_agreement:g} %")
    if max_drop is not None:
        expected, mean = accuracy.reference.accuracy, accuracy.mean
        if expected is None or mean is None:
            missed.append("there is no accuracy to compare with --max-drop: the data has no labels 'y'")
        elif 100 * (expected - mean) > max_drop:
            missed.append(f"the accuracy is {100 * (expected - mean):.2f} points lower, --max-drop allows {max_drop:g}")
    return missed


@click.command("run", short_help="Run a program on data.")
@program_argument
@click.option("--data", type=click.Path(path_type=Path), required=True, help=data_help)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="An .npz of the outputs by name.")
@effects_options
@click.option("--seed", type=click.IntRange(0), help="Of every random draw; the program's own by default.")
@read_seed_option
@click.option("--time", "times_s", type=Times(), default="0s", show_default=True, help="Time after programming.")
@state_option
@engine_option
@json_option
def run_command(program: Path, data: Path, output: Path, as_json: bool, **given: Any) -> None:
    """Run a compiled PROGRAM on data and write its outputs."""
    from mho.compiled import Compiled
    from mho.data import read_npz, write_npz
    from mho.runtime.pieces import as_arrays
    from mho.targets.errors import OptionError

    chosen = Chosen.of(given)
    if len(given["times_s"]) != 1:
        raise OptionError("--time takes one time here; mho validate takes several")
    refuse_output(output, program, data, chosen.recalibrate)
    inputs = read_npz(data)
    compiled = Compiled.load(program)
    with console.progress() as progress:
        outputs = compiled.run(
            inputs,
            effects=chosen.effects,
            compensation=chosen.compensation,
            recalibrate=chosen.recalibrate,
            seed=given["seed"],
            read_seed=given["read_seed"],
            time_s=given["times_s"][0],
            state=merged(given["state"]),
            engine=given["engine"],
            progress=progress,
        )
    for warning in chosen.warnings(compiled.program):
        click.echo(f"mho: warning: {warning}", err=True)
    arrays = as_arrays(outputs)
    write_npz(output, arrays)
    if as_json:
        console.emit_json({"outputs": {n: {"shape": a.shape, "type": str(a.dtype)} for n, a in arrays.items()}})
    click.echo(f"wrote {output}", err=True)

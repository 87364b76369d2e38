"""mho report, mho show, mho check."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from mho.cli import console
from mho.cli.options import json_option, refuse_output

Kind = Literal["html", "json", "text", "trace", "placement"]

FORMATS = "By the suffix of -o, else text; placement is what 'mho compile --placement' reads."

program_argument = click.argument("program", type=click.Path(path_type=Path))


@click.command("report", short_help="Show where every tile went: text, JSON, a page or a trace.")
@program_argument
@click.option("--format", "kind", type=click.Choice(["html", "json", "text", "trace", "placement"]), help=FORMATS)
@click.option(
    "--accuracy", type=click.Path(path_type=Path), help="What 'mho validate --json' printed, to be shown too."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Standard output by default.")
def report_command(program: Path, kind: Kind | None, accuracy: Path | None, output: Path | None) -> None:
    """Show where every tile of a PROGRAM went, what it costs, and what is digital and why.

    \b
    Example: mho report m.mho -o m.html
    The schedule for Perfetto: mho report m.mho --format trace -o m.trace.json
    """
    from mho.data import write_text
    from mho.report import render, summarise
    from mho.report.accuracy import load_accuracy
    from mho.report.trace import trace_text
    from mho.targets.check.check import read_sound_program

    if output is not None:
        refuse_output(output, program, accuracy)
    sound, chosen = read_sound_program(program), kind or _kind(output)
    if chosen == "trace":
        text = trace_text(sound)
    else:
        text = render(summarise(sound, load_accuracy(accuracy) if accuracy else None), chosen)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    click.echo(f"wrote {output}", err=True)


def _kind(output: Path | None) -> Kind:
    """What the suffix of the output asks for."""
    match output.suffix if output else "":
        case ".html" | ".htm":
            return "html"
        case ".json":
            return "json"
        case _:
            return "text"


@click.command("show", short_help="Print a program as text.")
@program_argument
@click.option(
    "--level",
    type=click.Choice(["network", "tiling", "plan", "program"]),
    default="program",
    show_default=True,
    help="How much of the program.",
)
@click.option("--core", metavar="CHIP:X,Y", help="One core only.")
def show_command(program: Path, level: str, core: str | None) -> None:
    """Print a PROGRAM as text."""
    from mho.show import show_level
    from mho.targets.check.check import read_sound_program

    click.echo(show_level(read_sound_program(program), level, core), nl=False)


@click.command("check", short_help="Verify a program without the compiler.")
@program_argument
@json_option
@click.pass_context
def check_command(context: click.Context, program: Path, as_json: bool) -> None:
    """Verify a PROGRAM independently of the compiler that made it: digests, tiles, weights, buffers, messages,
    and that no row of the schedule starts before the rows that it needs."""
    from mho.runtime.check_graphs import check_graphs
    from mho.runtime.check_needs import check_needs
    from mho.targets.check.check import check_program
    from mho.targets.errors import ProgramError, first_problems
    from mho.targets.program_file import check_tensors, read_program

    try:
        read = read_program(program)
        check_tensors(read)
        problems = (*check_program(read), *check_graphs(read), *check_needs(read))
    except ProgramError as error:
        if not as_json:
            raise
        console.emit_json({"problems": list(error.problems)})
        context.exit(1)
    if as_json:
        console.emit_json({"problems": list(problems)})
    for problem in () if as_json else first_problems(problems):
        click.echo(f"mho: {program}: {problem}", err=True)
    if not problems and not as_json:
        click.echo(f"{program} is sound: {len(read.cores)} cores, {len(read.tensors)} tensors")
    context.exit(1 if problems else 0)

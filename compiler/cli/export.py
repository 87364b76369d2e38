"""mho export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mho.cli import console
from mho.cli.effects import Chosen, effects_options
from mho.cli.options import Times, json_option, read_seed_option, refuse_output


@click.command("export", short_help="Write what the machine computes as a plain ONNX model.")
@click.argument("program", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(["onnx"]), default="onnx", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The model's file.")
@effects_options
@click.option("--seed", type=click.IntRange(0), help="Of the devices and of the noise; the program's own by default.")
@read_seed_option
@click.option("--time", "times_s", type=Times(), default="0s", show_default=True, help="Time after programming.")
@click.option("--external-data", is_flag=True, help="Put the weights into OUTPUT.data, as more than 2 GB have to be.")
@json_option
def export_command(program: Path, kind: str, output: Path, as_json: bool, external_data: bool, **given: Any) -> None:
    """Write a PROGRAM as a plain ONNX model that computes what its machine does.

    Converters, programmed weights, drift, its compensation and number formats become standard operators, and
    noise that is fresh at every MVM becomes RandomNormalLike: onnxruntime runs it anywhere, without mho.

    \b
    Example: mho export m.mho -o m-1d.onnx --time 1d --seed 3
    Converters without noise: mho export m.mho -o m8.onnx --quantised
    """
    from mho.compiled import Compiled
    from mho.targets.errors import OptionError

    chosen = Chosen.of(given)
    if len(given["times_s"]) != 1:
        raise OptionError("--time takes one time here: a model has the weights of one")
    beside = output.with_name(f"{output.name}.data")
    refuse_output(output, program, chosen.recalibrate)
    if external_data:
        refuse_output(beside, program, chosen.recalibrate)
    compiled = Compiled.load(program)
    compiled.export(
        output,
        effects=chosen.effects,
        compensation=chosen.compensation,
        recalibrate=chosen.recalibrate,
        seed=given["seed"],
        read_seed=given["read_seed"],
        time_s=given["times_s"][0],
        external_data=external_data,
    )
    for warning in chosen.warnings(compiled.program):
        click.echo(f"mho: warning: {warning}", err=True)
    written = [output, *([beside] if external_data else [])]
    if as_json:
        console.emit_json({"format": kind, "files": {str(path): path.stat().st_size for path in written}})
    click.echo(f"wrote {' and '.join(map(str, written))}", err=True)

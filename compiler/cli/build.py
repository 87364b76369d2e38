"""mho compile, mho demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mho.cli import console
from mho.cli.options import (
    Copies,
    Devices,
    Effort,
    Pairs,
    Pin,
    Words,
    data_help,
    joined,
    json_option,
    merged,
    refuse_output,
    state_option,
)

if TYPE_CHECKING:
    from mho.compiled import Compiled
    from mho.stages import Stages

SUFFIX = ".mho"


@click.command("compile", short_help="Compile an ONNX model into a tile program.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-t", "--target", required=True, help="A machine by name ('mho targets list') or a path to a TOML file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The program file; MODEL.mho by default.")
@click.option("--data", type=click.Path(path_type=Path), help=f"Calibration data. {data_help}")
@click.option("--calibrate", type=click.Choice(["percentile", "mse", "max"]), help="Rule for ranges.  [default: mse]")
@click.option("--dim", type=Pairs("=", int), multiple=True, metavar="NAME=N,…", help="Fix symbolic dimensions.")
@state_option
@click.option("--chips", type=click.IntRange(1), help="The most chips; as many as needed by default.")
@click.option("--tiles", type=click.IntRange(1), help="The most tiles in all.")
@click.option(
    "--allow-reload", is_flag=True, default=None, help="Rewrite tiles between layers where there are too few of them."
)
@click.option(
    "--reload",
    type=click.Choice(["order", "alternate", "batch"]),
    help="How tiles take turns: every inference in the same order, every other one backwards within each layer, or a "
    "whole batch at a time.  [default: alternate]",
)
@click.option(
    "--inferences",
    type=click.IntRange(1),
    help="How many to count writes for; with --reload batch the size of a batch.  [default: 1000]",
)
@click.option(
    "--pack",
    type=click.Choice(["none", "pipelined", "sequential"]),
    help="Which blocks may share a tile: none; those that share neither rows nor columns, so that they may fire at "
    "once; any that do not overlap, which take turns.  [default: the machine's, or pipelined]",
)
@click.option(
    "--cuts",
    type=click.Choice(["even", "free"]),
    help="Cut matrices into even blocks, or anywhere that saves tiles, though with more partial sums.  [default: even]",
)
@click.option(
    "--devices",
    type=Devices(),
    metavar="N|auto",
    help="Memory devices that make a weight; auto makes as many weights as the chips or tiles hold of the most "
    "devices.  [default: the machine's]",
)
@click.option(
    "--devices-of", type=Pairs("=", int), multiple=True, metavar="LAYER=N,…", help="Devices of a layer's weights."
)
@click.option(
    "--sensitive",
    multiple=True,
    metavar="LAYER",
    help="A layer that --devices auto gives many devices before all others; may be repeated, the most sensitive first.",
)
@click.option(
    "--replicate",
    type=Copies(),
    metavar="N|fill|balance",
    help="Copies of each matrix; fill: those that make the pipeline's interval the shortest that the tiles allow; "
    "balance: what is left goes to the next slowest.  [default: 1]",
)
@click.option(
    "--pareto", is_flag=True, help="List what copies would give: tiles against interval and energy, up to the budget."
)
@click.option(
    "--schedule",
    type=click.Choice(["latency", "throughput"]),
    help="Make one inference short, or let inferences follow each other fast.  [default: latency]",
)
@click.option(
    "--routes",
    type=click.Choice(["xy", "yx", "balanced"]),
    help="Words go along the row first, along the column first, or as loads the hottest link least.  [default: xy]",
)
@click.option(
    "--effort", type=Effort(), metavar="fast|normal|max|SECONDS", help="How hard to search.  [default: normal]"
)
@click.option("--seed", type=click.IntRange(0), help="Of every random draw and search.  [default: 0]")
@click.option(
    "--faults", type=click.Path(path_type=Path), help="A TOML file of what is broken on the chips; see 'mho faults'."
)
@click.option(
    "--pin",
    type=Pin(),
    multiple=True,
    metavar="LAYER=CHIP|CHIP:X,Y",
    help="Put the tiles of a layer on a chip, or on cores: 'fc=0:3,4 0:3,5', or --pin again. LAYER#2 is a replica, "
    "LAYER[0:256,0:64] the blocks within these rows and columns.",
)
@click.option("--apart", type=Words(), multiple=True, metavar="A,B,…", help="Put layers on different chips.")
@click.option("--together", type=Words(), multiple=True, metavar="A,B,…", help="Put layers on one chip.")
@click.option("--forbid", multiple=True, metavar="CHIP:X,Y", help="Leave a core empty; may be repeated.")
@click.option(
    "--constraints",
    type=click.Path(path_type=Path),
    help="A TOML or JSON file with the keys pin, apart, together and forbid, beside those flags.",
)
@click.option(
    "--placement",
    type=click.Path(path_type=Path),
    help="A JSON file that says where blocks stand; 'mho report --format placement' writes one to edit.",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="A program that the machine holds: tiles whose weights did not change stay, and the cells to write are told.",
)
@click.option("--spare-rows", type=click.IntRange(0), help="Rows of each crossbar to leave spare.  [default: 0]")
@click.option("--spare-columns", type=click.IntRange(0), help="Columns to leave spare.  [default: 0]")
@click.option("--config", type=click.Path(path_type=Path), help="A TOML file with a table of options for each pass.")
@click.option(
    "--expand",
    type=Pairs("=", float),
    multiple=True,
    metavar="NODE=FACTOR,…",
    help="Spread a node's weights over FACTOR times its rows with a random matrix, which is digital.",
)
@click.option(
    "--grouped",
    type=click.Choice(["auto", "block-diagonal", "dense", "digital"]),
    help="Grouped convolutions: whole groups in a block, one matrix with the zeros between them, or digital; auto "
    "compares them and leaves the tiles only where the machine's published figures say so.  [default: auto]",
)
@click.option(
    "--unfold",
    type=click.Choice(["im2col", "windows", "places", "auto"]),
    help="What of a convolution's input meets its matrix at a position: a window; several, by shifted copies of the "
    "kernels; a single sample; auto takes what needs the fewest MVMs in no more tiles.  [default: im2col]",
)
@click.option("--digital", multiple=True, metavar="NODE", help="Leave a node or layer digital; may be repeated.")
@click.option("--explain", is_flag=True, help="List every ONNX node: where it runs, why, and what would change that.")
@click.option("--verify", is_flag=True, help="Check every level that a pass returns.")
@click.option("--dump-after", multiple=True, metavar="PASS|all", help="Print the level after a pass on standard error.")
@click.option("--stop-after", metavar="PASS", help="Stop after a pass; nothing is written.")
@click.option("--keep-inputs", is_flag=True, help="Initializers that are also inputs stay inputs.")
@json_option
def compile_command(model: Path, target: str, output: Path | None, as_json: bool, explain: bool, **flags: Any) -> None:
    """Compile an ONNX MODEL into a tile program and show what went where.

    \b
    Example: mho compile resnet20.onnx -t hermes64 --data calibration.npz -o resnet20.mho
    """
    from mho.stages import StoppedError

    path = output or Path(model.stem + SUFFIX)
    inputs = (flags[name] for name in ("data", "config", "faults", "constraints", "placement", "like"))
    refuse_output(path, model, *inputs)
    with console.progress() as progress:
        try:
            compiled = _compile(model, target, progress, flags)
        except StoppedError as stop:
            click.echo(f"mho: stopped after {stop}; nothing was written", err=True)
            return
        progress.start("write")
        compiled.save(path)
    _show(compiled, as_json, explain)
    click.echo(f"wrote {path}", err=True)


def _compile(model: Path, target: str, progress: Any, flags: dict[str, Any]) -> Compiled:
    from mho.config import build_pipeline, read_config, read_constraints, with_constraints
    from mho.driver import compile as compile_model

    config = read_config(flags["config"]) if flags["config"] else {}
    listed = read_constraints(flags["constraints"]) if flags["constraints"] else {}
    given = {key: flags[key] for key in ("pin", "apart", "together", "forbid") if flags[key]}
    config = with_constraints(config, [listed, {**given, "pin": joined(flags["pin"])}])
    return compile_model(
        model,
        target,
        flags["data"],
        pipeline=build_pipeline(config, pipeline_flags(flags)),
        faults=flags["faults"],
        placement=flags["placement"],
        like=flags["like"],
        dimensions=merged(flags["dim"]),
        state=merged(flags["state"]),
        keep_inputs=flags["keep_inputs"],
        seed=flags["seed"] or 0,
        stages=_stages(progress, flags),
    )


SEARCHES = ("devices", "pack", "partition", "place", "route", "schedule")
"""The passes that search, for so long as an effort says."""


def pipeline_flags(flags: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The flags that are options of passes, as tables: flag → the options that it sets."""
    options = {
        "calibrate": ("observe.rule", "ranges.rule"),
        "digital": ("lower.digital",),
        "grouped": ("group.grouped",),
        "unfold": ("unfold.unfold",),
        "expand": ("expand.layers",),
        "chips": ("partition.chips", "devices.chips", "replicate.chips"),
        "tiles": ("partition.tiles", "replicate.tiles", "devices.tiles"),
        "allow_reload": ("reload.allow",),
        "reload": ("reload.mode",),
        "inferences": ("reload.inferences",),
        "devices": ("devices.devices",),
        "devices_of": ("devices.devices_of",),
        "sensitive": ("devices.sensitive",),
        "pack": ("pack.mode",),
        "cuts": ("pack.cuts",),
        "replicate": ("replicate.replicas", "devices.replicas"),
        "pareto": ("replicate.pareto",),
        "schedule": ("schedule.mode",),
        "spare_rows": ("spare.rows",),
        "spare_columns": ("spare.columns",),
        "routes": ("route.mode",),
        "effort": tuple(f"{name}.effort" for name in SEARCHES),
        "seed": tuple(f"{name}.seed" for name in ("expand", *SEARCHES)),
    }
    flags = flags | {name: merged(flags[name]) for name in ("devices_of", "expand")}
    tables: dict[str, dict[str, Any]] = {}
    for flag, keys in options.items():
        for key in keys if flags[flag] not in (None, False, (), {}) else ():
            name, _, option = key.partition(".")
            tables.setdefault(name, {})[option] = flags[flag]
    return tables


def _stages(progress: Any, flags: dict[str, Any]) -> Stages:
    from mho.interrupts import Interrupts
    from mho.pipeline import STAGES
    from mho.stages import Stages
    from mho.targets.errors import OptionError, plain

    asked = [*flags["dump_after"], *([flags["stop_after"]] if flags["stop_after"] else [])]
    unknown = [name for name in asked if name not in (*STAGES, "all")]
    if unknown:
        raise OptionError(f"there is no pass {', '.join(unknown)}; the passes are {', '.join(STAGES)}")

    def write(stage: str, text: str) -> None:
        lines = "\n".join(map(plain, text.split("\n")))
        click.echo(f"==== after {stage} ====\n{lines}", err=True)

    return Stages(
        progress,
        flags["verify"],
        tuple(flags["dump_after"]),
        flags["stop_after"],
        write,
        interrupts=Interrupts(),
    )


def _show(compiled: Compiled, as_json: bool, explain: bool) -> None:
    from mho.report import as_json as report_json
    from mho.report import compile_summary, explanation, summarise

    report = summarise(compiled.program)
    if as_json:
        console.emit_json(report_json(report))
        return
    console.show(compile_summary(report))
    if explain:
        click.echo()
        console.show(explanation(report))


@click.command("demo", short_help="The whole way with a bundled network.")
@click.option("-t", "--target", default="hermes64", show_default=True, help="The machine.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default="mho-demo",
    show_default=True,
    help="Folder for the program and its report.",
)
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Seeds to run.")
@json_option
def demo_command(target: str, output: Path, runs: int, as_json: bool) -> None:
    """Compile, validate and report a bundled network: handwritten digits on an analog chip."""
    from mho.data import read_npz
    from mho.driver import compile as compile_model
    from mho.examples import digits
    from mho.report import accuracy_summary, compile_summary, summarise, write_html
    from mho.stages import Stages

    example = digits()
    test = read_npz(example.test_data)
    with console.progress() as progress:
        compiled = compile_model(example.model, target, example.calibration_data, stages=Stages(progress))
        accuracy = compiled.validate(
            test, test["y"], runs=runs, times_s=(0.0, 86_400.0), model=example.model, progress=progress
        )
    output.mkdir(parents=True, exist_ok=True)
    compiled.save(output / "digits.mho")
    report = summarise(compiled.program, accuracy)
    write_html(report, output / "report.html")
    if as_json:
        console.emit_json(accuracy.as_json())
    else:
        console.show(compile_summary(report))
        click.echo()
        console.show(accuracy_summary(accuracy))
    click.echo(f"wrote {output / 'digits.mho'} and {output / 'report.html'}", err=True)

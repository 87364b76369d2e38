"""mho faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mho.cli import console
from mho.cli.options import json_option, refuse_output

if TYPE_CHECKING:
    from mho.targets.faults import FaultMap

RATE = click.FloatRange(0, 1)


@click.command("faults", short_help="Draw a map of what is broken on the chips.")
@click.option("-t", "--target", required=True, help="A machine by name ('mho targets list') or a path to a TOML file.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The fault map, a TOML file.")
@click.option("--chips", type=click.IntRange(1), default=1, show_default=True, help="Chips to draw for.")
@click.option("--tiles", type=click.IntRange(1), help="Tiles a chip, where the machine has no number of its own.")
@click.option("--dead-tiles", type=RATE, default=0.0, metavar="P", help="Part of the tiles that are dead, 0 to 1.")
@click.option("--dead-rows", type=RATE, default=0.0, metavar="P", help="Part of the rows of the other tiles.")
@click.option("--dead-columns", type=RATE, default=0.0, metavar="P", help="Part of their columns.")
@click.option("--stuck-low", type=RATE, default=0.0, metavar="P", help="Part of the cells that hold no conductance.")
@click.option("--stuck-high", type=RATE, default=0.0, metavar="P", help="Part of the cells that hold the largest.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw.")
@json_option
def faults_command(
    target: str, output: Path, chips: int, tiles: int | None, seed: int, as_json: bool, **rates: Any
) -> None:
    """Draw a fault map from rates. The same machine, rates and seed give the same map.

    \b
    Example: mho faults -t hermes64 -o map.toml --dead-tiles 0.05 --dead-rows 0.01 --seed 3
             mho compile m.onnx -t hermes64 --faults map.toml
    """
    from mho.targets.catalog import load_target
    from mho.targets.draw_faults import FaultRates, draw_faults
    from mho.targets.fault_file import write_faults

    refuse_output(output, Path(target))
    faults = draw_faults(load_target(target), FaultRates(**rates), chips, tiles, seed)
    write_faults(faults, output)
    counts = _counts(faults)
    if as_json:
        console.emit_json(counts)
    else:
        click.echo(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items()))
    click.echo(f"wrote {output}", err=True)


def _counts(faults: FaultMap) -> dict[str, int]:
    return {
        "dead_tiles": sum(tile.dead for tile in faults.tiles),
        "dead_rows": sum(len(tile.rows) for tile in faults.tiles),
        "dead_columns": sum(len(tile.columns) for tile in faults.tiles),
        "stuck_cells": sum(len(tile.stuck) for tile in faults.tiles),
    }

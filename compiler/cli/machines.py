"""mho targets, mho ops."""

from __future__ import annotations

import click

from mho.cli import console
from mho.cli.options import json_option


@click.group("targets")
def targets_group() -> None:
    """Machines as data: list them, show one, check your own."""


@targets_group.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the shipped machines and their variants."""
    from mho.targets.catalog import load_target, target_names, variant_names

    names = target_names()
    if as_json:
        console.emit_json([{"name": n, "title": load_target(n).title, "variants": variant_names(n)} for n in names])
        return
    for name in names:
        click.echo(f"{name:<12} {load_target(name).title}")
        for variant in variant_names(name):
            click.echo(f"{'':<12} {name}:{variant}")


@targets_group.command("show")
@click.argument("target")
@json_option
def show_target_command(target: str, as_json: bool) -> None:
    """Print a machine with the source of every number."""
    from dataclasses import asdict

    from mho.targets.catalog import load_target
    from mho.targets.describe import describe

    machine = load_target(target)
    if as_json:
        console.emit_json(asdict(machine))
        return
    click.echo(describe(machine), nl=False)


@targets_group.command("check")
@click.argument("target")
def check_target_command(target: str) -> None:
    """Check a machine of your own: keys, types, ranges, and sources."""
    from mho.targets.catalog import load_target

    machine = load_target(target)
    click.echo(f"{target} is a valid machine: {machine.title}")


@click.command("ops", short_help="Which ONNX operator runs where, and when.")
@json_option
def ops_command(as_json: bool) -> None:
    """Print which ONNX operators run where, and under which conditions."""
    from dataclasses import asdict

    from mho.passes.lower import explain_rules

    supports = explain_rules()
    if as_json:
        console.emit_json([asdict(s) for s in supports])
        return
    for support in supports:
        click.echo(f"{support.operator}: {support.where}")
        for condition in support.conditions:
            click.echo(f"  - {condition}")
    click.echo("every other operator: digital, run by onnxruntime")

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
    """Print a machine: its values with their sources, what follows from them, and the effects that it has."""
    from dataclasses import asdict

    from mho.runtime.effects import effects_of
    from mho.targets.catalog import load_target
    from mho.targets.describe import describe
    from mho.targets.peak import peak
    from mho.targets.target import UNLIMITED

    machine = load_target(target)
    effects = effects_of(machine)
    if as_json:
        table = asdict(machine)
        table["crossbar"] |= {key: None for key in ("rows", "columns") if table["crossbar"][key] == UNLIMITED}
        console.emit_json({**table, "peak": [asdict(q) for q in peak(machine)], "effects": effects})
        return
    click.echo(f"{describe(machine)}\neffects\n  {', '.join(effects) or 'none: exact arithmetic'}")


@targets_group.command("check")
@click.argument("target")
def check_target_command(target: str) -> None:
    """Check a machine of your own: keys, types, ranges, and sources."""
    from mho.targets.catalog import load_target

    machine = load_target(target)
    click.echo(f"{target} is a valid machine: {machine.title}")


@click.command("ops", short_help="Which ONNX operator runs where, and when.")
@click.argument("name", required=False)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="Markdown is the page OPERATORS.md.",
)
@json_option
def ops_command(name: str | None, kind: str, as_json: bool) -> None:
    """Print where each operator that onnxruntime knows runs, under which conditions, and why it is digital.

    \b
    Example: mho ops MatMul
    """
    from dataclasses import asdict

    from mho.operators import all_as_text, as_markdown, named, one_as_text
    from mho.passes.lower.reasons.support import explain_operators

    supports = explain_operators() if name is None else named(explain_operators(), name)
    if as_json or kind == "json":
        console.emit_json([asdict(s) for s in supports])
    elif kind == "markdown":
        click.echo(as_markdown(supports), nl=False)
    elif name is None:
        click.echo(all_as_text(supports), nl=False)
    else:
        click.echo("\n".join(one_as_text(support) for support in supports), nl=False)

"""The options of commands that run a program: which effects of the machine are on, and what corrects them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mho.runtime.effects import Effects
    from mho.targets.program import Program


class EffectNames(click.ParamType[tuple[str, ...]]):
    """`drift,read_noise`: fields of `Effects`."""

    name = "EFFECT,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        from mho.conditions import EFFECTS
        from mho.targets.schema import nearest

        names = tuple(part.strip() for part in str(value).split(","))
        for name in names:
            if name not in EFFECTS:
                guess = nearest(name, EFFECTS)
                meant = f"; did you mean {guess}?" if guess else "."
                self.fail(f"{name!r} is no effect{meant} The effects are {', '.join(EFFECTS)}.", param, ctx)
        return names


class EffectOption(click.Option):
    """An option whose help lists the effects, which are looked up when somebody asks."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from mho.conditions import EFFECTS

        found = super().get_help_record(ctx)
        return found and (found[0], f"{found[1]} The effects are {', '.join(EFFECTS)}.")


_OPTIONS = (
    click.option("--ideal", is_flag=True, help="No noise and no rounding."),
    click.option("--quantised", is_flag=True, help="Converters and number formats, no noise."),
    click.option(
        "--off", cls=EffectOption, type=EffectNames(), multiple=True, help="Switch effects off; may be repeated."
    ),
    click.option("--only", type=EffectNames(), multiple=True, help="Switch all effects off but these."),
    click.option(
        "--compensate",
        "compensation",
        type=click.Choice(["none", "global", "column"]),
        help="Of drift: one factor a tile, or one a column; the machine's own by default.",
    ),
    click.option(
        "--recalibrate",
        type=click.Path(path_type=Path),
        metavar="CALIB.npz",
        help="Estimate each column's mean and deviation again on these samples, before every run (AdaBS).",
    ),
)


def effects_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command; `Chosen.of` reads what they were given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Chosen:
    """What the options ask for.

    Attributes:
        named: effects that were named to be switched.
    """

    effects: Effects
    named: tuple[str, ...]
    compensation: Any
    recalibrate: Path | None

    @staticmethod
    def of(given: dict[str, Any]) -> Chosen:
        """Takes the options out of what a command was given.

        Raises:
            OptionError: they contradict each other; all contradictions at once.
        """
        from mho.conditions import contradictions
        from mho.runtime.effects import Conditions
        from mho.targets.errors import OptionError

        ideal, quantised, compensation, recalibrate = (
            given.pop(name) for name in ("ideal", "quantised", "compensation", "recalibrate")
        )
        off, only = (tuple(dict.fromkeys(n for names in given.pop(key) for n in names)) for key in ("off", "only"))
        flags = {"--ideal": ideal, "--quantised": quantised, "--off": off, "--only": only}
        problems = _exclusive({flag for flag, value in flags.items() if value}, compensation, recalibrate is not None)
        effects = _effects(ideal, quantised, off, only)
        conditions = Conditions(effects=effects, compensation=compensation)
        problems = problems or [*_idle(quantised, off), *contradictions(conditions, recalibrate is not None)]
        if problems:
            raise OptionError(problems)
        return Chosen(effects, (*off, *only), compensation, recalibrate)

    def warnings(self, program: Program) -> list[str]:
        """Effects that were named and that the machine does not have.

        Nothing wrong comes of them, and one command line may serve several machines, so they are no mistakes.
        """
        from mho.conditions import lacked

        missing = lacked(program, self.named)
        return [f"{program.target.name} has no {name}, so that its switch changes nothing" for name in missing]


def _effects(ideal: bool, quantised: bool, off: tuple[str, ...], only: tuple[str, ...]) -> Effects:
    from dataclasses import replace

    from mho.runtime.effects import Effects

    start = Effects.ideal() if ideal or only else Effects.quantised() if quantised else Effects()
    return replace(start, **(dict.fromkeys(only, True) | dict.fromkeys(off, False)))


def _exclusive(flags: set[str], compensation: str | None, recalibrates: bool) -> list[str]:
    """Flags that cannot stand beside each other, whatever the values."""
    problems = []
    if {"--ideal", "--quantised"} <= flags:
        problems.append("--ideal and --quantised exclude each other: give one of them, or neither for all effects")
    others = (flags & {"--off", "--only"}) | ({"--compensate"} if compensation else set())
    others |= {"--recalibrate"} if recalibrates else set()
    if "--ideal" in flags and others:
        named = " and ".join(sorted(others))
        problems.append(f"--ideal computes no effect at all, so that {named} cannot change anything: leave one out")
    if "--only" in flags and flags & {"--off", "--quantised"}:
        named = " and ".join(sorted(flags & {"--off", "--quantised"}))
        problems.append(f"--only already says which effects are on, and {named} says so too: give one of them")
    return problems


def _idle(quantised: bool, off: tuple[str, ...]) -> list[str]:
    from mho.runtime.effects import Effects

    lost = [name for name in off if quantised and not getattr(Effects.quantised(), name)]
    return [f"--quantised has switched {', '.join(lost)} off already: leave --off {','.join(lost)} out"] if lost else []

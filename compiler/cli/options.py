"""Option types that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from mho.times import seconds_of


class Pairs(click.ParamType[dict[str, Any]]):
    """`NAME=VALUE,…`, several options adding up."""

    name = "NAME=VALUE"

    def __init__(self, separator: str, values: type) -> None:
        self.separator = separator
        self.values = values

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        for part in str(value).split(","):
            name, found, text = part.rpartition(self.separator)
            try:
                pairs[name] = self.values(text)
            except ValueError:
                found = ""
            if not found or not name:
                self.fail(f"{part!r} is not of the form NAME{self.separator}VALUE", param, ctx)
        return pairs


class Times(click.ParamType[tuple[float, ...]]):
    """`0s,1h,1d,30d`: seconds after programming."""

    name = "TIME,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        return tuple(dict.fromkeys(self._seconds(part, param, ctx) for part in str(value).split(",")))

    def _seconds(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = seconds_of(text)
        if seconds is None:
            self.fail(f"{text!r} is not a time such as 0s, 90s, 10m, 1h, 1d or 1y", param, ctx)
        return seconds


class Effort(click.ParamType[str | float]):
    """fast, normal, max, or a number of seconds."""

    name = "fast|normal|max|SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        if value in ("fast", "normal", "max"):
            return str(value)
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is none of fast, normal, max and a number of seconds", param, ctx)
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is not a positive number of seconds", param, ctx)
        return seconds


class Copies(click.ParamType[str | int]):
    """A whole number of copies, `fill`, or `balance`."""

    name = "N|fill|balance"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        if value in ("fill", "balance"):
            return str(value)
        if not str(value).isdigit() or int(value) < 1:
            self.fail(f"{value!r} is neither a number of copies from 1 nor 'fill' or 'balance'", param, ctx)
        return int(value)


class Devices(click.ParamType[str | int]):
    """A whole number of devices, or `auto`."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        if value == "auto":
            return "auto"
        if not str(value).isdigit() or int(value) < 1:
            self.fail(f"{value!r} is neither a number of devices from 1 nor 'auto'", param, ctx)
        return int(value)


class Pin(click.ParamType[dict[str, tuple[str, ...]]]):
    """`LAYER=CHIP`, or `LAYER=CHIP:X,Y` with one or several cores."""

    name = "LAYER=CHIP"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, tuple[str, ...]]:
        name, found, places = str(value).rpartition("=")
        if not found or not name or not places.split():
            self.fail(f"{value!r} is not of the form LAYER=CHIP or LAYER=CHIP:X,Y", param, ctx)
        return {name: tuple(places.split())}


class Words(click.ParamType[tuple[str, ...]]):
    """`A,B,…`; the comma within brackets belongs to its word."""

    name = "A,B,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        words = tuple(word.strip() for word in re.split(r",(?![^\[\]]*\])", str(value)))
        if not all(words):
            self.fail(f"{value!r} is not of the form A,B,…", param, ctx)
        return words


class Percent(click.ParamType[float]):
    """A number from 0 to 100."""

    name = "P"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 100:
            self.fail(f"{value!r} is not a number from 0 to 100", param, ctx)
        return number


def refuse_output(output: Path, *inputs: Path | None) -> None:
    """Refuses a file to write that is one of the inputs, or that lies in no folder, before any work is done.

    Raises:
        OptionError: it is an input. DataError: there is no such folder.
    """
    from mho.targets.errors import DataError, OptionError

    for path in inputs:
        if path is not None and output.exists() and path.exists() and output.samefile(path):
            raise OptionError(f"{output} is an input of this command, which would be lost; give another name with -o")
    if not output.resolve().parent.is_dir():
        raise DataError(f"{output} cannot be written: there is no folder {output.parent}")


def merged(values: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """The pairs of a repeated option as one table."""
    return {name: value for pairs in values for name, value in pairs.items()}


def joined(pins: tuple[dict[str, tuple[str, ...]], ...]) -> dict[str, tuple[str, ...]]:
    """The places of a repeated option, those of one name together."""
    names = dict.fromkeys(name for pin in pins for name in pin)
    return {name: tuple(place for pin in pins for place in pin.get(name, ())) for name in names}


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")
read_seed_option = click.option(
    "--read-seed",
    type=click.IntRange(0),
    help="Of what is drawn when the machine is read: noise of reads and of MVMs; by default the seed.",
)
state_option = click.option(
    "--state",
    type=Pairs(":", str),
    multiple=True,
    metavar="OUT:IN,…",
    help="Carry an output to an input of the next sample; it starts at zero.",
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["fast", "reference", "cuda"]),
    default="fast",
    show_default=True,
    help="What simulates the tiles: compiled loops, plain numpy, or torch on a GPU.",
)
data_help = "An .npz with one array an input under its name ('x' serves where there is one); first axis: samples."

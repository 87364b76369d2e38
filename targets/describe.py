"""`describe`: a machine as text, every value with its unit, its certainty and its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from textwrap import wrap

from mho.targets.errors import plain
from mho.targets.peak import peak
from mho.targets.schema import keys
from mho.targets.target import UNLIMITED, Crossbar, DigitalUnit, Source, Target

UNITS = {
    "_ns": "ns",
    "_nj": "nJ",
    "_tops_w": "TOPS/W",
    "_tops_mm2": "TOPS/mm²",
    "_mm2": "mm²",
    "_ohm": "Ω",
    "_us": "µS",
}

ABSENT = {
    "crossbar.rows": "not published: every matrix has an array of its own",
    "crossbar.columns": "not published: every matrix has an array of its own",
    "crossbar.analog_rows": "none: every tile converts its own partial sum",
    "crossbar.packing": "not published: every regime is allowed",
    "dac.bits": "none: not rounded",
    "adc.bits": "none: not rounded",
    "core.buffer_words": "not published: unlimited",
    "mesh.tiles": "not published: unlimited",
    "mesh.width": "not published: the smallest near-square grid",
    "mesh.height": "not published: the smallest near-square grid",
    "mesh.chips": "not published: no limit known",
}
"""What a machine does where a key has no value. A cost without one is left out of the totals."""

_PLAINEST = Target(name="", title="", crossbar=Crossbar(weight_scale="column"))

WIDTH = 112
INDENT = " " * 4


@dataclass(frozen=True)
class Fact:
    """One value of a machine.

    Attributes:
        section, key: the table and the entry of the machine's file.
        value: as text, "not published" where there is none.
        unit: "ns", "nJ", "mm²" or "".
        source: where it comes from; its text is empty where the file does not say.
        given: whether the file gives the value; else it is the default of the key.
    """

    section: str
    key: str
    value: str
    unit: str
    source: Source
    given: bool


def facts(target: Target) -> tuple[Fact, ...]:
    """Every value of a machine but its name and title, in the order of its file."""
    plain_keys = [key for key in keys() if "." in key]
    shared = [f"units.{name}.{key}" for name in target.units for key in ("count", "operators", "digital_format")]
    place = next(i for i, key in enumerate(plain_keys) if key.startswith("mesh."))
    return tuple(_fact(target, key) for key in (*plain_keys[:place], *shared, *plain_keys[place:]))


def describe(target: Target) -> str:
    """A machine as lines of text: its title, its values section by section, what it lacks, what follows from it."""
    lines = [f"{plain(target.name)}: {plain(target.title)}"]
    told = [fact for fact in facts(target) if fact.section != "stated" or fact.given]
    for section, members in groupby(told, lambda fact: fact.section):
        lines += ["", plain(section), *_section(list(members))]
    derived = _derived(target)
    return "\n".join([*lines, *(["", "what follows", *derived] if derived else []), ""])


def _section(members: list[Fact]) -> Iterator[str]:
    """The values that the file gives or speaks of, a line each; then the names of those that it lacks."""
    told = [fact for fact in members if fact.given or fact.source.text]
    for fact in told:
        value = "not published" if fact.source.certainty == "unpublished" else f"{fact.value} {fact.unit}".rstrip()
        yield _line(fact.key, value, fact.source.certainty or "", plain(fact.source.text))
    rest = [fact for fact in members if fact not in told]
    unknown = [fact.key for fact in rest if fact.value.startswith("not published")]
    yield from _names("not published", unknown)
    yield from _names("default", [f"{f.key} {f.value}" for f in rest if f.key not in unknown])


def _names(what: str, names: list[str]) -> list[str]:
    return wrap(f"{what}: {', '.join(names)}", WIDTH, initial_indent="  ", subsequent_indent=INDENT) if names else []


def _fact(target: Target, dotted: str) -> Fact:
    section, _, key = dotted.rpartition(".")
    owner = target.units[section.removeprefix("units.")] if section.startswith("units.") else getattr(target, section)
    value = getattr(owner, key)
    default = _default(dotted, key)
    unit = next((unit for suffix, unit in UNITS.items() if key.endswith(suffix) and value is not None), "")
    source = target.sources.get(dotted, Source(text=""))
    return Fact(section, key, _text(dotted, value), unit, source, value != default)


def _default(dotted: str, key: str) -> object:
    if dotted.startswith("units."):
        return getattr(DigitalUnit(), key)
    return attrgetter(dotted)(_PLAINEST) if not dotted.startswith("crossbar.weight_scale") else None


def _text(dotted: str, value: object) -> str:
    if value is None or value == UNLIMITED:
        return ABSENT.get(dotted, "not published")
    if isinstance(value, tuple):
        return ", ".join(_text(dotted, item) for item in value) if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value) if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _line(key: str, value: str, certainty: str, source: str) -> str:
    return f"  {key:<22} {value:<18}  {certainty:<11}  {source}".rstrip()


def _derived(target: Target) -> list[str]:
    """What the figures of instructions come to for a tile and a chip, as far as they are known."""
    known = [quantity for quantity in peak(target) if quantity.value is not None]
    return [_line(q.name, f"{_rounded(q.value or 0.0)} {q.unit}".rstrip(), "arithmetic", q.formula) for q in known]


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"

"""`describe`: a machine as text, every number with its unit and its source."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from mho.targets.errors import plain
from mho.targets.schema import keys
from mho.targets.target import Target

UNITS = {"_ns": "ns", "_nj": "nJ", "_mm2": "mm²"}

ABSENT = {
    "crossbar.analog_rows": "none: every tile converts its own partial sum",
    "dac.bits": "none: not rounded",
    "adc.bits": "none: not rounded",
    "core.buffer_words": "not published: unlimited",
    "mesh.tiles": "not published: unlimited",
    "mesh.width": "not published: the smallest near-square grid",
    "mesh.height": "not published: the smallest near-square grid",
    "mesh.chips": "not published: no limit known",
}
"""What a machine does where a key has no value. A cost without one is left out of the totals."""


@dataclass(frozen=True)
class Fact:
    """One value of a machine.

    Attributes:
        section, key: the table and the entry of the machine's file.
        value: as text, "not published" where there is none.
        unit: "ns", "nJ", "mm²" or "".
        source: where it comes from, "" where the file does not say.
    """

    section: str
    key: str
    value: str
    unit: str
    source: str


def facts(target: Target) -> tuple[Fact, ...]:
    """Every value of a machine but its name and title, in the order of its file."""
    return tuple(_fact(target, *key.split(".")) for key in keys() if "." in key)


def describe(target: Target) -> str:
    """A machine as lines of text: its title, its values section by section, and what follows from them."""
    lines = [f"{plain(target.name)}: {plain(target.title)}"]
    section = ""
    for fact in facts(target):
        if fact.section != section:
            section = fact.section
            lines += ["", section]
        lines.append(_line(fact.key, f"{fact.value} {fact.unit}".rstrip(), plain(fact.source)))
    derived = [_line(name, value, source) for name, value, source in _derived(target)]
    return "\n".join([*lines, "", "by arithmetic", *derived])


def _fact(target: Target, section: str, key: str) -> Fact:
    dotted = f"{section}.{key}"
    value = attrgetter(dotted)(target)
    unit = next((unit for suffix, unit in UNITS.items() if key.endswith(suffix) and value is not None), "")
    return Fact(
        section, key, _text(dotted, value), unit, target.sources[dotted].text if dotted in target.sources else ""
    )


def _text(dotted: str, value: object) -> str:
    if value is None:
        return ABSENT.get(dotted, "not published")
    if isinstance(value, tuple):
        return ", ".join(_text(dotted, item) for item in value) if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _line(key: str, value: str, source: str) -> str:
    return f"  {key:<19} {value:<22}  {source}".rstrip()


def _derived(target: Target) -> list[tuple[str, str, str]]:
    """Size and peak rates of a chip; an MVM is two operations a weight."""
    weights = target.crossbar.rows * target.crossbar.columns
    found = [("weights a tile", f"{weights:,}", "rows · columns")]
    tiles, latency_ns, energy_nj = target.mesh.tiles, target.costs.mvm_latency_ns, target.costs.mvm_energy_nj
    if tiles is not None:
        found.append(("weights a chip", f"{weights * tiles:,}", "weights a tile · tiles"))
    if tiles is not None and latency_ns is not None:
        tops = 2 * weights * tiles / latency_ns / 1000
        found.append(("peak rate", f"{tops:.4g} TOPS", "2 · weights a chip / mvm_latency_ns"))
    if energy_nj:
        efficiency = 2 * weights / energy_nj / 1000
        found.append(("efficiency", f"{efficiency:.4g} TOPS/W", "2 · weights a tile / mvm_energy_nj"))
    return found

"""How long digital steps take on the units that the cores of a chip share, as far as it is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mho.passes.levels.network import Network
from mho.passes.schedule.reach import Reaches
from mho.targets.steps import Digital, Recurrent, walk
from mho.targets.target import Target


@dataclass(frozen=True)
class UnitTime:
    """How long a digital step takes on a shared unit."""

    unit: str
    time_ns: float


def unit_time(network: Network, target: Target, step: Digital) -> UnitTime | None:
    """operators · words · time of a word, all on one unit; None where the unit has no figure or a shape is unknown.

    A word is one of what the step gives, or of what it takes in where that is more.
    """
    units = {target.unit_of(operator) for operator in step.operators}
    name = next(iter(units)) if len(units) == 1 else None
    latency = None if name is None else target.units[name].word_latency_ns
    words = None if latency is None else Reaches(network).words(step)
    if name is None or latency is None or words is None:
        return None
    return UnitTime(name, len(step.operators) * words * latency)


def digital_places(network: Network, target: Target, untimed: bool = False) -> Iterator[str]:
    """Where steps beside the cores run, whose energies nobody published: each once, shared units first.

    Args:
        untimed: only those whose times are not known either.
    """
    units: set[str | None] = set()
    for step in walk(network.steps):
        match step:
            case Digital() if not untimed or unit_time(network, target, step) is None:
                units |= {target.unit_of(operator) for operator in step.operators}
            case Recurrent():
                units.add(target.unit_of(step.cell))
    for unit in (*target.units, None):
        if unit in units:
            yield "digital steps beside the chip" if unit is None else f"digital steps on {unit}"

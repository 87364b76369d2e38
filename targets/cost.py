"""What instructions cost on a machine, as far as it is published. Times in ns, energies in nJ; None where unknown.

| instruction | what it is charged |
|---|---|
| `Mvm` | one MVM of the tile in the machine's read mode; a conversion by the DAC for each row of the block |
| `Convert` | a conversion by the ADC for each column; one vector through the core's digital unit |
| `Accumulate`, `Add` | one vector through the digital unit; nothing before a `Convert`, where charge is added |
| `Affine`, `Activate`, `Store` | nothing of their own: they happen while the vector is in the unit |
| `Store` of a layer whose positions overlap | one vector through the digital unit, added to those of other positions |
| `Send`, `Receive` | every word for each link on its way, and for each crossing from chip to chip |

Conversions are charged where they have a figure of their own; elsewhere the figure of the MVM holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from math import ceil
from operator import attrgetter
from typing import get_args

from mho.targets.isa import Accumulate, Add, Convert, Kernel, Mvm
from mho.targets.mapping import Component
from mho.targets.target import Target

MVM_LATENCY = "costs.mvm_latency_ns"
DIGITAL_LATENCY = "costs.digital_latency_ns"
HOP_LATENCY = "mesh.hop_latency_ns"
CHIP_LATENCY = "mesh.chip_latency_ns"
TILE_AREA = "costs.tile_area_mm2"
WRITE_LATENCY = "costs.write_latency_ns"
WRITE_ENERGY = "costs.write_energy_nj"

COMPONENTS: tuple[Component, ...] = get_args(Component)
"""In the order in which a vector meets them."""

UNLIKE = "costs.mvm_energy_nj of other devices a weight"
"""Named where a matrix has another number of devices a weight than the machine, whose figure is of its own number."""

OPTIONAL: tuple[Component, ...] = ("dac", "adc")
"""Components that are part of the MVM's figure where they have none of their own."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much instructions do: counts, each of which has one figure.

    Attributes:
        mvms: MVMs of a tile. unlike: those of them whose weights have other devices than the machine's figures are of.
        inputs, outputs: conversions by DACs and ADCs.
        converted, added: vectors through a digital unit: after their conversion, and as partial sums that are added.
        hop_words, chip_words: words, each counted once a link on its way, and once a crossing from chip to chip.
    """

    mvms: float = 0.0
    inputs: float = 0.0
    outputs: float = 0.0
    converted: float = 0.0
    added: float = 0.0
    hop_words: float = 0.0
    chip_words: float = 0.0
    unlike: float = 0.0

    @property
    def vectors(self) -> float:
        """Vectors through digital units."""
        return self.converted + self.added

    def __add__(self, other: Work) -> Work:
        return Work.of(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, count: float) -> Work:
        return Work.of(*(count * value for value in astuple(self)))

    @staticmethod
    def of(*counts: float) -> Work:
        """From the counts in their order; those that follow are 0."""
        return Work(**dict(zip(Work.__dataclass_fields__, counts, strict=False)))


def kernel_work(kernel: Kernel) -> Work:
    """What one pass through a kernel's body does; the ways of its words are the routes', not the kernel's."""
    total = Work()
    digital: set[str] = set()
    for instruction in kernel.body:
        match instruction:
            case Mvm():
                total += Work(mvms=1, inputs=kernel.buffers[instruction.source])
            case Convert():
                digital.add(instruction.buffer)
                total += Work(outputs=kernel.buffers[instruction.buffer], converted=1)
            case Accumulate() | Add() if instruction.buffer in digital:
                total += Work(added=1)
    return total


def rounds(fires: float, replicas: int) -> int:
    """Positions one replica takes; a fraction of a position on average costs a whole one."""
    return ceil(fires / replicas - 1e-9)


def firing_ns(target: Target, count: int, work: Work) -> float | None:
    """From the first MVM to the last result of a tile, for `count` positions of `work` each.

    MVMs follow each other without a gap. The digital unit works on one vector while the next is made: it is done
    with what the last MVM gave, and with the partial sums that are added to it, after the last MVM; where it is
    slower than the MVMs it holds them up. An unknown digital latency counts 0:

        max(count · mvms · mvm + after · digital, mvm + count · vectors · digital)
    """
    mvm = target.costs.mvm_latency_ns
    if mvm is None:
        return None
    if count == 0:
        return 0.0
    digital = target.costs.digital_latency_ns or 0.0
    after = min(1.0, work.converted) + work.added
    return max(count * work.mvms * mvm + after * digital, mvm + count * work.vectors * digital)


def pace_ns(target: Target, work: Work) -> float:
    """From a position to the next where many follow each other: MVMs or the digital unit, whichever takes longer."""
    return max(
        work.mvms * (target.costs.mvm_latency_ns or 0.0), work.vectors * (target.costs.digital_latency_ns or 0.0)
    )


def transport_ns(target: Target, hops: int, crosses: bool) -> float:
    """One vector over so many links, and from chip to chip; unknown latencies count 0."""
    return hops * (target.mesh.hop_latency_ns or 0.0) + crosses * (target.mesh.chip_latency_ns or 0.0)


def energies(target: Target, work: Work) -> dict[Component, float | None]:
    """Component → energy of the work, for those that it uses; a converter has an entry where it has a figure."""
    found: dict[Component, float | None] = {}
    for component, _, count, figure in _energy_figures(target, work):
        if figure is not None:
            found[component] = count * figure
        elif component not in OPTIONAL:
            found.setdefault(component, None)
    return found


def energy_nj(target: Target, work: Work) -> float | None:
    """The energy of the work without what is unknown; None where that is the MVMs'."""
    found = energies(target, work)
    if "mvm" in found and found["mvm"] is None:
        return None
    return sum(energy for energy in found.values() if energy is not None)


def missing_energies(target: Target, work: Work) -> tuple[str, ...]:
    """The keys of the figures that the energy of the work leaves out."""
    return tuple(
        key
        for component, key, _, figure in _energy_figures(target, work)
        if figure is None and component not in OPTIONAL
    )


def known(target: Target, key: str) -> float | None:
    """The figure of a dotted key, such as `costs.mvm_latency_ns`."""
    figure: float | None = attrgetter(key)(target)
    return figure


def _energy_figures(target: Target, work: Work) -> Iterator[tuple[Component, str, float, float | None]]:
    """Component, key, count and figure of everything that the work uses."""
    counts: tuple[tuple[Component, str, float], ...] = (
        ("mvm", "costs.mvm_energy_nj", work.mvms - work.unlike),
        ("dac", "costs.dac_energy_nj", work.inputs),
        ("adc", "costs.adc_energy_nj", work.outputs),
        ("digital", "costs.digital_energy_nj", work.vectors),
        ("links", "mesh.hop_energy_nj", work.hop_words),
        ("chip links", "mesh.chip_energy_nj", work.chip_words),
    )
    yield from ((component, key, count, known(target, key)) for component, key, count in counts if count > 0)
    if work.unlike > 0:
        yield "mvm", UNLIKE, work.unlike, None

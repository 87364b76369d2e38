"""`costs`: what an inference costs, by layer and component, and what each total leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from mho.passes.schedule.machine import Machine
from mho.passes.schedule.units import digital_places
from mho.targets.cost import (
    CHIP_LATENCY,
    COMPONENTS,
    DIGITAL_LATENCY,
    HOP_LATENCY,
    MVM_LATENCY,
    TILE_AREA,
    Work,
    energies,
    energy_nj,
    firing_ns,
    known,
    missing_energies,
)
from mho.targets.mapping import Component, CostFacts, CostLine
from mho.targets.steps import Recurrent, walk
from mho.targets.target import Target

_ORDER = (
    MVM_LATENCY,
    "costs.mvm_energy_nj",
    DIGITAL_LATENCY,
    "costs.digital_energy_nj",
    HOP_LATENCY,
    "mesh.hop_energy_nj",
    CHIP_LATENCY,
    "mesh.chip_energy_nj",
    TILE_AREA,
)


@dataclass(frozen=True)
class Times:
    """The times of a schedule."""

    latency_ns: float
    interval_ns: float


def costs(machine: Machine, layers: Mapping[str, LayerCost], times: Times | None) -> CostFacts:
    """Totals of one inference, their parts, and what nobody published and each total therefore leaves out.

    Args:
        times: None where the latency of an MVM is not known.
    """
    target = machine.target
    total = sum((layer.work for layer in layers.values()), Work())
    missing = _missing(machine, total)
    breakdown = tuple(chain.from_iterable(layer.lines() for layer in layers.values()))
    return CostFacts(
        latency_ns=None if times is None else times.latency_ns,
        interval_ns=None if times is None else times.interval_ns,
        energy_nj=None if energy_nj(target, total) is None else sum(line.energy_nj or 0.0 for line in breakdown),
        area_mm2=_area_mm2(target, len(machine.tiling.tiles)),
        excluded=_union(missing),
        missing=missing,
        layers_ns={layer.name: layer.busy_ns for layer in layers.values() if layer.busy_ns is not None},
        layers_nj={layer.name: layer.energy_nj for layer in layers.values() if layer.energy_nj is not None},
        breakdown=breakdown,
    )


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs in one inference."""

    machine: Machine
    name: str

    @cached_property
    def work(self) -> Work:
        return self.machine.inference_work(self.name)

    @cached_property
    def lane_work(self) -> dict[int, Work]:
        return self.machine.lane_work(self.name)

    @cached_property
    def lanes_ns(self) -> dict[int, float]:
        """Lane → how long the layer keeps it busy; empty where that is unknown."""
        positions, target = self.machine.positions(self.name), self.machine.target
        times = {lane: firing_ns(target, positions, work) for lane, work in self.lane_work.items()}
        return {lane: time for lane, time in times.items() if time is not None}

    @cached_property
    def busy_ns(self) -> float | None:
        return max(self.lanes_ns.values(), default=None)

    @cached_property
    def energy_nj(self) -> float | None:
        return energy_nj(self.machine.target, self.work)

    def lines(self) -> Iterator[CostLine]:
        """One for each component that the layer uses and that is not part of another's figure."""
        found, times = energies(self.machine.target, self.work), self._times()
        for component in COMPONENTS:
            if component in found:
                yield CostLine(
                    layer=self.name, component=component, time_ns=times[component], energy_nj=found[component]
                )

    def _times(self) -> dict[Component, float | None]:
        """What each component adds: the digital unit to the time of the MVMs, links to the way of one vector."""
        target, machine = self.machine.target, self.machine
        hops, chip = known(target, HOP_LATENCY), known(target, CHIP_LATENCY)
        mvm = self._mvm_ns()
        busy = None if known(target, DIGITAL_LATENCY) is None else self.busy_ns
        ways = machine.ways(self.name)
        return {
            "mvm": mvm,
            "dac": None if mvm is None else 0.0,
            "adc": None if mvm is None else 0.0,
            "digital": None if mvm is None or busy is None else busy - mvm,
            "links": None if hops is None else hops * sum(way.hops for way in ways),
            "chip links": None if chip is None else chip * sum(way.crosses for way in ways),
        }

    def _mvm_ns(self) -> float | None:
        """The MVMs of the slowest lane."""
        mvm = known(self.machine.target, MVM_LATENCY)
        if mvm is None:
            return None
        slowest = max(self.lanes_ns, key=lambda lane: self.lanes_ns[lane])
        return mvm * self.machine.positions(self.name) * self.lane_work[slowest].mvms


def _area_mm2(target: Target, tiles: int) -> float | None:
    area = target.costs.tile_area_mm2
    return tiles * area if area is not None else None if tiles else 0.0


def _missing(machine: Machine, total: Work) -> dict[str, tuple[str, ...]]:
    """Total → what it leaves out of what the network uses."""

    def unknown(*used: tuple[str, bool]) -> tuple[str, ...]:
        return tuple(key for key, uses in used if uses and known(machine.target, key) is None)

    places = tuple(digital_places(machine.network, machine.target))
    untimed = tuple(digital_places(machine.network, machine.target, untimed=True))
    tiles = bool(machine.tiling.tiles)
    works = (MVM_LATENCY, tiles), (DIGITAL_LATENCY, total.vectors > 0)
    ways = (HOP_LATENCY, total.hop_words > 0), (CHIP_LATENCY, total.chip_words > 0)
    # A recurrent step holds its tiles from one time step to the next, while its state is on the way.
    waits = ways if any(isinstance(step, Recurrent) for step in walk(machine.network.steps)) else ()
    return {
        "latency": (*unknown(*works, *ways), *untimed),
        "interval": (*unknown(*works, *waits), *untimed),
        "energy": (*missing_energies(machine.target, total), *places),
        "area": unknown((TILE_AREA, tiles)),
    }


def _union(missing: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Everything that some total leaves out: figures of the machine, then places."""
    left_out = dict.fromkeys(chain.from_iterable(missing.values()))
    return (*(key for key in _ORDER if key in left_out), *(name for name in left_out if name not in _ORDER))

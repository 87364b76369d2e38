"""`CostReload`: what an inference costs where tiles are rewritten in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from mho.passes.levels.plan import Plan
from mho.targets.cost import CHIP_LATENCY, HOP_LATENCY, WRITE_ENERGY, WRITE_LATENCY, known
from mho.targets.mapping import CostFacts
from mho.targets.reload import Reload
from mho.targets.routes import Deliveries
from mho.targets.target import Target

LINKS = "links between reloaded tiles"
"""A page has no place of its own, so how far its words travel is not known."""

_ON_LINKS = ("links", "chip links")
_OF_LINKS = (HOP_LATENCY, "mesh.hop_energy_nj", CHIP_LATENCY, "mesh.chip_energy_nj")


@dataclass(frozen=True)
class CostReload:
    """Replaces the costs of the large machine by those of the real one, and leaves its links and schedule out.

    Tiles that are there together fire together, those of different layers do not overlap: an inference takes, for
    each layer, the time that its slowest tile is busy times the runs in which its pages are there together, and the
    time of all writes. The next one begins when it has ended. In mode "batch" a batch takes that once, with so many
    inferences in each run.
    """

    def run(self, plan: Plan) -> Plan:
        """The plan as it is where nothing is reloaded."""
        placement = plan.routing.placement
        ranged = placement.partition.ranged
        if ranged.reload is None:
            return plan
        routing = replace(plan.routing, links=(), deliveries=Deliveries.none(), solvers=())
        return Plan(routing, (), reload_costs(plan.costs, ranged.reload, ranged.tiling.target))


def reload_costs(costs: CostFacts, reload: Reload, target: Target) -> CostFacts:
    """The costs of an inference with its part of the writes."""
    lines = tuple(line for line in costs.breakdown if line.component not in _ON_LINKS)
    energies: dict[str, float] = {}
    for line in lines:
        if line.layer is not None and line.energy_nj is not None:
            energies[line.layer] = energies.get(line.layer, 0.0) + line.energy_nj
    layers_nj = {layer: energy for layer, energy in energies.items() if layer in costs.layers_nj}
    missing = _missing(costs, target)
    times = _times_ns(costs, reload, target)
    writing = reload.writes_an_inference * (target.costs.write_energy_nj or 0.0)
    area = target.costs.tile_area_mm2
    return replace(
        costs,
        latency_ns=None if times is None else times[0],
        interval_ns=None if times is None else times[1],
        energy_nj=None if costs.energy_nj is None else sum(line.energy_nj or 0.0 for line in lines) + writing,
        layers_nj=layers_nj,
        area_mm2=None if area is None else area * len(reload.sites),
        breakdown=lines,
        missing=missing,
        excluded=tuple(dict.fromkeys(key for keys in missing.values() for key in keys)),
    )


def _times_ns(costs: CostFacts, reload: Reload, target: Target) -> tuple[float, float] | None:
    """From the first input to the last output, and from one inference to the next."""
    if costs.latency_ns is None:
        return None
    fires = Counter(reload.order)
    firing = sum(part.parts * costs.layers_ns.get(part.layer, 0.0) / fires[part.layer] for part in reload.layers)
    writing = target.costs.write_latency_ns or 0.0
    if reload.mode == "batch":
        batch = reload.inferences * firing + reload.writes * writing
        return batch, batch / reload.inferences
    once = firing + reload.writes_an_inference * writing
    return once, once


def _missing(costs: CostFacts, target: Target) -> dict[str, tuple[str, ...]]:
    """Total → what it leaves out: no links, but the writes where they have no figure."""
    writes = {"latency": WRITE_LATENCY, "interval": WRITE_LATENCY, "energy": WRITE_ENERGY}
    found = {}
    for total, keys in costs.missing.items():
        unknown = [key for key in (writes.get(total),) if key is not None and known(target, key) is None]
        links = [LINKS] if total in writes else []
        found[total] = (*(key for key in keys if key not in _OF_LINKS), *unknown, *links)
    return found

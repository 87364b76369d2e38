"""A first chip for every unit where some are pinned or kept apart and no cut in the layers' order will do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mho.passes.partition.limits import ChipLimits
from mho.passes.solver import Budget, Problem, new_model, solve
from mho.passes.workload.neighbours import Neighbours
from mho.passes.workload.tile_flows import TileFlows
from mho.targets.arrays import Indices

MOST_CHOICES = 100_000
"""Units times chips that CP-SAT is asked about; beyond it only quick rules look for an assignment."""

MOST_ROUNDS = 100
"""How often CP-SAT is asked again after an answer that does not fit the cores of some chip."""


@dataclass(frozen=True)
class Assigned:
    """A chip for every unit.

    Attributes:
        chip_of: unit → chip; None where none was found.
        impossible: it is proved that there is none.
    """

    chip_of: Indices | None
    impossible: bool = False


def assign_chips(flows: TileFlows, limits: ChipLimits, limit: Budget, seed: int) -> Assigned:
    """Chips that keep to the limits: by attraction in the layers' order or the largest first, else by CP-SAT."""
    sizes = limits.units.sizes
    for order in (np.arange(len(sizes)), np.argsort(-sizes, kind="stable")):
        found = by_attraction(flows, limits, order)
        if found is not None:
            return Assigned(found)
    return by_solver(limits, limit, seed)


def by_attraction(flows: TileFlows, limits: ChipLimits, order: Indices) -> Indices | None:
    """Pinned units first, then each of the others on the chip with room that it has the most words with.

    Where it has none with any, it joins the one before it, or the first chip with room.

    Args:
        order: in which units come.
    """
    units, chip_of = limits.units, limits.units.pinned.copy()
    pinned = chip_of >= 0
    left = limits.capacities - np.bincount(chip_of[pinned], units.sizes[pinned], limits.chips).astype(np.int64)
    neighbours = Neighbours.of(flows, len(units.sizes))
    last = 0
    for unit in order[~pinned[order]].tolist():
        pull = neighbours.pull(unit, chip_of, limits.chips)
        pull[last] += 1e-9
        wanted = np.argsort(-pull, kind="stable").tolist()
        chip = next((c for c in wanted if _takes(limits, left, chip_of, c, unit)), None)
        if chip is None:
            return None
        chip_of[unit] = last = chip
        left[chip] -= units.sizes[unit]
    return chip_of if limits.allow(chip_of) else None


def by_solver(limits: ChipLimits, limit: Budget, seed: int) -> Assigned:
    """Any assignment that CP-SAT finds.

    What `fits` says of a chip is asked of each answer; units that do not fit a chip are then barred from being there
    together, and CP-SAT is asked again.
    """
    units, chips = limits.units, range(limits.chips)
    if len(units.sizes) * limits.chips > MOST_CHOICES:
        return Assigned(None)
    model = new_model()
    on = [[model.new_bool_var(f"on_{unit}_{chip}") for chip in chips] for unit in range(len(units.sizes))]
    for unit, choices in enumerate(on):
        model.add_exactly_one(choices)
        if units.pinned[unit] >= 0:
            model.add(choices[int(units.pinned[unit])] == 1)
    for chip in chips:
        load = sum(size * choices[chip] for size, choices in zip(units.sizes.tolist(), on, strict=True))
        model.add(load <= int(limits.capacities[chip]))
        for one, other in units.apart.tolist():
            model.add_at_most_one(on[one][chip], on[other][chip])
    problem = Problem(model, tuple(v for choices in on for v in choices))
    for _ in range(MOST_ROUNDS):
        found = solve(problem, limit.share(MOST_ROUNDS // 10), seed)
        if not found.values:
            return Assigned(None, found.status == "INFEASIBLE")
        chip_of = np.array(found.values).reshape(-1, limits.chips).argmax(axis=1)
        crowds = [(chip, _crowd(limits, chip, np.flatnonzero(chip_of == chip))) for chip in chips]
        if not any(len(crowd) for _, crowd in crowds):
            return Assigned(chip_of)
        for chip, crowd in crowds:
            if len(crowd):
                model.add(sum(on[unit][chip] for unit in crowd.tolist()) <= len(crowd) - 1)
    return Assigned(None)


def _crowd(limits: ChipLimits, chip: int, held: Indices) -> Indices:
    """Units of which a chip does not take all, and takes any that one is missing of; none where it takes these."""
    if limits.holds(chip, held):
        return held[:0]
    for unit in held.tolist():
        fewer = held[held != unit]
        held = held if limits.holds(chip, fewer) else fewer
    return held


def _takes(limits: ChipLimits, left: Indices, chip_of: Indices, chip: int, unit: int) -> bool:
    units = limits.units
    if units.sizes[unit] > left[chip] or _on(chip_of, units.strangers.get(unit, ()), chip):
        return False
    return limits.fits is None or limits.fits(chip, np.append(np.flatnonzero(chip_of == chip), unit))


def _on(chip_of: Indices, units: Iterable[int], chip: int) -> bool:
    return any(chip_of[unit] == chip for unit in units)

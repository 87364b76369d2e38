"""CP-SAT over all chips of a small or contracted graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mho.passes.partition.limits import ChipLimits
from mho.passes.solver import Budget, Problem, new_model, solve
from mho.targets.arrays import Floats, Indices

if TYPE_CHECKING:
    from mho.passes.solver import CpModel, IntVar

MOST_CHOICES = 1500
MOST_EDGES = 2500
"""Units times chips, and pairs of units with words, beyond which CP-SAT finds nothing within a usual budget."""

COARSE_WORDS = 2**30
"""CP-SAT counts whole numbers: words are scaled so that all of a graph's words are about this."""


def solve_chips(
    weights: Floats, limits: ChipLimits, chip_of: Indices, limit: Budget, seed: int
) -> tuple[Indices, float]:
    """The best partition that CP-SAT finds from a given one, and a lower bound of the words cut.

    Edges that alone have more words than the given partition cuts are in no better one; their units are one.

    Args:
        weights: words both ways between units, symmetric: [units, units].
    """
    one, other = np.nonzero(np.triu(weights, 1))
    words = weights[one, other]
    cut = float(words[chip_of[one] != chip_of[other]].sum())
    if len(chip_of) * limits.chips > MOST_CHOICES or len(words) > MOST_EDGES or limit.seconds <= 0 or cut <= 0:
        return chip_of, 0.0
    scale = COARSE_WORDS / float(words.sum())
    model = new_model()
    on = _variables(model, limits, chip_of)
    crossing = []
    rounded = np.rint(words * scale).astype(np.int64)
    for a, b, weight, alone in zip(one.tolist(), other.tolist(), rounded.tolist(), words > cut, strict=True):
        if alone:
            _join(model, on[a], on[b])
        else:
            crossing.append(weight * _crosses(model, on[a], on[b], bool(chip_of[a] != chip_of[b])))
    model.minimize(sum(crossing))
    found = solve(Problem(model, tuple(v for choices in on for v in choices)), limit, seed)
    better = chip_of
    if found.values:
        better = np.array(found.values).reshape(-1, limits.chips).argmax(axis=1)
    least = float(words[better[one] != better[other]].sum())
    better, least = (better, least) if least < cut and limits.allow(better) else (chip_of, cut)
    if found.status == "OPTIMAL":
        return better, least
    return better, max(0.0, ((found.bound or 0.0) - len(crossing) / 2) / scale)


def _variables(model: CpModel, limits: ChipLimits, chip_of: Indices) -> list[list[IntVar]]:
    """Whether each unit is on each chip, within the limits, with a given partition as the hint."""
    units = limits.units
    on = [[model.new_bool_var(f"on_{u}_{c}") for c in range(limits.chips)] for u in range(len(chip_of))]
    for unit, choices in enumerate(on):
        model.add_exactly_one(choices)
        if units.pinned[unit] >= 0:
            model.add(choices[int(units.pinned[unit])] == 1)
        for chip, choice in enumerate(choices):
            model.add_hint(choice, bool(chip_of[unit] == chip))
    for chip in range(limits.chips):
        load = sum(size * choices[chip] for size, choices in zip(units.sizes.tolist(), on, strict=True))
        model.add(load <= int(limits.capacities[chip]))
        for a, b in units.apart.tolist():
            model.add_at_most_one(on[a][chip], on[b][chip])
    return on


def _join(model: CpModel, one: list[IntVar], other: list[IntVar]) -> None:
    """Two units on one chip."""
    for here, there in zip(one, other, strict=True):
        model.add(here == there)


def _crosses(model: CpModel, one: list[IntVar], other: list[IntVar], hint: bool) -> IntVar:
    """At least 1 where two units are on different chips."""
    crosses = model.new_bool_var("crosses")
    model.add_hint(crosses, hint)
    for here, there in zip(one, other, strict=True):
        model.add_bool_or(crosses, ~here, there)
    return crosses

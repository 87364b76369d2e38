"""What a report says of costs: rates that follow from the totals, components, and what each total leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

from mho.report.lines import ComponentLine, Total
from mho.targets.cost import COMPONENTS, TILE_AREA
from mho.targets.mapping import CostFacts, CostLine
from mho.targets.target import Target

_NEEDS: Mapping[Total, tuple[str, ...]] = {
    "latency": ("latency",),
    "interval": ("interval",),
    "energy": ("energy",),
    "area": ("area",),
    "tops": ("interval",),
    "tops_per_w": ("energy",),
    "tops_per_mm2": ("interval", "area"),
}
"""Total of a report → the totals of the program that it is made of."""


def missing(costs: CostFacts, target: Target) -> dict[Total, tuple[str, ...]]:
    """Total → what it leaves out. A program that does not tell totals apart has one list for all times and energies."""
    area = () if target.costs.tile_area_mm2 is not None else (TILE_AREA,)
    told = costs.missing or {**dict.fromkeys(("latency", "interval", "energy"), costs.excluded), "area": area}
    return {
        total: tuple(dict.fromkeys(key for need in needs for key in told.get(need, ())))
        for total, needs in _NEEDS.items()
    }


def area_mm2(costs: CostFacts, target: Target, tiles: int) -> float | None:
    """Of the tiles that are used; a program that does not say has as many as its machine's tile makes."""
    if costs.area_mm2 is not None or not tiles:
        return costs.area_mm2 or 0.0
    return None if target.costs.tile_area_mm2 is None else tiles * target.costs.tile_area_mm2


def ratio(amount: float | None, by: float | None) -> float | None:
    """A quotient; None where a part is unknown, or where it is not a number."""
    if amount is None or not by or not isfinite(by):
        return None
    return amount / by


def components(breakdown: Iterable[CostLine]) -> tuple[ComponentLine, ...]:
    """What each component costs in all layers, in the order in which they work; None where no layer's is known."""
    lines = list(breakdown)
    return tuple(
        ComponentLine(
            component=component,
            time_ns=_sum(line.time_ns for line in lines if line.component == component),
            energy_nj=_sum(line.energy_nj for line in lines if line.component == component),
        )
        for component in COMPONENTS
        if any(line.component == component for line in lines)
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None

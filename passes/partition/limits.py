"""`ChipLimits`: what a partition over chips has to keep to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mho.passes.sites.units import Units
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.targets.arrays import Indices, Mask


@dataclass(frozen=True)
class ChipLimits:
    """What the chips take, and where units have to be.

    Attributes:
        capacities: chip → tiles.
        fits: whether a chip takes these units, whose tiles are no more than its capacity; None is always.
        link_words: the most words from one chip to another; None is no limit.
        alike: all chips offer the same.
    """

    units: Units
    capacities: Indices
    fits: Callable[[int, Indices], bool] | None = None
    link_words: float | None = None
    alike: bool = True

    @property
    def chips(self) -> int:
        return len(self.capacities)

    def holds(self, chip: int, units: Indices) -> bool:
        """Whether a chip takes these units, whose tiles are no more than its capacity."""
        return self.fits is None or self.fits(chip, units)

    def allow(self, chip_of: Indices) -> bool:
        """Whether every unit may be on the chip that it has."""
        units = self.units
        load = np.bincount(chip_of, units.sizes, self.chips)
        astray = (units.pinned >= 0) & (units.pinned != chip_of)
        together = chip_of[units.apart[:, 0]] == chip_of[units.apart[:, 1]]
        if (load > self.capacities).any() or astray.any() or together.any():
            return False
        return all(self.holds(chip, np.flatnonzero(chip_of == chip)) for chip in range(self.chips))

    def tied(self, members: Indices) -> Mask:
        """Which of some units may not move among the chips that these are on, if taken one at a time."""
        tied = self.units.pinned[members] >= 0
        if len(self.units.apart):
            both = np.isin(self.units.apart, members).all(axis=1)
            tied |= np.isin(members, self.units.apart[both])
        return tied

    def rank(self, flows: TileFlows, chip_of: Indices) -> tuple[float, float]:
        """What searches make small: first the words beyond what links take, then all words between chips.

        Args:
            flows: between units.
        """
        return self.overload(flows, chip_of), cut_words(flows, chip_of)

    def overload(self, flows: TileFlows, chip_of: Indices) -> float:
        """Words beyond what the links between chips take."""
        if self.link_words is None:
            return 0.0
        source, target = chip_of[flows.source], chip_of[flows.target]
        apart = source != target
        links, where = np.unique(source[apart] * self.chips + target[apart], return_inverse=True)
        words = np.bincount(where.reshape(-1), flows.words[apart], len(links))
        return float(np.maximum(words - self.link_words, 0.0).sum())

"""`PartitionChips`: which chip every logical tile is on, so that few words go from chip to chip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from mho.passes.levels.plan import Partition, Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.partition.allowed import Allowed
from mho.passes.partition.bounds import cut_bound
from mho.passes.partition.first import FirstChips
from mho.passes.partition.limits import ChipLimits
from mho.passes.partition.search import search_chips
from mho.passes.reload.pages import chips_in_order
from mho.passes.sites.demanded import Asked
from mho.passes.sites.units import contract
from mho.passes.solver import Effort, budget
from mho.passes.workload.tile_flows import TileFlows, cut_words
from mho.passes.workload.traffic import tile_flows
from mho.runtime.products import steady_products
from mho.targets.arrays import Indices
from mho.targets.errors import FitError, counted, plain
from mho.targets.mapping import SolverFacts
from mho.targets.target import Count

Words = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class PartitionChips:
    """Spread the tiles over the fewest chips that hold them, with little traffic between chips.

    Tiles that add their charge before one converter stay together. A contiguous cut in the order of the layers,
    the best of its kind, is improved between pairs of chips. Where a fault map takes lines or tiles away, every chip
    gets only tiles that find a site of their own there, and chips keep the numbers that they have in the map. What is
    asked of where tiles stand holds, or is refused.

    Attributes:
        chips: the most chips to use; None is as many as needed, even if no system of so many was published.
        tiles: the most tiles to use in all; None is no limit.
        link_words: the most words from one chip to another in one inference; None is no limit.
    """

    chips: Count | None = None
    tiles: Count | None = None
    effort: Effort = "normal"
    seed: int = 0
    link_words: Words | None = None

    def run(self, ranged: Ranged) -> Partition:
        """Assign the chips.

        Raises:
            FitError: the tiles do not fit the chips that are allowed.
        """
        if ranged.reload is not None:
            return chips_in_order(ranged)
        tiling = ranged.tiling
        units = Asked(tiling).units
        flows = tile_flows(tiling)
        between, allowed = contract(flows, units.unit_of), Allowed(self.chips, self.tiles)
        first = FirstChips(tiling, units, between, allowed, budget(self.effort), self.seed)
        limits, start = first.found()
        if limits.chips == 1:
            facts = SolverFacts.of("partition", 0.0, 0.0)
            return Partition(ranged, 1, (0,) * len(units.unit_of), (facts,))
        limits = replace(limits, link_words=self.link_words)
        chip_of, facts = self._improved(flows, between, limits, start)
        self._check_links(tiling, limits, between, chip_of)
        numbered = in_order(chip_of) if units.free and limits.alike else chip_of
        return Partition(ranged, limits.chips, tuple(numbered[units.unit_of].tolist()), (facts,))

    def _improved(
        self, flows: TileFlows, between: TileFlows, limits: ChipLimits, start: Indices
    ) -> tuple[Indices, SolverFacts]:
        """The start with fewer words from chip to chip.

        Args:
            flows, between: words between tiles, and between units.
        """
        limit = budget(self.effort)
        with steady_products():
            chip_of, proved = search_chips(between, start, limits, limit, self.seed)
            cut = cut_words(between, chip_of)
            if proved < cut:
                proved = max(proved, cut_bound(flows, limits, chip_of, limit.seconds))
        return chip_of, SolverFacts.of("partition", cut, min(cut, proved))

    def _check_links(self, tiling: Tiling, limits: ChipLimits, between: TileFlows, chip_of: Indices) -> None:
        over = limits.overload(between, chip_of)
        if over > 0:
            raise FitError(
                f"partition.link_words = {self.link_words:g}: no partition over {counted(limits.chips, 'chip')} of "
                f"{plain(tiling.target.name)} was found in which so few words go from any chip to another; the best "
                f"has {over:g} words too many in all. Allow more words, or use fewer copies or larger chips."
            )


def in_order(chip_of: Indices) -> Indices:
    """The same chips, numbered by the first unit that each holds, so that chip 0 holds the first layer."""
    chips, first = np.unique(chip_of, return_index=True)
    number = np.zeros(int(chips.max(initial=0)) + 1, np.int64)
    number[chips[np.argsort(first)]] = np.arange(len(chips))
    return number[chip_of]

"""Copying whole matrices, so that several positions of a layer fire at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Pack
from mho.passes.replicate.pareto import pareto_points
from mho.passes.replicate.search import MOST_BLOCKS, CopiesSearch, copied
from mho.targets.errors import OptionError
from mho.targets.mapping import SolverFacts
from mho.targets.target import Count, Target

ALONE = Pack(mode="none")
"""Every block in a tile of its own."""


@dataclass(frozen=True)
class Replicate:
    """Copies matrices, before blocks are packed or, where it searches, with their packing.

    "fill" makes the pipeline's initiation interval as short as a budget of packed tiles allows, with no copy that does
    not help that: in ns where the machine's latencies are known, else in MVMs. What the ports of the chips cannot feed
    is not copied, and neither are recurrent steps, whose time steps wait for each other. "balance" gives what is left
    of the budget to the slowest of the other layers, as long as that makes one faster: inferences take less time then.

    Attributes:
        replicas: copies of every matrix, or a search for them.
        tiles, chips: the budget of the search, both where both are given; None are all live tiles of the chips that
            one copy of the network needs.
        pareto: list what every interval within the budget costs in tiles and energy.
    """

    replicas: int | Literal["fill", "balance"] = 1
    tiles: Count | None = None
    chips: Count | None = None
    pareto: bool = False

    def run(self, tiling: Tiling, pack: Pack = ALONE, machine: Target | None = None) -> Tiling:
        """The tiling with its copies: packed where they were searched for, as the interval was proven for that packing.

        Args:
            tiling: one copy of each matrix.
            pack: how blocks will share tiles.
            machine: on which tiles will stand, where that has more rows and columns than the tiling's.

        Raises:
            OptionError: the number of copies is below 1, or there is no budget to search within.
        """
        # What blocks that take turns need in time is proven for blocks as they are.
        turns = pack.rule(tiling.target) == "sequential"
        search = CopiesSearch(tiling, replace(pack, cuts="even") if turns else pack, self.tiles, self.chips, machine)
        result = _repeated(tiling, self.replicas) if isinstance(self.replicas, int) else self._searched(search)
        return replace(result, pareto=pareto_points(search)) if self.pareto else result

    def _searched(self, search: CopiesSearch) -> Tiling:
        """The best tiling within the budget; single copies where not even these fit, for the partition to refuse."""
        found = search.best
        if found is None:
            return search.single
        trial = search.balanced(found.trial) if self.replicas == "balance" else found.trial
        proof = SolverFacts.of("replicate", trial.interval, found.bound)
        before = len(search.single.solvers)
        solvers = (*search.single.solvers, proof, *trial.tiling.solvers[before:])
        return replace(trial.tiling, solvers=solvers, packed=True)


def _repeated(tiling: Tiling, copies: int) -> Tiling:
    """The tiling with equally many copies of every matrix."""
    if copies < 1:
        raise OptionError(f"replicate: {copies} copies of each matrix: give 1 or more, or 'fill' or 'balance'")
    blocks = copies * len(tiling.blocks)
    if blocks > MOST_BLOCKS:
        raise OptionError(
            f"replicate: {copies} copies of each matrix are {blocks:,} blocks; at most {MOST_BLOCKS:,} are mapped"
        )
    return copied(tiling, dict.fromkeys(tiling.replicas, copies))

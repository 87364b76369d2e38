"""Copying whole matrices, so that several positions of a layer fire at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Literal

from mho.passes.levels.network import Calibrated
from mho.passes.levels.tiling import Tiling
from mho.passes.tile.tile import blocks_by_matrix, with_blocks
from mho.targets.errors import OptionError
from mho.targets.faults import FaultMap
from mho.targets.program import SolverFacts
from mho.targets.steps import layers
from mho.targets.target import Count

MOST_BLOCKS = 500_000
"""Blocks of a tiling; four times those of a network of eight thousand million weights."""


@dataclass(frozen=True)
class Replicate:
    """Copies matrices. It runs before blocks are packed, and counts a tile a block.

    Attributes:
        replicas: copies of every matrix; "fill" spends a budget of tiles on the matrices that fire most, so that
            the largest number of fires a copy is as small as it can be.
        tiles: the budget of "fill"; None is all live tiles of the chips that one copy of the network needs.
    """

    replicas: int | Literal["fill"] = 1
    tiles: Count | None = None

    def run(self, tiling: Tiling) -> Tiling:
        """The tiling with its copies.

        Raises:
            OptionError: the number of copies is below 1, or there is no budget to fill.
        """
        if self.replicas == "fill":
            return self._filled(tiling)
        if self.replicas < 1:
            raise OptionError(f"replicate: {self.replicas} copies of each matrix: give 1 or more, or 'fill'")
        blocks = self.replicas * len(tiling.blocks)
        if blocks > MOST_BLOCKS:
            raise OptionError(
                f"replicate: {self.replicas} copies of each matrix are {blocks:,} blocks; "
                f"at most {MOST_BLOCKS:,} are mapped"
            )
        return copied(tiling, dict.fromkeys(tiling.replicas, self.replicas))

    def _filled(self, tiling: Tiling) -> Tiling:
        fires = matrix_fires(tiling.calibrated)
        tiles = Counter(b.matrix for b in tiling.blocks if b.replica == 0)
        replicas = fill(fires, tiles, self._budget(tiling))
        slowest = max((fires[name] / copies for name, copies in replicas.items()), default=0.0)
        proof = SolverFacts(search="replicate", status="OPTIMAL", objective=slowest, bound=slowest)
        result = copied(tiling, replicas)
        return replace(result, solvers=(*tiling.solvers, proof))

    def _budget(self, tiling: Tiling) -> int:
        if self.tiles is not None:
            return self.tiles
        mesh = tiling.target.mesh
        if mesh.tiles is None:
            raise OptionError(
                f"replicate: 'fill' needs a number of tiles to fill, and a chip of {tiling.target.name} has no limit: "
                "give --tiles"
            )
        return _live_tiles(tiling.faults, mesh.tiles, len(tiling.blocks))


def _live_tiles(faults: FaultMap, tiles: int, needed: int) -> int:
    """Tiles of the first chips that have as many as are needed, the dead ones left out."""
    dead = Counter(tile.site.chip for found in faults.barred.values() for tile in found if tile.dead)
    chips = live = 0
    while live < needed or not chips:
        live += tiles - dead[chips]
        chips += 1
    return live


def matrix_fires(calibrated: Calibrated) -> dict[str, float]:
    """How often each matrix fires in one inference, all its layers together."""
    fires = dict.fromkeys(calibrated.network.matrices, 0.0)
    for layer in layers(calibrated.network.steps):
        fires[layer.matrix] += calibrated.layers[layer.name].fires
    return fires


def fill(fires: Mapping[str, float], tiles: Mapping[str, int], budget: int) -> dict[str, int]:
    """Copies of each matrix within a budget of tiles, at least 1 and at most its fires.

    It makes the largest fires / copies as small as it can be: whatever beats the present value needs one more
    copy of the matrix that has it, so that one is given first, until it does not fit. What is left goes to the
    next slowest matrices in the same way.
    """
    copies = dict.fromkeys(tiles, 1)
    left = budget - sum(tiles.values())
    slowest = [(-fires[name], place, name) for place, name in enumerate(tiles)]
    heapify(slowest)
    while slowest:
        _, place, name = heappop(slowest)
        if tiles[name] <= left and copies[name] < fires[name]:
            copies[name] += 1
            left -= tiles[name]
            heappush(slowest, (-fires[name] / copies[name], place, name))
    return copies


def copied(tiling: Tiling, replicas: Mapping[str, int]) -> Tiling:
    """The tiling with that many copies of each matrix, every block in its own tile."""
    first = blocks_by_matrix(b for b in tiling.blocks if b.replica == 0)
    blocks = (
        replace(b, replica=replica)
        for name, copies in replicas.items()
        for replica in range(copies)
        for b in first[name]
    )
    return with_blocks(replace(tiling, replicas=dict(replicas)), blocks)

"""What a tiling would be with other options or without a layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.recipe import Diagonal
from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.passes.pack.pack import Cuts, Mode, Pack
from mho.passes.replicate.search import copied
from mho.passes.tile.blocks import blocks_by_matrix, with_blocks
from mho.passes.tile.tile import blocks_of, rows_of_channels
from mho.targets.target import UNLIMITED, Crossbar

MOST_BLOCKS = 20_000
"""More blocks are not packed again without single layers: only tiles that hold nothing else are saved then."""


@dataclass(frozen=True)
class WhatIf:
    """Tilings like a packed one, with something changed and packed again."""

    tiling: Tiling

    @cached_property
    def mode(self) -> Mode:
        """How the tiling was packed, as far as its tiles tell."""
        if any(_beside(one, other, self.tiling) for tile in self.tiling.tiles for one, other in combinations(tile, 2)):
            return "sequential"
        packed = any(facts.search == "pack" for facts in self.tiling.solvers)
        return "pipelined" if packed or any(len(tile) > 1 for tile in self.tiling.tiles) else "none"

    @cached_property
    def crossbar(self) -> Crossbar:
        """What blocks are cut and packed for."""
        return self.tiling.cut_for or self.tiling.target.crossbar

    def packed(self, mode: Mode, cuts: Cuts = Pack.cuts) -> Tiling:
        """Packed in another regime, or cut otherwise."""
        return self._packed(self.tiling, mode, cuts)

    def in_groups(self) -> WhatIf | None:
        """Matrices that hold the zeros between their groups as blocks of whole groups; None where there are none."""
        network = self.tiling.calibrated.network
        parted = {m.name: parts for m in network.matrices.values() if (parts := _parted(m)) is not None}
        if not parted:
            return None
        calibrated = replace(self.tiling.calibrated, network=replace(network, matrices={**network.matrices, **parted}))
        return WhatIf(self._packed(self._cut(replace(self.tiling, calibrated=calibrated), self.crossbar), self.mode))

    def with_copies(self, copies: int) -> WhatIf:
        """So many copies of each matrix."""
        return WhatIf(self._packed(copied(self.tiling, dict.fromkeys(self.tiling.replicas, copies)), self.mode))

    def with_devices(self, devices: int) -> WhatIf:
        """Every weight of so many devices."""
        own = self.tiling.target.crossbar.devices_per_weight
        names = self.tiling.calibrated.network.matrices
        changed = replace(self.tiling, devices={} if devices == own else dict.fromkeys(names, devices))
        return WhatIf(self._packed(self._cut(changed, self.crossbar), self.mode))

    def with_spare(self, rows: int, columns: int) -> WhatIf:
        """So many lines of every crossbar left free."""
        whole = self.tiling.target.crossbar
        less = replace(whole, rows=max(whole.rows - rows, 1), columns=max(whole.columns - columns, 1))
        return WhatIf(self._packed(self._cut(replace(self.tiling, cut_for=less), less), self.mode))

    def without(self, matrix: str, instead: Matrix | None = None) -> Tiling:
        """Without a matrix, or with a smaller one in its place."""
        emptied = self._emptied(matrix, self._blocks(instead) if instead is not None else [])
        if self.mode == "none" or len(emptied.blocks) > MOST_BLOCKS:
            return emptied
        again = self._packed(with_blocks(self.tiling, emptied.blocks), self.mode)
        return min(again, emptied, key=lambda tiling: len(tiling.tiles))

    def smaller(self, name: str) -> tuple[Matrix, str] | None:
        """A matrix without its last row or column of blocks, whichever loses fewer weights, and what is left of it."""
        matrix = self.tiling.calibrated.network.matrices[name]
        crossbar = self.tiling.with_crossbar(self.crossbar).crossbar_of(name)
        if matrix.groups > 1 or UNLIMITED in (crossbar.rows, crossbar.columns):
            return None
        rows = (matrix.rows - 1) // crossbar.rows * crossbar.rows
        columns = (matrix.columns - 1) // crossbar.columns * crossbar.columns
        choices = [
            (replace(matrix, rows=rows), f"with {rows:,} of its {matrix.rows:,} rows"),
            (replace(matrix, columns=columns), f"with {columns:,} of its {matrix.columns:,} columns"),
        ]
        fitting = [choice for choice in choices if choice[0].weights]
        return max(fitting, key=lambda choice: choice[0].weights, default=None)

    def _blocks(self, matrix: Matrix) -> list[Block]:
        """All copies of a matrix that stands in the place of one of its name."""
        channel = rows_of_channels(self.tiling.calibrated.network).get(matrix.name, 1)
        blocks = blocks_of(matrix, self.tiling.with_crossbar(self.crossbar).crossbar_of(matrix.name), channel)
        return [replace(b, replica=copy) for copy in range(self.tiling.replicas[matrix.name]) for b in blocks]

    def _emptied(self, matrix: str, others: list[Block]) -> Tiling:
        """The tiles as they are without the blocks of a matrix, and others in a tile each."""
        left = [b for b in self.tiling.blocks if b.matrix != matrix]
        number = {b.number: place for place, b in enumerate(left)}
        tiles = (
            tuple(Seat(number[s.block], s.row_offset, s.column_offset) for s in tile if s.block in number)
            for tile in self.tiling.tiles
        )
        alone = [(Seat(len(left) + place),) for place in range(len(others))]
        bare = with_blocks(self.tiling, [*left, *others])
        return replace(bare, tiles=(*(tile for tile in tiles if tile), *alone))

    def _cut(self, tiling: Tiling, crossbar: Crossbar) -> Tiling:
        """The matrices cut anew for a crossbar, with the copies that they had."""
        network = tiling.calibrated.network
        channel, small = rows_of_channels(network), tiling.with_crossbar(crossbar)
        cuts = (blocks_of(m, small.crossbar_of(m.name), channel.get(m.name, 1)) for m in network.matrices.values())
        return copied(with_blocks(tiling, (block for blocks in cuts for block in blocks)), tiling.replicas)

    def _packed(self, tiling: Tiling, mode: Mode, cuts: Cuts = Pack.cuts) -> Tiling:
        """Packed for the crossbar that was packed for, on the machine as it is."""
        loose = replace(tiling.with_crossbar(tiling.cut_for or self.crossbar), packed=False)
        packed = Pack(mode=mode, cuts=cuts, effort="fast").run(loose)
        return packed.with_crossbar(self.tiling.target.crossbar)


def _parted(matrix: Matrix) -> Matrix | None:
    """A matrix without the zeros between its groups; None where it holds none or others too."""
    *first, last = matrix.recipe.operations or (None,)
    cells = matrix.rows * matrix.columns
    groups, rest = divmod(cells, max(cells - matrix.zeros, 1))
    if not isinstance(last, Diagonal) or rest or groups < 2 or matrix.rows % groups or matrix.columns % groups:
        return None
    recipe = replace(matrix.recipe, operations=tuple(step for step in first if step is not None))
    return replace(matrix, recipe=recipe, groups=groups, zeros=0)


def _beside(one: Seat, other: Seat, tiling: Tiling) -> bool:
    """Whether two blocks of a tile share rows or columns of it."""
    a, b = tiling.blocks[one.block], tiling.blocks[other.block]
    rows = _meet(one.row_offset, _length(a.rows), other.row_offset, _length(b.rows))
    return rows or _meet(one.column_offset, _length(a.columns), other.column_offset, _length(b.columns))


def _meet(start: int, size: int, other: int, other_size: int) -> bool:
    return start < other + other_size and other < start + size


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def tiles_of_matrices(tiling: Tiling) -> dict[str, int]:
    """Matrix → tiles that it lies in, the one in the most tiles first."""
    tile_of = {seat.block: tile for tile, seats in enumerate(tiling.tiles) for seat in seats}
    held = {name: {tile_of[b.number] for b in blocks} for name, blocks in blocks_by_matrix(tiling.blocks).items()}
    return {name: len(tiles) for name, tiles in sorted(held.items(), key=lambda item: -len(item[1]))}

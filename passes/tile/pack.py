"""Packing several blocks into one tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mho.passes.levels.demands import block_key
from mho.passes.levels.matrix import Matrix
from mho.passes.levels.tiling import Block, Seat, Tile, Tiling
from mho.passes.solver import Effort, budget
from mho.passes.tile.interval import loads_of
from mho.passes.tile.pack_bounds import Piece, least_tiles
from mho.passes.tile.pack_into import fill_spots
from mho.passes.tile.pack_pipelined import Dealt, cuts_of, deals
from mho.passes.tile.pack_sequential import fill, nested_parts, nested_strips, widths_of
from mho.passes.tile.pack_whole import WholePacking
from mho.passes.tile.pack_windows import repack
from mho.passes.tile.strips import Cut, retiled, strips_of, width_choices
from mho.targets.errors import OptionError, plain
from mho.targets.isa import Site
from mho.targets.mapping import SolverFacts
from mho.targets.target import Crossbar, Target

Mode = Literal["none", "pipelined", "sequential"]
Cuts = Literal["free", "even"]

MOST_STRIPS = 50_000
"""Strips that are dealt out anew, at most; more of them stay the even blocks that they were."""

WINDOW_SHARE = 10
"""A window takes one part in so many of the effort of a search."""


@dataclass(frozen=True)
class Pack:
    """Puts several blocks into a tile.

    Blocks that add their charge before one converter stay in different tiles, and so do blocks whose weights are
    made of different numbers of devices, or of which not the same is asked. Blocks that have spots stay there.

    Attributes:
        mode: "pipelined": blocks of a tile share neither rows nor columns, so all of them may fire at once;
            "sequential": blocks do not overlap and fire one after the other; "none": a tile a block. None is what the
            machine does, "pipelined" where nothing is known of it.
        cuts: "even" leaves the blocks as they are; "free" cuts matrices at other places where that takes fewer tiles.
            More blocks of a matrix are more MVMs and partial sums, so energy and noise may grow.
        seed: of the solver.
        effort: how long the solver may look.
    """

    mode: Mode | None = None
    cuts: Cuts = "even"
    seed: int = 0
    effort: Effort = "normal"

    def run(self, tiling: Tiling) -> Tiling:
        """The same weights in as few tiles as are found, never more tiles than blocks; what is packed already stays.

        Where something is asked of blocks whose copies were searched for, their tiles are parted or packed anew.
        The bound is proven for this mode and these cuts: without packing it is the number of blocks, whatever a
        packing could save; with even cuts that of these blocks; with free ones that of the matrices, as
        `pack_bounds.least_tiles` says.

        Raises:
            OptionError: the machine does not allow the mode.
        """
        if tiling.packed and not tiling.demands.any:
            return tiling
        mode, whole = self.rule(tiling.target), _spotted(tiling)
        if mode == "none":
            spotted = {seat.block for seats in whole for seat in seats}
            alone = [(Seat(b.number),) for b in tiling.blocks if b.number not in spotted]
            return replace(tiling, tiles=_in_order([*whole, *alone]), tiles_lower_bound=len(whole) + len(alone))
        if tiling.packed and mode == "sequential":
            return self._parted(tiling, whole)
        cuts: list[Cut] = []
        bound = len(whole)
        for (crossbar, _), blocks in _by_crossbar(tiling).items():
            bins, least = self._whole(blocks, crossbar, mode)
            fresh: list[Cut] = []
            if self.cuts == "free" and _all_of(tiling, blocks):
                matrices = _matrices(tiling, blocks)
                least = least_tiles(((m, copies) for m, copies in matrices), crossbar, mode == "pipelined")
                fresh = self._cut(matrices, crossbar, mode, least) if len(bins) > least else []
            bound += least
            if fresh and max(cut.tile for cut in fresh) + 1 < len(bins):
                first = max((cut.tile for cut in cuts), default=-1) + 1
                cuts += [replace(cut, tile=cut.tile + first) for cut in fresh]
            else:
                whole += [tuple(seats) for seats in bins]
        return _packed(tiling, whole, cuts, bound, mode == "pipelined")

    def rule(self, target: Target) -> Mode:
        """The mode that was asked for, or the machine's own.

        Raises:
            OptionError: the machine does not allow it.
        """
        allowed = target.crossbar.packing
        if self.mode is None:
            return target.crossbar.usual_packing
        if self.mode != "none" and allowed is not None and self.mode not in allowed:
            others = " or ".join(f"--pack {mode}" for mode in (*allowed, "none"))
            raise OptionError(
                f"pack.mode (--pack) = {self.mode}: the tiles of {plain(target.name)} do not allow it "
                f"(crossbar.packing); give {others}"
            )
        return self.mode

    def _parted(self, tiling: Tiling, spotted: list[Tile]) -> Tiling:
        """Tiles of searched copies, parted where not the same is asked of their blocks, so that no turns are added.

        Where that takes more tiles than there are, those that work least are packed anew, as few as that needs.
        """
        busy = {name: load.busy(tiling.replicas[name]) for name, load in loads_of(tiling).items()}

        def turns(tile: Tile) -> float:
            return sum(busy[tiling.blocks[seat.block].matrix] for seat in tile)

        groups = _by_crossbar(tiling)
        parts = {key: sorted(_parts(tiling, blocks), key=turns) for key, blocks in groups.items()}
        room = max(tiling.room - len(tiling.demands.forbidden), 1)
        excess = len(spotted) + sum(map(len, parts.values())) - room
        fewer = {key: self._fewer(tiling, tiles, key[0], excess) for key, tiles in parts.items()}
        for key in sorted(groups, key=lambda key: max(map(turns, fewer[key]))):
            found = self._fewer(tiling, parts[key], key[0], excess)
            excess -= len(parts[key]) - len(found)
            parts[key] = found
        bound = len(spotted) + sum(self._whole(groups[key], key[0], "sequential")[1] for key in groups)
        tiles = [*spotted, *(tile for group in parts.values() for tile in group)]
        before = replace(tiling, solvers=tuple(facts for facts in tiling.solvers if facts.search != "pack"))
        return _packed(before, tiles, (), bound, pipelined=False)

    def _fewer(self, tiling: Tiling, tiles: list[Tile], crossbar: Crossbar, excess: int) -> list[Tile]:
        """The tiles, or up to `excess` fewer: the first ones packed anew, twice as many until that is enough."""
        count = excess + 1
        while excess > 0 and len(tiles) > 1:
            small = [tiling.blocks[seat.block] for tile in tiles[:count] for seat in tile]
            bins = [tuple(seats) for seats in self._whole(small, crossbar, "sequential")[0]]
            if len(bins) + excess <= count or count >= len(tiles):
                return min([*bins, *tiles[count:]], tiles, key=len)
            count *= 2
        return tiles

    def _whole(self, blocks: Sequence[Block], crossbar: Crossbar, mode: Mode) -> tuple[list[list[Seat]], int]:
        """The blocks as they are; where they may be cut anew, a solver looks at few of them only."""
        pieces = [Piece(b.number, b.rows[1] - b.rows[0], b.columns[1] - b.columns[0], b.converter) for b in blocks]
        packing = WholePacking(crossbar, mode == "pipelined", budget(self.effort), self.seed, self.cuts == "even")
        return packing.run(pieces)

    def _cut(self, matrices: Sequence[tuple[Matrix, int]], crossbar: Crossbar, mode: Mode, bound: int) -> list[Cut]:
        """The matrices cut anew; nothing where the strips would be too many."""
        copies = [(matrix, replica) for matrix, count in matrices for replica in range(count)]
        if mode == "sequential":
            widths = widths_of(crossbar.columns)
            if sum(nested_parts(matrix, widths) for matrix, _ in copies) > MOST_STRIPS:
                return []
            return fill((s for matrix, replica in copies for s in nested_strips(matrix, replica, widths)), crossbar)
        fewest = (strips_of(matrix, copy, crossbar, width_choices(matrix, crossbar)[0]) for matrix, copy in copies)
        if sum(1 for strips in fewest for _ in strips) > MOST_STRIPS:
            return []
        limit = budget(self.effort).share(WINDOW_SHARE)
        best: Dealt | None = None
        for dealt in deals(copies, crossbar):
            if best is None or len(best.tiles) > bound:
                packed = repack(dealt, crossbar, bound, limit, self.seed)
                best = packed if best is None or len(packed.tiles) < len(best.tiles) else best
        return [] if best is None else list(cuts_of(best))


def _packed(tiling: Tiling, whole: Iterable[Tile], cuts: Sequence[Cut], bound: int, pipelined: bool) -> Tiling:
    """The tiling with tiles of blocks as they are and of cuts, and what is proven of their number."""
    result = retiled(tiling, cuts, whole) if cuts else replace(tiling, tiles=_in_order(whole))
    result = fill_spots(replace(result, tiles_lower_bound=bound), pipelined)
    bound = result.tiles_lower_bound
    facts = SolverFacts(
        search="pack",
        status="OPTIMAL" if bound == len(result.tiles) else "FEASIBLE",
        objective=len(result.tiles),
        bound=bound,
    )
    return replace(result, tiles_lower_bound=bound, solvers=(*tiling.solvers, facts))


def _in_order(bins: Iterable[Iterable[Seat]]) -> tuple[Tile, ...]:
    """Tiles in the order of their first blocks."""
    return tuple(sorted((tuple(sorted(seats, key=lambda s: s.block)) for seats in bins), key=lambda t: t[0].block))


def _by_crossbar(tiling: Tiling) -> dict[tuple[Crossbar, tuple[int, ...]], list[Block]]:
    """The blocks without a spot, by what those of a tile agree in: devices of a weight, and what is asked of them."""
    found: dict[tuple[Crossbar, tuple[int, ...]], list[Block]] = {}
    demands = tiling.demands
    for block in tiling.blocks:
        if block_key(block) not in demands.spots:
            found.setdefault((tiling.crossbar_of(block.matrix), demands.kind_of(block)), []).append(block)
    return found


def _parts(tiling: Tiling, blocks: Iterable[Block]) -> list[Tile]:
    """What these blocks have of each tile, where they stand."""
    here = {block.number for block in blocks}
    parts = (tuple(seat for seat in tile if seat.block in here) for tile in tiling.tiles)
    return [part for part in parts if part]


def _spotted(tiling: Tiling) -> list[Tile]:
    """The tiles whose blocks have spots: one for each core that is named."""
    found: dict[Site, list[Seat]] = {}
    spots = tiling.demands.spots
    for block in tiling.blocks if spots else ():
        spot = spots.get(block_key(block))
        if spot is not None:
            found.setdefault(spot.core, []).append(Seat(block.number, spot.row_offset, spot.column_offset))
    return [tuple(seats) for seats in found.values()]


def _all_of(tiling: Tiling, blocks: Iterable[Block]) -> bool:
    """Whether these are all blocks of their matrices, so that they may be cut at other places."""
    here, all_there_are = Counter(b.matrix for b in blocks), Counter(b.matrix for b in tiling.blocks)
    return all(count == all_there_are[matrix] for matrix, count in here.items())


def _matrices(tiling: Tiling, blocks: Iterable[Block]) -> list[tuple[Matrix, int]]:
    """The matrices of the blocks, with the number of copies of each."""
    names = Counter(b.matrix for b in blocks)
    matrices = tiling.calibrated.network.matrices
    return [(matrices[name], tiling.replicas[name]) for name in names]

"""Packing several blocks into one tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from mho.passes.levels.demands import block_key
from mho.passes.levels.tiling import Seat, Tile, Tiling
from mho.passes.solver import Effort, budget, solve
from mho.passes.tile.pack_bounds import Piece, fits_beside, fits_diagonally, lower_bound
from mho.passes.tile.pack_exact import diagonal_bins, diagonal_problem, rectangle_bins, rectangle_problem
from mho.passes.tile.pack_heuristics import Bin, diagonal_packing, rectangle_packing
from mho.targets.isa import Site
from mho.targets.program import SolverFacts
from mho.targets.target import Crossbar

Mode = Literal["none", "pipelined", "sequential"]

EXACT_PIECES = 40
"""Up to so many blocks that could share a tile, a solver looks for fewer tiles than the quick packings need."""

SHARE = 4
"""Packing takes one part in so many of the effort of a search: what is not found soon is seldom found later."""


@dataclass(frozen=True)
class Pack:
    """Puts several blocks into a tile.

    Blocks that add their charge before one converter stay in different tiles, and so do blocks whose weights are
    made of different numbers of devices, or of which not the same is asked. Blocks that have spots stay there.

    Attributes:
        mode: "pipelined": blocks of a tile share neither rows nor columns, so all of them may fire at once;
            "sequential": blocks do not overlap and fire one after the other; "none": a tile a block.
        seed: of the solver.
        effort: how long the solver may look.
    """

    mode: Mode = "pipelined"
    seed: int = 0
    effort: Effort = "normal"

    def run(self, tiling: Tiling) -> Tiling:
        """The same blocks in as few tiles as are found, never more tiles than blocks.

        The bound is proven for this mode: without packing it is the number of blocks, whatever a packing could save.
        """
        bins = _spotted(tiling)
        if self.mode == "none":
            spotted = {seat.block for seats in bins for seat in seats}
            bins += [[Seat(b.number)] for b in tiling.blocks if b.number not in spotted]
            return replace(tiling, tiles=_in_order(bins), tiles_lower_bound=len(bins))
        bound = len(bins)
        for (crossbar, _), pieces in _by_crossbar(tiling).items():
            lonely, social = _split(pieces, crossbar, self.mode == "pipelined")
            packed, least = self._packed(social, crossbar)
            bins += packed + [[Seat(p.block)] for p in lonely]
            bound += least + len(lonely)
        facts = SolverFacts(
            search="pack",
            status="OPTIMAL" if bound == len(bins) else "FEASIBLE",
            objective=len(bins),
            bound=bound,
        )
        return replace(tiling, tiles=_in_order(bins), tiles_lower_bound=bound, solvers=(*tiling.solvers, facts))

    def _packed(self, pieces: Sequence[Piece], crossbar: Crossbar) -> tuple[list[Bin], int]:
        """Pieces in tiles, and the least number of tiles that is proven."""
        diagonal = self.mode == "pipelined"
        bound = lower_bound(pieces, crossbar, diagonal)
        bins = (diagonal_packing if diagonal else rectangle_packing)(pieces, crossbar, bound)
        if len(bins) == bound or len(pieces) > EXACT_PIECES:
            return bins, bound
        largest_first = sorted(pieces, key=lambda p: (-p.rows * p.columns, p.block))
        build = diagonal_problem if diagonal else rectangle_problem
        problem = build(largest_first, crossbar, len(bins) - 1, bound)
        solution = solve(problem, budget(self.effort).share(SHARE), self.seed)
        if solution.status == "INFEASIBLE":
            return bins, len(bins)
        if solution.values:
            bins = (diagonal_bins if diagonal else rectangle_bins)(largest_first, solution.values)
        return bins, max(bound, ceil((solution.bound or 0) - 1e-6))


def _in_order(bins: Iterable[Bin]) -> tuple[Tile, ...]:
    """Tiles in the order of their first blocks."""
    return tuple(sorted((tuple(sorted(seats, key=lambda s: s.block)) for seats in bins), key=lambda t: t[0].block))


def _by_crossbar(tiling: Tiling) -> dict[tuple[Crossbar, tuple[int, ...]], list[Piece]]:
    """The blocks without a spot, by what those of a tile agree in: devices of a weight, and what is asked of them."""
    found: dict[tuple[Crossbar, tuple[int, ...]], list[Piece]] = {}
    demands = tiling.demands
    for b in tiling.blocks:
        if block_key(b) not in demands.spots:
            piece = Piece(b.number, b.rows[1] - b.rows[0], b.columns[1] - b.columns[0], b.converter)
            found.setdefault((tiling.crossbar_of(b.matrix), demands.kind_of(b)), []).append(piece)
    return found


def _spotted(tiling: Tiling) -> list[Bin]:
    """The tiles whose blocks have spots: one for each core that is named."""
    found: dict[Site, Bin] = {}
    spots = tiling.demands.spots
    for block in tiling.blocks if spots else ():
        spot = spots.get(block_key(block))
        if spot is not None:
            found.setdefault(spot.core, []).append(Seat(block.number, spot.row_offset, spot.column_offset))
    return list(found.values())


def _split(pieces: Sequence[Piece], crossbar: Crossbar, diagonal: bool) -> tuple[list[Piece], list[Piece]]:
    """Pieces that can share a tile with no other piece, and those that can."""
    fits = fits_diagonally if diagonal else fits_beside
    count = Counter(p.shape for p in pieces)
    lonely = {
        shape
        for shape in count
        if not any(fits(shape, other, crossbar) and (other != shape or count[shape] > 1) for other in count)
    }
    return [p for p in pieces if p.shape in lonely], [p for p in pieces if p.shape not in lonely]

"""Packing several blocks into one tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from mho.passes.levels.tiling import Seat, Tiling
from mho.passes.solver import Effort, budget, solve
from mho.passes.tile.pack_bounds import Piece, fits_beside, fits_diagonally, lower_bound
from mho.passes.tile.pack_exact import diagonal_bins, diagonal_problem, rectangle_bins, rectangle_problem
from mho.passes.tile.pack_heuristics import Bin, diagonal_packing, rectangle_packing
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
    made of different numbers of devices.

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
        """The same blocks in as few tiles as are found, never more tiles than blocks; what is packed already stays.

        The bound is proven for this mode: without packing it is the number of blocks, whatever a packing could save.
        """
        if tiling.packed:
            return tiling
        if self.mode == "none":
            alone = tuple((Seat(b.number),) for b in tiling.blocks)
            return replace(tiling, tiles=alone, tiles_lower_bound=len(alone))
        bins: list[Bin] = []
        bound = 0
        for crossbar, pieces in _by_crossbar(tiling).items():
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
        tiles = sorted((tuple(sorted(seats, key=lambda s: s.block)) for seats in bins), key=lambda t: t[0].block)
        return replace(tiling, tiles=tuple(tiles), tiles_lower_bound=bound, solvers=(*tiling.solvers, facts))

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


def _by_crossbar(tiling: Tiling) -> dict[Crossbar, list[Piece]]:
    """The blocks by the crossbar that they are cut for: a tile holds weights of one number of devices."""
    found: dict[Crossbar, list[Piece]] = {}
    for b in tiling.blocks:
        piece = Piece(b.number, b.rows[1] - b.rows[0], b.columns[1] - b.columns[0], b.converter)
        found.setdefault(tiling.crossbar_of(b.matrix), []).append(piece)
    return found


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

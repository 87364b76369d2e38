"""Packing blocks as they were cut: quick packings, then a solver for few blocks and windows of it for many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from mho.passes.levels.tiling import Seat
from mho.passes.pack.bounds import Piece, fits_beside, fits_diagonally, lower_bound
from mho.passes.pack.exact import diagonal_bins, diagonal_problem, rectangle_bins, rectangle_problem
from mho.passes.pack.heuristics import Bin, diagonal_packing, rectangle_packing
from mho.passes.solver import Budget, Solution, solve
from mho.targets.target import Crossbar

EXACT_PIECES = 40
"""Up to so many blocks that could share a tile, a solver looks for fewer tiles than the quick packings need."""

WINDOW_PIECES = 24
"""Blocks of a window, at most: the tiles with the most free cells, which a solver packs into one fewer."""

WINDOWS = 8
"""Windows that find nothing, at most: each looks at other tiles."""

SHARE = 4
"""A solve of all blocks takes one part in so many of the effort of a search, one of a window a part of that."""


@dataclass(frozen=True)
class WholePacking:
    """Packs blocks without cutting them.

    Attributes:
        diagonal: blocks of a tile share neither rows nor columns.
        limit: of the search.
        windows: whether windows are solved where the blocks are too many to be solved together.
    """

    crossbar: Crossbar
    diagonal: bool
    limit: Budget
    seed: int = 0
    windows: bool = True

    def run(self, pieces: Sequence[Piece]) -> tuple[list[Bin], int]:
        """Tiles, and the least number that these blocks need."""
        lonely, social = self._split(pieces)
        packed, least = self._packed(social)
        return packed + [[Seat(p.block)] for p in lonely], least + len(lonely)

    def _packed(self, pieces: Sequence[Piece]) -> tuple[list[Bin], int]:
        bound = lower_bound(pieces, self.crossbar, self.diagonal)
        bins = (diagonal_packing if self.diagonal else rectangle_packing)(pieces, self.crossbar, bound)
        if len(bins) == bound:
            return bins, bound
        if len(pieces) > EXACT_PIECES:
            limit = self.limit.share(SHARE * WINDOWS)
            return self._by_windows(pieces, bins, bound, limit) if self.windows else bins, bound
        solution, fewer = self._fewer(pieces, bins, bound, self.limit.share(SHARE))
        if solution.status == "INFEASIBLE":
            return bins, len(bins)
        return fewer or bins, max(bound, ceil((solution.bound or 0) - 1e-6))

    def _fewer(
        self, pieces: Sequence[Piece], bins: Sequence[Bin], bound: int, limit: Budget
    ) -> tuple[Solution, list[Bin]]:
        """The pieces in fewer tiles than these, with all but the emptiest of those as a hint; none if not found."""
        ordered = sorted(pieces, key=lambda p: (-p.rows * p.columns, p.block))
        build = diagonal_problem if self.diagonal else rectangle_problem
        solution = solve(build(ordered, self.crossbar, bins, bound), limit, self.seed, whole=True)
        read = diagonal_bins if self.diagonal else rectangle_bins
        return solution, read(ordered, solution.values) if solution.values else []

    def _by_windows(self, pieces: Sequence[Piece], bins: list[Bin], bound: int, limit: Budget) -> list[Bin]:
        """The tiles after some of them, again and again, were packed into one fewer."""
        piece_of = {p.block: p for p in pieces}
        turn = 0
        while len(bins) > bound and turn < WINDOWS:
            window = self._window(bins, piece_of, turn)
            inside = [piece_of[seat.block] for tile in window for seat in bins[tile]]
            fewer = self._fewer(inside, [bins[t] for t in window], len(window) - 1, limit)[1] if window else []
            if fewer:
                bins = [b for tile, b in enumerate(bins) if tile not in set(window)] + fewer
            else:
                turn += 1
        return bins

    def _window(self, bins: Sequence[Bin], piece_of: dict[int, Piece], turn: int) -> list[int]:
        """Neighbours in the order of free cells whose blocks could be those of one tile fewer, by volume."""
        cells = self.crossbar.rows * self.crossbar.columns
        used = [sum(piece_of[s.block].rows * piece_of[s.block].columns for s in held) for held in bins]
        order = sorted(range(len(bins)), key=lambda t: (used[t], t))
        chosen: list[int] = []
        pieces = 0
        for tile in order[turn:]:
            pieces += len(bins[tile])
            if pieces > WINDOW_PIECES:
                break
            chosen.append(tile)
        return chosen if sum(used[t] for t in chosen) <= (len(chosen) - 1) * cells else []

    def _split(self, pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
        """Pieces that can share a tile with no other piece, and those that can."""
        fits = fits_diagonally if self.diagonal else fits_beside
        many = Counter(p.shape for p in pieces)
        lonely = {
            shape
            for shape in many
            if not any(fits(shape, other, self.crossbar) and (other != shape or many[shape] > 1) for other in many)
        }
        return [p for p in pieces if p.shape in lonely], [p for p in pieces if p.shape not in lonely]

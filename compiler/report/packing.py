"""How blocks share tiles: the rule, what was proven of their number, and the turns that they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from mho.report import quantities as q
from mho.report.lines import TileLine
from mho.targets.program import Program
from mho.targets.turns import most_turns

FREE, EVEN, TIMED = "cuts anywhere", "these blocks", "these blocks, whatever the interval"
"""What a bound is one of."""


@dataclass(frozen=True, kw_only=True)
class PackingLine:
    """The packing of a program.

    Attributes:
        mode: `none`, `pipelined` or `sequential`.
        bound_of: what no better packing is claimed of: cuts anywhere in the matrices, the blocks as they
            are, or these where more tiles make the interval shorter, which the bound knows nothing of.
        volume_bound: tiles that the cells of the weights fill.
        bound: the best that is proven.
        turns: blocks of a tile that fire one after the other, at most.
    """

    mode: str
    bound_of: str
    tiles: int
    volume_bound: int
    bound: int
    turns: int

    @property
    def gap(self) -> float:
        """(tiles − bound) / tiles."""
        return (self.tiles - self.bound) / self.tiles if self.tiles else 0.0

    def __str__(self) -> str:
        if self.mode == "none":
            return f"none, a tile a block; volume bound {q.whole(self.volume_bound)}"
        turns = f"; up to {q.whole(self.turns)} blocks of a tile take turns" if self.turns > 1 else ""
        return (
            f"{self.mode}; volume bound {q.whole(self.volume_bound)}, proven bound {q.whole(self.bound)} for "
            f"{self.bound_of}, gap {q.percent(self.gap)}{turns}"
        )


def packing_line(program: Program, tiles: Iterable[TileLine]) -> PackingLine:
    """The packing of a program whose tiles are these."""
    options, listed = program.manifest.options, list(tiles)
    mode = str(options.get("pack.mode") or program.target.crossbar.usual_packing)
    return PackingLine(
        mode=mode,
        bound_of=_bound_of(program, mode),
        tiles=len(listed),
        volume_bound=_volume(listed),
        bound=program.mapping.tiles_lower_bound,
        turns=max((most_turns(core.loads) for core in program.cores), default=0) if mode == "sequential" else 1,
    )


def _bound_of(program: Program, mode: str) -> str:
    filled = any(facts.search == "replicate" for facts in program.mapping.solvers)
    if mode == "sequential" and filled:
        return TIMED
    return FREE if program.manifest.options.get("pack.cuts") == "free" else EVEN


def _volume(tiles: Iterable[TileLine]) -> int:
    """Tiles for the weights of each size of crossbar, full to the last cell."""
    held: Counter[tuple[int, int]] = Counter()
    for tile in tiles:
        held[tile.rows, tile.columns] += sum(block.weights for block in tile.blocks)
    return sum(ceil(weights / (rows * columns)) for (rows, columns), weights in held.items())

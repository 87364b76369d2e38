"""Blocks put where positions from outside say: all that may stand there, and why the others may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from mho.passes.levels.demands import BlockKey, Demands, Spot, block_key
from mho.passes.levels.positions import Position, Positions
from mho.passes.levels.tiling import Block, Tiling
from mho.passes.tile.cuts import cut_as
from mho.passes.tile.named import guess
from mho.passes.tile.pack import Mode
from mho.passes.tile.tile import converter_key
from mho.targets.errors import OptionError, plain
from mho.targets.fault_file import outside_mesh
from mho.targets.isa import Site

Problem = tuple[Position, str]


@dataclass(frozen=True)
class Seated:
    """A tiling with spots for the blocks that may have them, and why the others have none."""

    tiling: Tiling
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class TakePositions:
    """Puts blocks exactly where a placement says; blocks that it does not name stay free.

    Attributes:
        positions: of a placement file; none asks nothing.
    """

    positions: Positions = ()

    def run(self, tiling: Tiling, mode: Mode) -> Tiling:
        """The tiling with its spots.

        Args:
            mode: the rule of packing that the tiles keep to.

        Raises:
            OptionError: a position that cannot be; all of them at once.
        """
        seated = seat(tiling, self.positions, mode)
        if seated.problems:
            raise OptionError(f"placement: {plain(str(position))}: {why}" for position, why in seated.problems)
        return seated.tiling


def seat(tiling: Tiling, positions: Positions, mode: Mode) -> Seated:
    """The tiling cut as the positions say, with a spot for every block that may stand where they say."""
    strange = [(p, why) for p in positions for why in _unknown(tiling, p)]
    bad = {p for p, _ in strange}
    known = tuple(p for p in positions if p not in bad)
    recut = cut_as(tiling, known)
    uncut = [(p, recut.refused[p.matrix, p.replica]) for p in known if (p.matrix, p.replica) in recut.refused]
    seats = _Seats(recut.tiling, mode)
    settled = [(p, why) for p in known if (p.matrix, p.replica) not in recut.refused for why in seats.add(p)]
    demands = replace(tiling.demands, spots={**tiling.demands.spots, **seats.spots})
    return Seated(replace(recut.tiling, demands=demands), (*strange, *uncut, *settled))


def _unknown(tiling: Tiling, p: Position) -> Iterator[str]:
    """What is wrong with a position whatever the others are; the first of it."""
    matrix = tiling.calibrated.network.matrices.get(p.matrix)
    if matrix is None:
        yield f"there is no matrix {plain(p.matrix)}{guess(p.matrix, tiling.calibrated.network.matrices)}"
    elif p.replica >= tiling.replicas[p.matrix]:
        copies = tiling.replicas[p.matrix]
        there = "is only 1 replica" if copies == 1 else f"are only {copies} replicas"
        yield f"there {there} of it, numbered from 0 (--replicate)"
    elif not (0 <= p.rows[0] < p.rows[1] <= matrix.rows and 0 <= p.columns[0] < p.columns[1] <= matrix.columns):
        yield f"it is no slice of {matrix.rows} rows × {matrix.columns} columns"


@dataclass
class _Seats:
    """Seats that are taken one after the other.

    Attributes:
        taken: core → the positions on it.
        spots: block → where it stands.
    """

    tiling: Tiling
    mode: Mode
    taken: dict[Site, list[Position]] = field(default_factory=dict)
    spots: dict[BlockKey, Spot] = field(default_factory=dict)
    blocks: Mapping[BlockKey, Block] = field(init=False)
    chips: dict[object, Position] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blocks = {block_key(block): block for block in self.tiling.blocks}

    def add(self, p: Position) -> Iterator[str]:
        """Takes the seat, or tells why not: the first reason."""
        why = next(self._problems(p), None)
        if why is not None:
            yield why
            return
        self.taken.setdefault(p.core, []).append(p)
        self.spots[p.block] = p.spot
        self.chips.setdefault(converter_key(self.blocks[p.block]), p)

    def _problems(self, p: Position) -> Iterator[str]:
        tiling, block = self.tiling, self.blocks[p.block]
        if p.block in self.spots:
            yield f"it stands at {self.spots[p.block].core} already; list a block once"
        yield from self._core(p)
        yield from self._lines(p)
        for other in self.taken.get(p.core, ()):
            yield from self._beside(p, other)
        mate = self.chips.get(converter_key(block))
        if mate is not None and mate.core.chip != p.core.chip:
            yield f"it adds its charge before one converter with {plain(str(mate))}, which is on another chip"
        yield from _against(tiling.demands, block, p)
        yield from self._apart(p, block)

    def _core(self, p: Position) -> Iterator[str]:
        faults = self.tiling.faults.by_site.get(p.core)
        outside = outside_mesh(p.core, self.tiling.target.mesh)
        if outside:
            yield outside
        elif p.core in self.tiling.demands.forbidden:
            yield "the core is forbidden (constrain.forbid, --forbid)"
        elif faults is not None and faults.dead:
            yield "the core is dead in the fault map"

    def _lines(self, p: Position) -> Iterator[str]:
        crossbar = self.tiling.crossbar_of(p.matrix)
        rows, columns = crossbar.rows, crossbar.columns
        faults = self.tiling.faults.by_site.get(p.core)
        if faults is not None:
            left = faults.room(self.tiling.target.crossbar, self.tiling.devices.get(p.matrix))
            rows, columns = min(rows, left[0]), min(columns, left[1])
        bottom, right = p.row_offset + p.height, p.column_offset + p.width
        if bottom > rows or right > columns:
            yield f"it reaches {bottom} rows × {right} columns, and the tile has {rows} × {columns}"

    def _beside(self, p: Position, other: Position) -> Iterator[str]:
        """Why two blocks cannot be in one tile."""
        label = f"beside {plain(str(other))}:"
        devices = self.tiling.devices
        rows = p.row_offset < other.row_offset + other.height and other.row_offset < p.row_offset + p.height
        columns = (
            p.column_offset < other.column_offset + other.width and other.column_offset < p.column_offset + p.width
        )
        if self.mode == "none":
            yield f"{label} a tile holds one block (--pack none)"
        elif devices.get(p.matrix) != devices.get(other.matrix):
            yield f"{label} their weights are made of different numbers of devices"
        elif converter_key(self.blocks[p.block]) == converter_key(self.blocks[other.block]):
            yield f"{label} both add their charge before one converter, so each has a tile of its own"
        elif rows and columns:
            yield f"{label} they lie over each other"
        elif self.mode == "pipelined" and (rows or columns):
            yield f"{label} they share {'rows' if rows else 'columns'} (--pack pipelined)"

    def _apart(self, p: Position, block: Block) -> Iterator[str]:
        """Blocks that are to be apart, or together, and are not."""
        for kind, groups in (("apart", self.tiling.demands.apart), ("together", self.tiling.demands.together)):
            for parts in groups:
                mine = [n for n, part in enumerate(parts) if part.holds(block)]
                for key, spot in self.spots.items() if mine else ():
                    theirs = [n for n, part in enumerate(parts) if part.holds(self.blocks[key])]
                    same = spot.core.chip == p.core.chip
                    if theirs and (same and mine != theirs if kind == "apart" else not same):
                        where = f"{plain(key[0])}, which stands at {spot.core}"
                        yield f"it has to be {kind} with {where} (constrain.{kind}, --{kind})"
                        return


def _against(demands: Demands, block: Block, p: Position) -> Iterator[str]:
    """Pins to another place."""
    for pin in demands.pins:
        if pin.part.holds(block) and (pin.chip != p.core.chip or (pin.cores and p.core not in pin.cores)):
            where = " ".join(map(str, pin.cores)) or f"chip {pin.chip}"
            yield f"{plain(pin.part.name)} is pinned to {where} (constrain.pin, --pin)"

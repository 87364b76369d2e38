"""`Tiling`: matrices cut into blocks of at most one crossbar, copied and packed into logical tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mho.passes.levels.demands import Demands
from mho.passes.levels.network import Calibrated
from mho.targets.faults import FaultMap
from mho.targets.isa import Span
from mho.targets.mapping import ParetoPoint, SolverFacts
from mho.targets.target import Crossbar, Target


@dataclass(frozen=True)
class Block:
    """A slice of a matrix.

    Attributes:
        number: unique in the tiling, in the order matrix, replica, column block, row block.
        rows, columns: half-open ranges in the matrix.
        converter: blocks of one matrix and replica with equal columns and equal `converter` add their charge
            before one ADC (they have consecutive rows); elsewhere each block has a number of its own.
        weights: cells that hold a weight, the zeros between groups not counted.
    """

    number: int
    matrix: str
    replica: int
    rows: Span
    columns: Span
    converter: int
    weights: int


@dataclass(frozen=True)
class Seat:
    """A block in a tile: its upper left cell."""

    block: int
    row_offset: int = 0
    column_offset: int = 0


Tile = tuple[Seat, ...]


@dataclass(frozen=True)
class Tiling:
    """Blocks and the logical tiles that hold them.

    Attributes:
        blocks: all blocks; `blocks[i].number == i`.
        tiles: each block sits in exactly one tile.
        replicas: matrix → number of copies.
        tiles_lower_bound: no packing needs fewer tiles in the mode and with the cuts that `Pack` was free to make.
        solvers: what the searches found and proved.
        faults: what is broken on the chips; tiles are placed around it.
        demands: what is asked of where blocks stand.
        devices: matrix → devices that make one weight, where that is not the machine's `devices_per_weight`. The
            blocks of a tile agree in it.
        pareto: what other numbers of copies would cost, where that was asked for.
        packed: whether the tiles are a packing that stays as it is; else a tile a block, or one that may be improved.
        room: the most tiles that copies were searched within; 0 where they were not.
        cut_for: the crossbar that blocks are cut and packed for, where that is less than the machine's; else None.
    """

    calibrated: Calibrated
    target: Target
    blocks: tuple[Block, ...]
    tiles: tuple[Tile, ...]
    replicas: Mapping[str, int]
    tiles_lower_bound: int
    solvers: tuple[SolverFacts, ...] = ()
    faults: FaultMap = field(default_factory=FaultMap)
    devices: Mapping[str, int] = field(default_factory=dict)
    pareto: tuple[ParetoPoint, ...] = ()
    packed: bool = False
    room: int = 0
    cut_for: Crossbar | None = None

    def with_crossbar(self, crossbar: Crossbar) -> Tiling:
        """The same for another crossbar."""
        return replace(self, target=replace(self.target, crossbar=crossbar))

    demands: Demands = field(default_factory=Demands)

    def crossbar_of(self, matrix: str) -> Crossbar:
        """The crossbar as the blocks of a matrix find it: fewer devices a weight are more columns."""
        crossbar = self.target.crossbar
        return crossbar.with_devices(self.devices[matrix]) if matrix in self.devices else crossbar

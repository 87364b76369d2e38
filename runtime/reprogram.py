"""How many cells another program on the same machine has to be written: what stays, what changes, what only moves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mho.runtime.crossbar import largest_weights
from mho.targets.check.tiles import weights_inside
from mho.targets.isa import CoreProgram, Load, Span
from mho.targets.mapped_tensors import StoredTensor
from mho.targets.mapping import ReprogramFacts, TileChange
from mho.targets.program import Array, Program, matrix_block
from mho.targets.program_file import program_digest, tensor_table
from mho.targets.target import WeightScale

HELD = 8
"""Matrices that are kept in memory; the tiles of a matrix come one after the other."""

Content = tuple[StoredTensor, tuple[int, int], tuple[int, int], tuple[int, int], int | None]
"""The numbers of a block: those of its matrix, its rows, columns and scale rows, and devices of a weight."""


def reprogramming(old: Program, new: Program) -> ReprogramFacts:
    """What has to be written where the machine holds the old program.

    A cell is written where its conductance, weight / largest weight of its column (or tile), is another than before;
    one that holds no weight any more is written to none where it lies in a row and in a column that blocks of its tile
    use, and left elsewhere, as it adds to no sum. On a tile that the old program left empty, or had other devices a
    weight on, every cell that holds a weight is written.
    """
    before, after = _Weights.of(old), _Weights.of(new)
    standing = {core.site: core for core in old.cores}
    changes, moved = [], 0
    for core in sorted(new.cores, key=lambda core: min((load.matrix for load in core.loads), default="")):
        there = standing.get(core.site)
        if there is not None and _layout(before, there) == _layout(after, core):
            continue
        fresh = there is None or _devices(there) != _devices(core)
        cells = _held(new, core) if fresh or there is None else _differing(before, there, after, core)
        if cells:
            changes.append(TileChange(chip=core.site.chip, x=core.site.x, y=core.site.y, cells=cells))
            anew = sum(_written(load, new) for load in core.loads if _moves(load, after, before, there))
            moved += min(anew, cells)
    total = sum(change.cells for change in changes)
    return ReprogramFacts(
        program=program_digest(old),
        tiles_kept=len(new.cores) - len(changes),
        tiles_changed=tuple(sorted(changes, key=lambda change: change.site)),
        cells=total,
        cells_moved=moved,
    )


@dataclass
class _Weights:
    """The numbers of a program's matrices, a few of them in memory."""

    table: Mapping[str, StoredTensor]
    read: Callable[[str], Array]
    program: Program
    held: OrderedDict[str, Array] = field(default_factory=OrderedDict)

    @cached_property
    def matrices(self) -> frozenset[StoredTensor]:
        """What the program's matrices hold."""
        return frozenset(self.table[f"matrix/{matrix.name}"] for matrix in self.program.matrices)

    @staticmethod
    def of(program: Program) -> _Weights:
        return _Weights(tensor_table(program.tensors), program.tensors.__getitem__, program)

    def content(self, load: Load) -> Content:
        return self.table[f"matrix/{load.matrix}"], load.rows, load.columns, load.scale_rows, load.devices

    def conductances(self, load: Load) -> NDArray[np.float32]:
        """The weights of a block as parts of the largest: float32 [rows, columns]."""
        scale = self.program.target.crossbar.weight_scale
        return conductances(self._stored(f"matrix/{load.matrix}"), load.rows, load.columns, load.scale_rows, scale)

    def _stored(self, name: str) -> Array:
        if name not in self.held:
            self.held[name] = self.read(name)
            if len(self.held) > HELD:
                self.held.popitem(last=False)
        self.held.move_to_end(name)
        return self.held[name]


def conductances(stored: Array, rows: Span, columns: Span, scale_rows: Span, scale: WeightScale) -> NDArray[np.float32]:
    """The weights of a block as parts of the largest of its column, or of all its columns: float32 [rows, columns]."""
    largest = largest_weights(matrix_block(stored, scale_rows, columns), scale)
    parts: NDArray[np.float32] = matrix_block(stored, rows, columns) / largest
    return parts


def _layout(weights: _Weights, core: CoreProgram) -> frozenset[tuple[Content, int, int]]:
    """What a tile holds, block by block, with where it lies."""
    return frozenset((weights.content(load), load.row_offset, load.column_offset) for load in core.loads)


def _devices(core: CoreProgram) -> set[int | None]:
    return {load.devices for load in core.loads}


def _held(program: Program, core: CoreProgram) -> int:
    return sum(_written(load, program) for load in core.loads)


def _written(load: Load, program: Program) -> int:
    """Cells of a block that hold a weight."""
    return weights_inside(program.matrix(load.matrix), load.rows, load.columns)


def _differing(before: _Weights, old: CoreProgram, after: _Weights, new: CoreProgram) -> int:
    """Cells of a tile whose conductance changes."""
    loads = (*old.loads, *new.loads)
    shape = (
        max(load.row_offset + load.rows[1] - load.rows[0] for load in loads),
        max(load.column_offset + load.columns[1] - load.columns[0] for load in loads),
    )
    rows, columns = np.zeros(shape[0], bool), np.zeros(shape[1], bool)
    for load in new.loads:
        rows[load.row_offset : load.row_offset + load.rows[1] - load.rows[0]] = True
        columns[load.column_offset : load.column_offset + load.columns[1] - load.columns[0]] = True
    used = np.ix_(rows, columns)
    return int(np.count_nonzero(_tile(before, old, shape)[used] != _tile(after, new, shape)[used]))


def _tile(weights: _Weights, core: CoreProgram, shape: tuple[int, int]) -> NDArray[np.float32]:
    cells = np.zeros(shape, np.float32)
    for load in core.loads:
        block = weights.conductances(load)
        rows = slice(load.row_offset, load.row_offset + block.shape[0])
        cells[rows, load.column_offset : load.column_offset + block.shape[1]] = block
    return cells


def _moves(load: Load, after: _Weights, before: _Weights, there: CoreProgram | None) -> bool:
    """Whether the old program has the block's matrix too, and not these numbers on these cells."""
    content = after.content(load)
    here = there is not None and any(
        before.content(other) == content
        and (other.row_offset, other.column_offset) == (load.row_offset, load.column_offset)
        for other in there.loads
    )
    return content[0] in before.matrices and not here

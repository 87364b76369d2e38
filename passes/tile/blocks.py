"""The blocks of a tiling: by matrix, by converter, numbered, each in a tile of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil

import numpy as np

from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.targets.arrays import Indices
from mho.targets.isa import Span
from mho.targets.target import Crossbar


def with_blocks(tiling: Tiling, blocks: Iterable[Block]) -> Tiling:
    """The tiling with other blocks, numbered anew, each in its own tile."""
    numbered = renumber(blocks)
    alone = tuple((Seat(b.number),) for b in numbered)
    bare = replace(tiling, blocks=numbered, tiles=alone, packed=False)
    return replace(bare, tiles_lower_bound=volume_bound(bare))


def renumber(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks numbered by their place in the sequence; each converter takes the number of its first block.

    Blocks that share a converter must have equal matrix, replica, columns and converter, and stand together.
    """
    numbered: list[Block] = []
    for _, sharing in groupby(blocks, converter_key):
        first = len(numbered)
        numbered += [replace(b, number=first + i, converter=first) for i, b in enumerate(sharing)]
    return tuple(numbered)


def blocks_by_matrix(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    """Matrix → its blocks, in order."""
    found: dict[str, list[Block]] = {}
    for block in blocks:
        found.setdefault(block.matrix, []).append(block)
    return found


ConverterKey = tuple[str, int, Span, int]


def converter_key(block: Block) -> ConverterKey:
    """What blocks that add their charge before one converter have in common."""
    return block.matrix, block.replica, block.columns, block.converter


def converter_groups(blocks: Iterable[Block]) -> Iterator[tuple[Block, ...]]:
    """The blocks of each converter, in order of their rows; most groups are a single block."""
    groups: dict[ConverterKey, list[Block]] = {}
    for block in blocks:
        groups.setdefault(converter_key(block), []).append(block)
    for group in groups.values():
        yield tuple(sorted(group, key=lambda b: b.rows))


def scale_rows(group: Sequence[Block]) -> Span:
    """The rows whose weights are normalised together: all rows of the blocks that share a converter."""
    return min(b.rows[0] for b in group), max(b.rows[1] for b in group)


def volume_bound(tiling: Tiling) -> int:
    """No packing of the blocks needs fewer tiles than their weights need cells; a tile holds one kind of weights."""
    weights: Counter[Crossbar] = Counter()
    for matrix, blocks in blocks_by_matrix(tiling.blocks).items():
        weights[tiling.crossbar_of(matrix)] += sum(b.weights for b in blocks)
    return sum(ceil(held / (crossbar.rows * crossbar.columns)) for crossbar, held in weights.items())


def tiles_of_blocks(tiling: Tiling) -> Indices:
    """Block number → the tile that it sits in."""
    tile_of = np.zeros(len(tiling.blocks), np.int64)
    for number, tile in enumerate(tiling.tiles):
        for seat in tile:
            tile_of[seat.block] = number
    return tile_of


def accumulators(blocks: tuple[Block, ...]) -> Indices:
    """Block number → the first block of its matrix and replica with the same columns, which adds them up."""
    first: dict[object, int] = {}
    for block in blocks:
        first.setdefault((block.matrix, block.replica, block.columns), block.number)
    return np.array([first[b.matrix, b.replica, b.columns] for b in blocks], np.int64)

"""Cutting matrices into blocks that fit a crossbar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.network import Calibrated, Network
from mho.passes.levels.tiling import Block, Tiling
from mho.passes.tile.blocks import with_blocks
from mho.targets.isa import Span
from mho.targets.steps import Analog, walk
from mho.targets.target import Crossbar, Target


@dataclass(frozen=True)
class Tile:
    """Cuts every matrix into the fewest blocks of at most a crossbar, as even as possible, each in its own tile.

    Rows are cut between channels where that costs no block (a channel of a convolution is as many rows as its
    kernel has places). A block-diagonal matrix is cut between groups: a block holds as many whole groups as fit
    in rows and in columns; a group that is larger than a crossbar is cut like a matrix of its own.
    """

    def run(self, calibrated: Calibrated, target: Target) -> Tiling:
        """The blocks of the network, one copy of each matrix, in the order of the network's matrices."""
        network = calibrated.network
        channel = rows_of_channels(network)
        cuts = [blocks_of(m, target.crossbar, channel.get(m.name, 1)) for m in network.matrices.values()]
        empty = Tiling(calibrated, target, (), (), dict.fromkeys(network.matrices, 1), 0)
        return with_blocks(empty, (block for blocks in cuts for block in blocks))


def rows_of_channels(network: Network) -> dict[str, int]:
    """Matrix → rows of a channel; 1 where its uses disagree or none is a convolution."""
    found: dict[str, set[int]] = {}
    for step in walk(network.steps):
        if isinstance(step, Analog):
            found.setdefault(step.matrix, set()).add(step.unfolding.channel_rows)
    return {name: sizes.pop() for name, sizes in found.items() if len(sizes) == 1}


def blocks_of(matrix: Matrix, crossbar: Crossbar, channel_rows: int = 1) -> tuple[Block, ...]:
    """The blocks of one copy of a matrix, numbered from 0 by column block, then row block."""
    height, width = matrix.rows // matrix.groups, matrix.columns // matrix.groups
    if matrix.groups > 1 and height <= crossbar.rows and width <= crossbar.columns:
        whole = min(crossbar.rows // height, crossbar.columns // width)
        cuts = [
            (((first * height, last * height), (first * width, last * width)), (last - first) * height * width)
            for first, last in even_spans(matrix.groups, whole)
        ]
        return tuple(Block(i, matrix.name, 0, *spans, i, weights) for i, (spans, weights) in enumerate(cuts))
    rows = _row_spans(height, crossbar.rows, channel_rows)
    heads = converter_heads(rows, crossbar.analog_rows)
    blocks: list[Block] = []
    for group in range(matrix.groups):
        for columns in even_spans(width, crossbar.columns):
            first = len(blocks)
            for span, head in zip(rows, heads, strict=True):
                blocks.append(
                    Block(
                        number=len(blocks),
                        matrix=matrix.name,
                        replica=0,
                        rows=_shift(span, group * height),
                        columns=_shift(columns, group * width),
                        converter=first + head,
                        weights=(span[1] - span[0]) * (columns[1] - columns[0]),
                    )
                )
    return tuple(blocks)


def even_spans(total: int, limit: int) -> tuple[Span, ...]:
    """0 … total cut into the fewest spans of at most `limit`, whose lengths differ by at most one."""
    parts = ceil(total / limit)
    return tuple((i * total // parts, (i + 1) * total // parts) for i in range(parts))


def _row_spans(rows: int, limit: int, channel_rows: int) -> tuple[Span, ...]:
    """Even row spans, between whole channels where that takes no more of them."""
    plain = even_spans(rows, limit)
    if channel_rows == 1 or channel_rows > limit or rows % channel_rows:
        return plain
    whole = even_spans(rows // channel_rows, limit // channel_rows)
    if len(whole) > len(plain):
        return plain
    return tuple((start * channel_rows, stop * channel_rows) for start, stop in whole)


def converter_heads(rows: Sequence[Span], analog_rows: int | None) -> list[int]:
    """For each row span the index of the first span that shares its converter: the fewest converters in order."""
    heads: list[int] = []
    for index, (_, stop) in enumerate(rows):
        joins = bool(heads) and analog_rows is not None and stop - rows[heads[-1]][0] <= analog_rows
        heads.append(heads[-1] if joins else index)
    return heads


def _shift(span: Span, offset: int) -> Span:
    return span[0] + offset, span[1] + offset

"""What must hold for every tiling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.passes.pack.pack import Mode
from mho.passes.tile.blocks import blocks_by_matrix, converter_groups
from mho.targets.errors import plain
from mho.targets.target import Crossbar

Box = tuple[int, int, int, int, int]
"""Block, first row, stop row, first column, stop column."""


def verify_tiling(tiling: Tiling, mode: Mode = "sequential") -> tuple[str, ...]:
    """What is wrong with a tiling, in sentences; empty where nothing is.

    Args:
        mode: the rule of packing that its tiles were made by; "sequential" is the weakest.
    """
    return (
        *_numbers(tiling),
        *_devices(tiling),
        *_sizes(tiling),
        *_cover(tiling),
        *_converters(tiling),
        *_seats(tiling, mode),
    )


def _numbers(tiling: Tiling) -> Iterator[str]:
    for place, block in enumerate(tiling.blocks):
        if block.number != place:
            yield f"block {block.number} stands at place {place}"
    if tiling.tiles_lower_bound > len(tiling.tiles):
        yield f"{len(tiling.tiles)} tiles are fewer than the bound of {tiling.tiles_lower_bound}"


def _devices(tiling: Tiling) -> Iterator[str]:
    allowed = tiling.target.crossbar.devices_allowed
    for name, devices in tiling.devices.items():
        if name not in tiling.calibrated.network.matrices:
            yield f"devices of an unknown matrix {plain(name)}"
        if devices not in allowed:
            yield f"matrix {plain(name)} has {devices} devices a weight, which the machine does not allow"


def _sizes(tiling: Tiling) -> Iterator[str]:
    for block in tiling.blocks:
        rows, columns = _shape(block)
        crossbar = tiling.crossbar_of(block.matrix)
        if not (0 < rows <= crossbar.rows and 0 < columns <= crossbar.columns):
            yield f"block {block.number} is {rows} × {columns} on a crossbar of {crossbar.rows} × {crossbar.columns}"


def _cover(tiling: Tiling) -> Iterator[str]:
    """Each weight in exactly one block of each replica."""
    matrices = tiling.calibrated.network.matrices
    if set(tiling.replicas) != set(matrices):
        yield "the replicas do not name the matrices of the network"
        return
    blocks = blocks_by_matrix(tiling.blocks)
    yield from (f"blocks of an unknown matrix {plain(name)}" for name in blocks if name not in matrices)
    for name, matrix in matrices.items():
        copies: dict[int, list[Block]] = {replica: [] for replica in range(tiling.replicas[name])}
        for block in blocks.get(name, ()):
            copies.setdefault(block.replica, []).append(block)
        if len(copies) != tiling.replicas[name]:
            yield f"matrix {plain(name)} has a block of a replica that is not one of {tiling.replicas[name]}"
        for replica, own in copies.items():
            yield from (f"matrix {plain(name)}, replica {replica}: {problem}" for problem in _cover_matrix(matrix, own))


def _cover_matrix(matrix: Matrix, blocks: Sequence[Block]) -> Iterator[str]:
    """Blocks that do not overlap and hold as many weights as the matrix hold each of them once."""
    for block in blocks:
        if block.rows[1] > matrix.rows or block.columns[1] > matrix.columns:
            yield f"block {block.number} leaves the matrix"
        held = _weights_inside(matrix, block)
        if block.weights != held:
            yield f"block {block.number} claims {block.weights} weights and holds {held}"
    yield from _overlaps([(b.number, *b.rows, *b.columns) for b in blocks])
    total = sum(b.weights for b in blocks)
    if total != matrix.weights:
        yield f"{total} of {matrix.weights} weights are mapped"


def _weights_inside(matrix: Matrix, block: Block) -> int:
    """Weights of a block-diagonal matrix that lie inside a block."""
    height, width = matrix.rows // matrix.groups, matrix.columns // matrix.groups
    return sum(
        max(0, min(block.rows[1], (g + 1) * height) - max(block.rows[0], g * height))
        * max(0, min(block.columns[1], (g + 1) * width) - max(block.columns[0], g * width))
        for g in range(block.rows[0] // height, min(-(-block.rows[1] // height), matrix.groups))
    )


def _converters(tiling: Tiling) -> Iterator[str]:
    """Blocks before one converter have consecutive rows within the limit, and tiles of their own."""
    tile_of = {seat.block: tile for tile, seats in enumerate(tiling.tiles) for seat in seats}
    limit = tiling.target.crossbar.analog_rows
    for group in converter_groups(tiling.blocks):
        if len(group) == 1:
            continue
        names = ", ".join(str(b.number) for b in group)
        if any(one.rows[1] != other.rows[0] for one, other in pairwise(group)):
            yield f"blocks {names} share a converter and their rows are not consecutive"
        if limit is None or group[-1].rows[1] - group[0].rows[0] > limit:
            yield f"blocks {names} share a converter and have more than {limit or 0} rows"
        if len({tile_of.get(b.number) for b in group}) < len(group):
            yield f"blocks {names} share a converter, and some of them a tile"


def _seats(tiling: Tiling, mode: Mode) -> Iterator[str]:
    """Each block in one seat, inside its tile, by the rule of the mode."""
    seated = Counter(seat.block for seats in tiling.tiles for seat in seats)
    unknown = [number for number in seated if not 0 <= number < len(tiling.blocks)]
    if unknown:
        yield f"seats of unknown blocks {unknown}"
        return
    for block in tiling.blocks:
        if seated[block.number] != 1:
            yield f"block {block.number} sits in {seated[block.number]} places"
    for tile, seats in enumerate(tiling.tiles):
        boxes = [_box(seat, tiling.blocks[seat.block]) for seat in seats]
        kinds = {tiling.crossbar_of(tiling.blocks[seat.block].matrix) for seat in seats}
        if len(kinds) > 1:
            numbers = _words(c.devices_per_weight for c in kinds if c.devices_per_weight)
            yield f"tile {tile}: weights of {numbers} devices"
        crossbar = min(kinds, key=lambda c: c.columns, default=tiling.target.crossbar)
        yield from (f"tile {tile}: {problem}" for problem in _tile_problems(boxes, crossbar, mode))


def _tile_problems(boxes: Sequence[Box], crossbar: Crossbar, mode: Mode) -> Iterator[str]:
    if not boxes:
        yield "no block"
    if mode == "none" and len(boxes) > 1:
        yield f"{len(boxes)} blocks"
    for block, top, bottom, left, right in boxes:
        if top < 0 or left < 0 or bottom > crossbar.rows or right > crossbar.columns:
            yield f"block {block} leaves the crossbar"
    yield from _overlaps(boxes)
    if mode == "pipelined":
        if _meet([(box[1], box[2]) for box in boxes]):
            yield "blocks share rows"
        if _meet([(box[3], box[4]) for box in boxes]):
            yield "blocks share columns"


def _words(numbers: Iterable[int]) -> str:
    return " and ".join(map(str, sorted(numbers)))


def _meet(spans: Iterable[tuple[int, int]]) -> bool:
    """Whether any two half-open spans have something in common."""
    return any(one[1] > other[0] for one, other in pairwise(sorted(spans)))


def _box(seat: Seat, block: Block) -> Box:
    rows, columns = _shape(block)
    return seat.block, seat.row_offset, seat.row_offset + rows, seat.column_offset, seat.column_offset + columns


def _shape(block: Block) -> tuple[int, int]:
    return block.rows[1] - block.rows[0], block.columns[1] - block.columns[0]


def _overlaps(boxes: Sequence[Box]) -> Iterator[str]:
    """Pairs that overlap, by a sweep over the rows."""
    open_boxes: list[Box] = []
    for box in sorted(boxes, key=lambda b: (b[1], b[0])):
        open_boxes = [other for other in open_boxes if other[2] > box[1]]
        for other in open_boxes:
            if other[3] < box[4] and box[3] < other[4]:
                yield f"blocks {other[0]} and {box[0]} overlap"
        open_boxes.append(box)

"""Checks of what the cores hold: sites, blocks in crossbars, and every weight in exactly one block a replica."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mho.targets.check.faults import check_faults
from mho.targets.isa import Load, Span
from mho.targets.program import MatrixFacts, Program
from mho.targets.target import Crossbar
from mho.targets.turns import most_turns


def check_tiles(program: Program) -> Iterator[str]:
    """What is wrong with the cores and their loads, a sentence each."""
    yield from _sites(program)
    yield from _chips(program)
    yield from _numbers(program)
    yield from check_faults(program)
    for core in program.cores:
        yield from (f"core {core.site}: {problem}" for problem in _crossbar(program.target.crossbar, core.loads))
    yield from _copies(program)


def weights_inside(matrix: MatrixFacts, rows: Span, columns: Span) -> int:
    """Weights of a block-diagonal matrix that lie in a slice of it."""
    height, width = matrix.rows // matrix.groups, matrix.columns // matrix.groups
    first, last = rows[0] // height, min(-(-rows[1] // height), matrix.groups)
    return sum(
        max(0, min(rows[1], (g + 1) * height) - max(rows[0], g * height))
        * max(0, min(columns[1], (g + 1) * width) - max(columns[0], g * width))
        for g in range(first, last)
    )


def _sites(program: Program) -> Iterator[str]:
    mesh, mapping = program.target.mesh, program.mapping
    width = min(mapping.grid[0], mesh.width or mapping.grid[0])
    height = min(mapping.grid[1], mesh.height or mapping.grid[1])
    for core in program.cores:
        site = core.site
        if not (0 <= site.chip < mapping.chips and 0 <= site.x < width and 0 <= site.y < height):
            yield f"core {site} lies outside {mapping.chips} chips of {width} × {height}"
    for one, other in pairwise(program.cores):
        if one.site >= other.site:
            yield f"cores {one.site} and {other.site} are not in order, or are one"


def _chips(program: Program) -> Iterator[str]:
    limit = program.target.mesh.tiles
    for chip, tiles in Counter(core.site.chip for core in program.cores).items():
        if limit is not None and tiles > limit:
            yield f"chip {chip} holds {tiles} tiles, above its limit of {limit}"


def _numbers(program: Program) -> Iterator[str]:
    counts = Counter(load.block for core in program.cores for load in core.loads)
    yield from (f"block {block} is loaded {count} times" for block, count in counts.items() if count > 1)


def _crossbar(machine: Crossbar, loads: Sequence[Load]) -> Iterator[str]:
    """Each block inside the crossbar, and none over another; all of one number of devices a weight."""
    given = {load.devices or machine.devices_per_weight for load in loads}
    numbers = sorted(number for number in given if number is not None)
    strange = [n for n in numbers if n not in machine.devices_allowed]
    if strange:
        yield f"weights of {_list(strange)} devices; the machine allows {_list(machine.devices_allowed)}"
        return
    if len(numbers) > 1:
        yield f"weights of {_list(numbers)} devices in one tile"
    crossbar = machine.with_devices(numbers[-1]) if numbers else machine
    boxes = [_seat(load) for load in loads]
    for box in boxes:
        if not (0 <= box.rows[0] < box.rows[1] <= crossbar.rows and 0 <= box.columns[0] < box.columns[1]):
            yield f"block {box.block} takes rows {_text(box.rows)} of a crossbar of {crossbar.rows}"
        if box.columns[1] > crossbar.columns:
            yield f"block {box.block} takes columns {_text(box.columns)} of a crossbar of {crossbar.columns}"
    for one, other, _ in _overlaps(boxes):
        yield f"blocks {one.block} and {other.block} lie over each other"
    yield from _shared(machine, loads)


def _shared(machine: Crossbar, loads: Sequence[Load]) -> Iterator[str]:
    """Blocks in one tile by a regime that the machine allows."""
    if machine.packing == () and len(loads) > 1:
        yield f"{len(loads)} blocks; a block has its tile alone on this machine"
    if machine.packing == ("pipelined",) and most_turns(loads) > 1:
        yield "blocks share rows or columns, which this machine does not allow"


def _copies(program: Program) -> Iterator[str]:
    """Each replica of each matrix holds every weight exactly once."""
    matrices = {m.name: m for m in program.matrices if 1 <= m.groups <= min(m.rows, m.columns)}
    copies: dict[str, dict[int, list[Load]]] = defaultdict(lambda: defaultdict(list))
    for load in (load for core in program.cores for load in core.loads):
        copies[load.matrix][load.replica].append(load)
    yield from (f"blocks are loaded of the unknown matrix {name}" for name in copies if name not in matrices)
    for name, matrix in matrices.items():
        replicas = copies[name]
        if len({load.devices for loads in replicas.values() for load in loads}) > 1:
            yield f"matrix {name} is loaded with different numbers of devices a weight"
        if sorted(replicas) != list(range(len(replicas))) or not replicas:
            yield f"matrix {name} is loaded as the replicas {sorted(replicas)}"
        for replica, loads in replicas.items():
            yield from (f"matrix {name}, replica {replica}: {problem}" for problem in _copy(matrix, loads))


def _copy(matrix: MatrixFacts, loads: Sequence[Load]) -> Iterator[str]:
    """Blocks that share no weight and together hold as many as the matrix hold each of them once."""
    boxes = [_Box(load.block, load.rows, load.columns) for load in loads]
    for load in loads:
        if load.rows[1] > matrix.rows or load.columns[1] > matrix.columns:
            yield f"block {load.block} leaves the matrix of {matrix.rows} × {matrix.columns}"
        if not load.scale_rows[0] <= load.rows[0] < load.rows[1] <= load.scale_rows[1] <= matrix.rows:
            yield f"block {load.block} of rows {_text(load.rows)} is scaled by rows {_text(load.scale_rows)}"
    for one, other, shared in _overlaps(boxes):
        if weights_inside(matrix, shared.rows, shared.columns):
            yield f"blocks {one.block} and {other.block} hold the same weights"
    held = sum(weights_inside(matrix, load.rows, load.columns) for load in loads)
    if held != matrix.weights:
        yield f"the blocks hold {held} of {matrix.weights} weights"


@dataclass(frozen=True)
class _Box:
    """A block as a rectangle, in its matrix or in a crossbar."""

    block: int
    rows: Span
    columns: Span


def _seat(load: Load) -> _Box:
    height, width = load.rows[1] - load.rows[0], load.columns[1] - load.columns[0]
    top, left = load.row_offset, load.column_offset
    return _Box(load.block, (top, top + height), (left, left + width))


def _overlaps(boxes: Sequence[_Box]) -> Iterator[tuple[_Box, _Box, _Box]]:
    """Pairs of rectangles that overlap, and where, by a sweep over the rows."""
    reached: list[_Box] = []
    for box in sorted(boxes, key=lambda b: (b.rows[0], b.block)):
        reached = [other for other in reached if other.rows[1] > box.rows[0]]
        for other in reached:
            left, right = max(other.columns[0], box.columns[0]), min(other.columns[1], box.columns[1])
            if left < right:
                rows = (box.rows[0], min(box.rows[1], other.rows[1]))
                yield other, box, _Box(box.block, rows, (left, right))
        reached.append(box)


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _text(span: Span) -> str:
    return f"{span[0]} to {span[1] - 1}"

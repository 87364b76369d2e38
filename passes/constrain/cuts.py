"""Cutting matrices as positions from outside say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from mho.passes.levels.matrix import Matrix
from mho.passes.levels.positions import Positions
from mho.passes.levels.tiling import Block, Tiling
from mho.passes.tile.blocks import blocks_by_matrix, converter_groups, scale_rows, with_blocks
from mho.passes.tile.tile import converter_heads
from mho.targets.check.tiles import weights_inside
from mho.targets.isa import Span
from mho.targets.program import MatrixFacts

Copy = tuple[str, int]
"""Matrix and replica."""
Slice = tuple[Span, Span]
"""Rows and columns."""
Wanted = Mapping[Slice, Span | None]
"""Slice → the rows before its converter; None is as many as the machine allows."""


@dataclass(frozen=True)
class Recut:
    """A tiling whose blocks are those that positions name, where that can be.

    Attributes:
        refused: matrix and replica → why its blocks stay as they are.
    """

    tiling: Tiling
    refused: Mapping[Copy, str]


def cut_as(tiling: Tiling, positions: Positions) -> Recut:
    """Blocks as the positions have them; what they leave open of a copy stays in blocks that it has already."""
    wanted: dict[Copy, dict[Slice, Span | None]] = {}
    for p in positions:
        wanted.setdefault((p.matrix, p.replica), {})[p.rows, p.columns] = p.scale_rows
    blocks: list[Block] = []
    refused: dict[Copy, str] = {}
    for name, own in blocks_by_matrix(tiling.blocks).items():
        matrix = tiling.calibrated.network.matrices[name]
        for replica, members in groupby(own, key=lambda b: b.replica):
            copy = list(members)
            found = _copy(tiling, matrix, copy, wanted.get((name, replica), {}))
            if isinstance(found, str):
                refused[name, replica] = found
            blocks += copy if isinstance(found, str) else found
    return Recut(with_blocks(tiling, blocks) if tuple(blocks) != tiling.blocks else tiling, refused)


def _copy(tiling: Tiling, matrix: Matrix, own: list[Block], wanted: Wanted) -> list[Block] | str:
    """The blocks of one copy, or why it cannot be cut as is wanted."""
    known = {(b.rows, b.columns): scale_rows(group) for group in converter_groups(own) for b in group}
    if all(s in known and scaled in (None, known[s]) for s, scaled in wanted.items()):
        return own
    crossbar = tiling.crossbar_of(matrix.name)
    large = [s for s in wanted if _length(s[0]) > crossbar.rows or _length(s[1]) > crossbar.columns]
    if large:
        return (
            f"its copy has a block of {_size(large[0])}, larger than the {crossbar.rows} × {crossbar.columns} of a tile"
        )
    twice = next(_overlaps(list(wanted)), None)
    if twice is not None:
        return f"its copy has the blocks {_text(twice[0])} and {_text(twice[1])}, which hold the same weights"
    rest = [(b.rows, b.columns) for b in own if not any(_meet((b.rows, b.columns), s) for s in wanted)]
    slices = sorted([*wanted, *rest], key=lambda s: (s[1], s[0]))
    facts = MatrixFacts(name=matrix.name, rows=matrix.rows, columns=matrix.columns, groups=matrix.groups, origins=())
    held = [weights_inside(facts, *s) for s in slices]
    if sum(held) != matrix.weights:
        cut = next((s for s in wanted if s not in known), next(iter(wanted)))
        some = ", ".join(map(_text, sorted(known)[:3])) + (" …" if len(known) > 3 else "")
        return (
            f"it is cut otherwise: {_text(cut)} is none of its blocks, which are {some}; "
            "list blocks that hold every weight of the copy to cut it anew"
        )
    if any(one[1][1] > other[1][0] and one[1] != other[1] for one, other in pairwise(slices)):
        return "its copy has blocks whose columns overlap and are not the same, so that their sums could not be added"
    scales = [wanted[s] if s in wanted else known[s] for s in slices]
    heads = _heads(slices, scales, crossbar.analog_rows)
    if heads is None:
        return "its copy has rows before one converter that do not follow each other, or are too many"
    return [
        replace(own[0], rows=s[0], columns=s[1], converter=head, weights=weights)
        for s, head, weights in zip(slices, heads, held, strict=True)
    ]


def _heads(slices: list[Slice], scales: list[Span | None], analog_rows: int | None) -> list[int] | None:
    """For each slice, by columns and rows, the first one before its converter; None where that cannot be."""
    heads: list[int] = []
    for _, same in groupby(range(len(slices)), key=lambda i: slices[i][1]):
        here = list(same)
        rows = [slices[i][0] for i in here]
        given = [scales[i] for i in here]
        if None in given:
            heads += [here[head] for head in converter_heads(rows, analog_rows)]
            continue
        for scaled, group in groupby(here, key=lambda i: scales[i]):
            members = list(group)
            spans = [slices[i][0] for i in members]
            unbroken = all(one[1] == other[0] for one, other in pairwise(spans))
            if scaled != (spans[0][0], spans[-1][1]) or not unbroken:
                return None
            if len(members) > 1 and (analog_rows is None or _length(scaled) > analog_rows):
                return None
            heads += [members[0]] * len(members)
    return heads


def _overlaps(slices: Sequence[Slice]) -> Iterator[tuple[Slice, Slice]]:
    """Pairs of slices with a common cell."""
    reached: list[Slice] = []
    for one in sorted(slices):
        reached = [other for other in reached if other[0][1] > one[0][0]]
        yield from ((other, one) for other in reached if _meet(other, one))
        reached.append(one)


def _meet(one: Slice, other: Slice) -> bool:
    return all(a[0] < b[1] and b[0] < a[1] for a, b in zip(one, other, strict=True))


def _length(span: Span) -> int:
    return span[1] - span[0]


def _size(s: Slice) -> str:
    return f"{_length(s[0])} × {_length(s[1])}"


def _text(s: Slice) -> str:
    return f"[{s[0][0]}:{s[0][1]},{s[1][0]}:{s[1][1]}]"

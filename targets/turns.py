"""Which blocks of a crossbar take turns: those that share its rows or columns, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mho.targets.isa import Load, Span


def turns(rows: Sequence[Span], columns: Sequence[Span]) -> list[list[int]]:
    """Groups of boxes, by their places in the sequences; boxes of different groups share no line.

    Two blocks that share neither rows nor columns fire in one MVM; what shares a row or a column with a third one takes
    turns with everything that does. Groups are in the order of their first boxes.
    """
    leader = list(range(len(rows)))
    for spans in (rows, columns):
        reach = last = 0
        for place in sorted(range(len(spans)), key=spans.__getitem__):
            if spans[place][0] < reach:
                leader[_leader(leader, place)] = _leader(leader, last)
            last, reach = place, max(reach, spans[place][1])
    groups: dict[int, list[int]] = {}
    for place in range(len(rows)):
        groups.setdefault(_leader(leader, place), []).append(place)
    return list(groups.values())


def most_turns(loads: Iterable[Load]) -> int:
    """How many blocks of a core fire one after the other, at most."""
    held = list(loads)
    rows = [(load.row_offset, load.row_offset + load.rows[1] - load.rows[0]) for load in held]
    columns = [(load.column_offset, load.column_offset + load.columns[1] - load.columns[0]) for load in held]
    return max((len(group) for group in turns(rows, columns)), default=0)


def _leader(leader: list[int], place: int) -> int:
    """The one that stands for a group, with the ways to it shortened."""
    while leader[place] != place:
        leader[place] = leader[leader[place]]
        place = leader[place]
    return place

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mho.targets.isa import Load
from mho.targets.turns import most_turns, turns

boxes = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4), st.integers(0, 12), st.integers(1, 4)), max_size=9)


def reached(boxes: list[tuple[int, int, int, int]]) -> list[set[int]]:
    """Groups by following every pair that shares a row or a column."""

    def meet(one: int, other: int) -> bool:
        (a, b, c, d), (e, f, g, h) = boxes[one], boxes[other]
        return (a < e + f and e < a + b) or (c < g + h and g < c + d)

    groups: list[set[int]] = []
    for place in range(len(boxes)):
        touching = [g for g in groups if any(meet(place, other) for other in g)]
        groups = [g for g in groups if g not in touching] + [{place}.union(*touching)]
    return sorted(groups, key=min)


@settings(max_examples=200, deadline=None)
@given(boxes)
def test_turns_are_taken_by_all_that_share_lines(found: list[tuple[int, int, int, int]]) -> None:
    rows, columns = [(a, a + b) for a, b, _, _ in found], [(c, c + d) for _, _, c, d in found]
    assert [set(group) for group in turns(rows, columns)] == reached(found)


def test_most_turns_counts_blocks_where_they_lie() -> None:
    def load(top: int, left: int) -> Load:
        span = (0, 4)
        one = Load(block=0, matrix="m", replica=0, rows=span, columns=span, scale_rows=span)
        return replace(one, row_offset=top, column_offset=left)

    assert most_turns([]) == 0
    assert most_turns([load(0, 0), load(4, 4)]) == 1
    assert most_turns([load(0, 0), load(4, 4), load(4, 0)]) == 3

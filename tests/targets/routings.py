"""Deliveries on small machines for the tests of routes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from mho.targets.isa import Site
from mho.targets.routes import Deliveries, Floor, Routes

Entry = tuple[int, tuple[int, ...], float, bool]
"""Source, targets, words, column first."""


def every_site(grid: tuple[int, int], chips: int) -> tuple[Site, ...]:
    """All sites of some chips, in order of chip, row and column."""
    return tuple(Site(c, x, y) for c in range(chips) for y in range(grid[1]) for x in range(grid[0]))


def deliveries(entries: Sequence[Entry]) -> Deliveries:
    return Deliveries(
        source=np.array([source for source, *_ in entries], np.int64),
        count=np.array([len(targets) for _, targets, *_ in entries], np.int64),
        target=np.array([target for _, targets, *_ in entries for target in targets], np.int64),
        words=np.array([words for *_, words, _ in entries], np.float64),
        column_first=np.array([first for *_, first in entries], np.bool_),
    )


def routes(entries: Sequence[Entry], grid: tuple[int, int], chips: int = 1) -> Routes:
    return Routes.of(Floor.of(every_site(grid, chips), grid), deliveries(entries))


@st.composite
def machines(draw: st.DrawFn) -> tuple[tuple[int, int], int]:
    """Grid and chips, of at least two sites."""
    grid = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return grid, draw(st.integers(2 if grid == (1, 1) else 1, 3))


@st.composite
def entries_on(draw: st.DrawFn, sites: int, most: int = 12) -> list[Entry]:
    """Up to so many deliveries to one to four cores, on either way."""
    found: list[Entry] = []
    for _ in range(draw(st.integers(1, most))):
        source = draw(st.integers(0, sites - 1))
        others = [core for core in range(sites) if core != source]
        targets = draw(st.lists(st.sampled_from(others), min_size=1, max_size=4, unique=True))
        found.append((source, tuple(targets), float(draw(st.integers(1, 9))), draw(st.booleans())))
    return found


TURNING = ((0, (3,), 1.0, False), (1, (2,), 1.0, True), (3, (0,), 1.0, False), (2, (1,), 1.0, True))
"""On a chip of 2 × 2: each delivery begins on the link that another one ends on."""

"""`Choice`: which deliveries may take the other of their two ways without a deadlock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mho.targets.arrays import Floats, Indices, Mask
from mho.targets.routes import EAST, NORTH, SOUTH, WEST, Deliveries, Floor, Routes

RULES = ((False, EAST), (False, WEST), (True, SOUTH), (True, NORTH))
"""What one virtual channel allows: all row first (column first) but for what nowhere goes against a direction."""


@dataclass(frozen=True)
class Choice:
    """Deliveries whose two ways differ and are both allowed, and what the others load the links with.

    Attributes:
        free: their numbers among all deliveries.
        usual, other: the same deliveries on both ways, with common numbers for all links. What has no choice takes the
            usual way.
        fixed: [links] words of what has no choice.
        column_first: whether that is the usual way.
    """

    free: Indices
    usual: Routes
    other: Routes
    fixed: Floats
    column_first: bool

    @cached_property
    def words(self) -> Floats:
        return self.usual.deliveries.words

    def loads(self, part: Floats) -> Floats:
        """Words over every link where each delivery sends a part of them the other way."""
        return self.fixed + self.usual.loads(self.words * (1 - part)) + self.other.loads(self.words * part)

    def hottest(self, part: Floats) -> float:
        return float(self.loads(part).max(initial=0.0))

    def chosen(self, deliveries: Deliveries, part: Floats) -> Deliveries:
        """All deliveries, those with a choice on the other way where their part is 1."""
        column_first = np.full(len(deliveries.source), self.column_first)
        column_first[self.free] ^= part > 0.5
        return deliveries.by(column_first)


def choices(floor: Floor, deliveries: Deliveries, channels: int) -> tuple[Choice, ...]:
    """The choices that links with so many virtual channels allow: of one with two, else one for each of `RULES`."""
    rules = ((False, None),) if channels > 1 else RULES
    return tuple(_choice(floor, deliveries, column_first, towards) for column_first, towards in rules)


def _choice(floor: Floor, deliveries: Deliveries, column_first: bool, towards: int | None) -> Choice:
    usual = deliveries.by(np.full(len(deliveries.source), column_first))
    keys = [Routes(floor, ways).crossed[2] for ways in (usual, usual.by(~usual.column_first))]
    crossings = np.unique(np.concatenate(keys))
    free = _free(floor, usual, towards)
    chosen, others = usual.some(free), usual.some(~free)
    return Choice(
        free=np.flatnonzero(free),
        usual=Routes(floor, chosen, crossings),
        other=Routes(floor, chosen.by(~chosen.column_first), crossings),
        fixed=Routes(floor, others, crossings).loads(others.words),
        column_first=column_first,
    )


def _free(floor: Floor, deliveries: Deliveries, towards: int | None) -> Mask:
    """Deliveries whose two ways are not the same links, and of which no part goes against a direction.

    The ways differ where some target has another row, and another column or chip. A chip of a higher number lies east.
    """
    source, target = floor.place[deliveries.source[deliveries.of]].T, floor.place[deliveries.target].T
    chip, x, y = target - source
    across = np.where(chip != 0, chip, x)
    free = np.bincount(deliveries.of[(y != 0) & (across != 0)], minlength=len(deliveries.source)) > 0
    if towards is None:
        return free
    against = {EAST: across < 0, WEST: across > 0, SOUTH: y < 0, NORTH: y > 0}[towards]
    allowed: Mask = free & (np.bincount(deliveries.of[against], minlength=len(free)) == 0)
    return allowed

"""No deadlock: the channels that vectors hold while they wait for others, and whether these wait in a circle.

A link has one buffer or two, its *virtual channels*, each of which holds a whole vector (virtual cut-through: Kermani
and Kleinrock, Computer Networks 3, 1979). A vector in one waits for the next on its way, a tree's for each of its
branches. Where the graph of these dependencies has no cycle, some vector can always move, whatever else is on the way
(Dally and Seitz, IEEE Trans. Computers C-36, 1987), as long as what arrives is taken: senders wait until the receiver
has room.

Ways that are all row first, or all column first, have no cycle. Both together have none in two virtual channels, one
for each (O1TURN: Seo et al., ISCA 2005). In one channel they have none where ways that are column first among others
that are row first nowhere go west, so that no vector turns west (west-first turn model: Glass and Ni, ISCA 1992); and
so for the other three directions. A link to a chip of a higher number counts as going east: it never closes a circle.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mho.targets.arrays import Floats, Indices, Mask
from mho.targets.routes import Routes


def cyclic_channels(routes: Routes, virtual_channels: int) -> tuple[str, ...]:
    """Channels that wait for each other in a circle, in words, first to last; nothing where no channels do.

    Args:
        virtual_channels: 2 where ways that are column first have channels of their own.
    """
    links = routes.floor.links + len(routes.crossings)
    before, after = dependencies(routes, virtual_channels)
    left = _left(before, after, virtual_channels * links)
    inside = left[before] & left[after]
    return tuple(_channel(routes, links, channel) for channel in _circle(before[inside], after[inside]))


def dependencies(routes: Routes, virtual_channels: int) -> tuple[Indices, Indices]:
    """The edges of the channel-dependency graph, each once: a vector in the first channel may wait for the second.

    A channel has the number virtual channel · links + link.
    """
    links = routes.floor.links + len(routes.crossings)
    column_first = routes.deliveries.column_first[routes.deliveries.of] & (virtual_channels > 1)
    edges = [*_turns(routes, column_first * links)]
    for layer in range(virtual_channels):
        edges += [before_after + layer * links for before_after in _ahead(routes, column_first == bool(layer))]
    before, after = np.concatenate([np.zeros((2, 0), np.int64), *edges], axis=1)
    size = virtual_channels * links
    codes = np.unique(before * size + after)
    return codes // size, codes % size


def _turns(routes: Routes, offset: Indices) -> Iterator[Indices]:
    """Edges where ways turn, leave a chip or enter one: [2, edges] each; `offset` is that of an entry's channel."""
    floor = routes.floor
    last = np.full(len(routes.deliveries.target), -1)
    for stage in range(5):
        if stage == 2:
            entries, _, keys = routes.crossed
            first = end = routes.crossing(keys)
        else:
            entries, direction, start, stop = routes.leg(stage)
            first = direction * floor.sites + start
            end = direction * floor.sites + stop - floor.steps[direction]
        joined = last[entries] >= 0
        moved = offset[entries]
        yield np.stack([(last[entries] + moved)[joined], (first + moved)[joined]])
        last[entries] = end


def _ahead(routes: Routes, entries: Mask) -> Iterator[Indices]:
    """Edges from link to link straight ahead on the ways of some entries: [2, edges] for each direction."""
    floor = routes.floor
    change: Floats = np.zeros((4, floor.sites))
    for stage in (0, 1, 3, 4):
        entry, direction, start, stop = routes.leg(stage)
        mine = entries[entry]
        np.add.at(change, (direction[mine], start[mine]), 1.0)
        np.add.at(change, (direction[mine], (stop - floor.steps[direction])[mine]), -1.0)
    for towards in range(4):
        links = towards * floor.sites + np.flatnonzero(floor.along(change[towards], towards) > 0.5)
        yield np.stack([links, links + floor.steps[towards]])


def _left(before: Indices, after: Indices, channels: int) -> Mask:
    """The channels that remain when those that nothing waits in any more are taken away, again and again (Kahn)."""
    order = np.argsort(before, kind="stable")
    before, after = before[order], after[order]
    first = np.searchsorted(before, np.arange(channels + 1))
    waiting = np.bincount(after, minlength=channels)
    left = np.ones(channels, np.bool_)
    free = np.flatnonzero(waiting == 0)
    while len(free):
        left[free] = False
        count = first[free + 1] - first[free]
        reached = after[np.repeat(first[free] - np.cumsum(count) + count, count) + np.arange(count.sum())]
        np.subtract.at(waiting, reached, 1)
        free = np.unique(reached[waiting[reached] == 0])
    return left


def _circle(before: Indices, after: Indices) -> list[int]:
    """One cycle of a graph in which each channel has one before it, the lowest number first."""
    if not len(before):
        return []
    back = dict(zip(after.tolist(), before.tolist(), strict=True))
    seen: dict[int, int] = {}
    at = int(after[0])
    while at not in seen:
        seen[at] = len(seen)
        at = back[at]
    circle = list(seen)[seen[at] :][::-1]
    begin = circle.index(min(circle))
    return circle[begin:] + circle[:begin]


def _channel(routes: Routes, links: int, channel: int) -> str:
    layer, link = divmod(channel, links)
    source, target = routes.ends(link)
    return f"{source} → {target}" + (f" (virtual channel {layer})" if layer else "")

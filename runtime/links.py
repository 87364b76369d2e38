"""`Links`: vectors on their way over links that hold a finite number of them, hop by hop.

A vector stays in a buffer until the next one on its way has room, a tree's until each of its branches had. So vectors
can wait for each other in a circle where the program's routes allow it, and then stand still for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from mho.targets.errors import ProgramError
from mho.targets.isa import Site
from mho.targets.program import Program
from mho.targets.routes import Deliveries, Floor, Routes

Hop = tuple[Site, Site, int]
"""A buffer of a link: the sites that it joins, and its virtual channel."""

VECTORS_A_BUFFER = 1
MOST_TOLD = 8


@dataclass(frozen=True)
class Flight:
    """A vector for one or several cores.

    Attributes:
        branches: hop → those that come next; None → the first ones.
        ends: cores that take it.
        arrive: told each of them when it has it.
    """

    branches: Mapping[Hop | None, tuple[Hop, ...]]
    ends: frozenset[Site]
    arrive: Callable[[Site], None]


@dataclass
class _Held:
    """A vector in a buffer, and the hops that have not taken it yet."""

    flight: Flight
    rest: list[Hop]


class Links:
    """All links of a machine, and the output buffer of each core, which holds one vector."""

    def __init__(self) -> None:
        self._outputs: dict[Site, _Held] = {}
        self._held: dict[Hop, list[_Held]] = {}

    @property
    def busy(self) -> bool:
        return bool(self._outputs or self._held)

    def offer(self, source: Site, flight: Flight) -> bool:
        """Takes a vector from a core; False where the last one has not left it."""
        if source in self._outputs:
            return False
        self._outputs[source] = _Held(flight, [*flight.branches[None]])
        return True

    def step(self) -> bool:
        """Every vector moves by a hop where there is room; False where none does."""
        moved = [
            self._advance(held) for held in (*self._outputs.values(), *(h for q in self._held.values() for h in q))
        ]
        self._outputs = {site: held for site, held in self._outputs.items() if held.rest}
        self._held = {hop: left for hop, q in self._held.items() if (left := [held for held in q if held.rest])}
        return any(moved)

    def standing(self) -> Iterator[str]:
        """What waits, in words."""
        waiting = ((f"core {site}", held) for site, held in self._outputs.items())
        on_links = ((f"link {_text(hop)}", held) for hop, q in self._held.items() for held in q)
        for where, held in (*waiting, *on_links):
            yield f"{where} for link {', '.join(_text(hop) for hop in held.rest)}"

    def _advance(self, held: _Held) -> bool:
        taken = [hop for hop in held.rest if len(self._held.get(hop, ())) < VECTORS_A_BUFFER]
        for hop in taken:
            held.rest.remove(hop)
            following = held.flight.branches.get(hop, ())
            if following:
                self._held.setdefault(hop, []).append(_Held(held.flight, [*following]))
            if hop[1] in held.flight.ends:
                held.flight.arrive(hop[1])
        return bool(taken)


@dataclass(frozen=True)
class Network:
    """The routes of a program, as its links know them."""

    program: Program

    def flight(self, source: Site, target: Site, arrive: Callable[[Site], None]) -> Flight | None:
        """A vector from core to core; None where the program tells no way: it arrives at once."""
        entry = self._entries.get((source, target))
        if entry is None:
            return None
        hops = self._hops(entry)
        branches = {one: (other,) for one, other in zip((None, *hops), hops, strict=False)}
        return Flight(branches, frozenset((target,)), arrive)

    def deliver_everything(self) -> int:
        """Sends every delivery of the program at once over links with finite buffers; returns how many arrived.

        Raises:
            ProgramError: vectors wait for each other for ever.
        """
        links, arrived = Links(), list[Site]()
        queues = {source: iter(flights) for source, flights in self._flights(arrived.append).items()}
        ready = {source: next(queue, None) for source, queue in queues.items()}
        while ready or links.busy:
            left = [source for source, flight in ready.items() if flight is not None and links.offer(source, flight)]
            ready |= {source: next(queues[source], None) for source in left}
            ready = {source: flight for source, flight in ready.items() if flight is not None}
            if not links.step():
                waits = [*links.standing()]
                more = f" and {len(waits) - MOST_TOLD} more" if len(waits) > MOST_TOLD else ""
                raise ProgramError(f"deadlock, vectors wait for ever: {'; '.join(waits[:MOST_TOLD])}{more}")
        return len(arrived)

    def _flights(self, arrive: Callable[[Site], None]) -> dict[Site, list[Flight]]:
        """Core → what it delivers, in the order of the program."""
        found: dict[Site, list[Flight]] = {}
        deliveries = self._routes.deliveries
        first = 0
        for source, count in zip(deliveries.source.tolist(), deliveries.count.tolist(), strict=True):
            branches: dict[Hop | None, dict[Hop, None]] = {}
            for entry in range(first, first + count):
                hops = self._hops(entry)
                for one, other in zip((None, *hops), hops, strict=False):
                    branches.setdefault(one, {})[other] = None
            ends = frozenset(self._sites[core] for core in deliveries.target[first : first + count].tolist())
            tree = {hop: tuple(following) for hop, following in branches.items()}
            found.setdefault(self._sites[source], []).append(Flight(tree, ends, arrive))
            first += count
        return found

    @cached_property
    def _sites(self) -> tuple[Site, ...]:
        return tuple(core.site for core in self.program.cores)

    @cached_property
    def _routes(self) -> Routes:
        known = self.program.mapping.routes is not None
        deliveries = Deliveries.stored(self.program.tensors) if known else Deliveries.none()
        return Routes.of(Floor.of(self._sites, self.program.mapping.grid), deliveries)

    @cached_property
    def _entries(self) -> dict[tuple[Site, Site], int]:
        """Source and target → the first entry that goes from one to the other."""
        deliveries = self._routes.deliveries
        pairs = deliveries.source[deliveries.of], deliveries.target
        _, first = np.unique(pairs[0] * len(self._sites) + pairs[1], return_index=True)
        ends = zip(*(pair[first].tolist() for pair in pairs), first.tolist(), strict=True)
        return {(self._sites[source], self._sites[target]): entry for source, target, entry in ends}

    def _hops(self, entry: int) -> list[Hop]:
        facts, deliveries = self.program.mapping.routes, self._routes.deliveries
        separate = facts is not None and facts.virtual_channels > 1
        channel = int(separate and deliveries.column_first[deliveries.of[entry]])
        return [(one, other, channel) for one, other in pairwise(self._routes.way(entry))]


def _text(hop: Hop) -> str:
    source, target, channel = hop
    return f"{source} → {target}" + (f" (virtual channel {channel})" if channel else "")

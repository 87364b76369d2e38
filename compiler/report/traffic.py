"""What links carry and what buffers hold, in one line each."""

from __future__ import annotations

from dataclasses import dataclass

from mho.report import quantities as q
from mho.targets.isa import Site
from mho.targets.mapping import LinkTraffic, RouteMode
from mho.targets.program import Program

_WAYS: dict[RouteMode, str] = {"xy": "row first", "yx": "column first", "balanced": "balanced ways"}


@dataclass(frozen=True, kw_only=True)
class RouteLine:
    """How words travel in one inference of one sample.

    Attributes:
        virtual_channels: buffers that each link needs, each of `link_words`.
        links: that carry anything. words: over all of them.
        hottest: the link that carries most; None where none does.
    """

    mode: RouteMode
    virtual_channels: int
    multicast: bool
    link_words: int
    links: int
    words: float
    hottest: LinkTraffic | None

    def __str__(self) -> str:
        if self.hottest is None:
            return "no words between tiles"
        channels = f", {self.virtual_channels} virtual channels a link" if self.virtual_channels > 1 else ""
        cast = ", multicast" if self.multicast else ""
        return (
            f"hottest {self.hottest.source} → {self.hottest.target} with {q.short(self.hottest.words)} words, "
            f"{q.short(round(self.words / self.links))} on average; {_WAYS[self.mode]}{channels}{cast}"
        )


@dataclass(frozen=True, kw_only=True)
class BufferLine:
    """Words that have to be held.

    Attributes:
        core_words: the most of any core, `core`; capacity: what a core has, None where it is unknown.
        line_words: the most that a layer, `line_layer`, keeps of an image that it goes through row by row; None where
            none does.
    """

    core: Site
    core_words: int
    capacity: int | None
    link_words: int
    line_layer: str | None
    line_words: int | None

    def __str__(self) -> str:
        room = f" of {q.whole(self.capacity)}" if self.capacity is not None else ""
        lines = "" if self.line_words is None else f", {q.whole(self.line_words)} for the rows of {self.line_layer}"
        return f"at most {q.whole(self.core_words)}{room} words a core, {q.whole(self.link_words)} a link{lines}"


def route_line(program: Program) -> RouteLine | None:
    """None where the program tells no routes."""
    facts, links = program.mapping.routes, program.mapping.links
    if facts is None:
        return None
    return RouteLine(
        mode=facts.mode,
        virtual_channels=facts.virtual_channels,
        multicast=facts.multicast,
        link_words=facts.link_words,
        links=len(links),
        words=sum(link.words for link in links),
        hottest=max(links, key=lambda link: link.words, default=None),
    )


def buffer_line(program: Program) -> BufferLine | None:
    """None where the program tells no sizes."""
    sized = [(core.memory.words, core.site) for core in program.cores if core.memory is not None]
    if not sized:
        return None
    words, site = max(sized, key=lambda pair: pair[0])
    line = max(program.mapping.lines, key=lambda line: line.words, default=None)
    return BufferLine(
        core=site,
        core_words=words,
        capacity=program.target.core.buffer_words,
        link_words=program.mapping.routes.link_words if program.mapping.routes else 0,
        line_layer=line.layer if line else None,
        line_words=line.words if line else None,
    )

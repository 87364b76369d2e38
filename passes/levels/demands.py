"""`Demands`: what a user, or a program that exists already, asks of where blocks stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from mho.targets.isa import Site, Span

if TYPE_CHECKING:
    from mho.passes.levels.tiling import Block

BlockKey = tuple[str, int, Span, Span]
"""Matrix, replica, rows and columns of a block: what it is called whatever its number."""


def block_key(block: Block) -> BlockKey:
    """What a block is called whatever its number."""
    return block.matrix, block.replica, block.rows, block.columns


@dataclass(frozen=True)
class Part:
    """Blocks of a layer: all of them, those of one replica, or those within a slice.

    Attributes:
        name: as the user wrote it.
        matrices: that the name means.
        replica: None is every one.
        rows, columns: of the matrix; a block belongs to the part where it lies within them. None is all.
    """

    name: str
    matrices: tuple[str, ...]
    replica: int | None = None
    rows: Span | None = None
    columns: Span | None = None

    def holds(self, block: Block) -> bool:
        """Whether a block belongs to the part."""
        return (
            block.matrix in self.matrices
            and self.replica in (None, block.replica)
            and _within(block.rows, self.rows)
            and _within(block.columns, self.columns)
        )

    def cuts(self, block: Block) -> bool:
        """Whether a block lies half in the part and half outside."""
        return (
            block.matrix in self.matrices
            and self.replica in (None, block.replica)
            and not self.holds(block)
            and _meets(block.rows, self.rows)
            and _meets(block.columns, self.columns)
        )


def _within(inner: Span, outer: Span | None) -> bool:
    return outer is None or (outer[0] <= inner[0] and inner[1] <= outer[1])


def _meets(one: Span, other: Span | None) -> bool:
    return other is None or (one[0] < other[1] and other[0] < one[1])


@dataclass(frozen=True)
class Pin:
    """The tiles of a part stand on one chip; where cores are listed, on these, a tile a core."""

    part: Part
    chip: int
    cores: tuple[Site, ...] = ()


@dataclass(frozen=True)
class Spot:
    """Exactly where a block stands: its core, and its upper left cell there."""

    core: Site
    row_offset: int = 0
    column_offset: int = 0


@dataclass(frozen=True)
class Demands:
    """What is asked of blocks, tiles and cores. A tile holds only blocks of which the same is asked.

    Attributes:
        apart: parts any two of which share no chip.
        together: parts that are on one chip, with all their blocks.
        forbidden: cores on which no tile stands.
        spots: blocks that stand exactly there; the spots of one core are one tile, which holds other blocks only
            where the chips in use would be too few.
        moved: blocks that cannot stay where an old program has them, and why.
    """

    pins: tuple[Pin, ...] = ()
    apart: tuple[tuple[Part, ...], ...] = ()
    together: tuple[tuple[Part, ...], ...] = ()
    forbidden: frozenset[Site] = frozenset()
    spots: Mapping[BlockKey, Spot] = field(default_factory=dict)
    moved: tuple[str, ...] = ()

    @cached_property
    def any(self) -> bool:
        """Whether anything is asked."""
        return bool(self.pins or self.apart or self.together or self.forbidden or self.spots)

    @cached_property
    def cores(self) -> frozenset[Site]:
        """The cores that tiles are asked to stand on."""
        return frozenset((*(spot.core for spot in self.spots.values()), *(c for pin in self.pins for c in pin.cores)))

    @property
    def pairs_apart(self) -> Iterator[tuple[Part, Part]]:
        """Every two parts that share no chip."""
        return (pair for parts in self.apart for pair in combinations(parts, 2))

    def kind_of(self, block: Block) -> tuple[int, ...]:
        """Which demands concern a block; blocks that share a tile agree in it."""
        alone = [(pin.part,) for pin in self.pins] + [(part,) for parts in self.apart for part in parts]
        return tuple(n for n, parts in enumerate([*alone, *self.together]) if any(p.holds(block) for p in parts))

"""`FaultMap`: what is broken on the chips of one machine, as data that placement avoids and the runtime simulates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from mho.targets.isa import Site
from mho.targets.target import Crossbar, Index

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class StuckCell:
    """A cell one polarity of which ignores programming.

    Attributes:
        row, column: physical lines of the crossbar.
        polarity: of the weight: "+" or "-".
        level: the conductance that it holds: none or the largest.
    """

    __pydantic_config__ = STRICT

    row: Index
    column: Index
    polarity: Literal["+", "-"]
    level: Literal["low", "high"]


@dataclass(frozen=True, kw_only=True)
class TileFaults:
    """What is broken at a site.

    Attributes:
        dead: the whole tile holds nothing.
        rows, columns: lines of the crossbar that hold nothing; blocks lie on the others as if these were not there.
        stuck: single cells.
    """

    __pydantic_config__ = STRICT

    site: Site
    dead: bool = False
    rows: tuple[Index, ...] = ()
    columns: tuple[Index, ...] = ()
    stuck: tuple[StuckCell, ...] = ()

    @property
    def bars(self) -> bool:
        """Whether blocks have less room here than on a sound tile; stuck cells take none."""
        return self.dead or bool(self.rows or self.columns)

    def room(self, crossbar: Crossbar, devices: int | None = None) -> tuple[int, int]:
        """Rows and columns that are left for blocks whose weights are made of so many devices."""
        if self.dead:
            return 0, 0
        wide = crossbar if devices is None else crossbar.with_devices(devices)
        return crossbar.rows - len(set(self.rows)), wide.columns - len(self.dead_columns(crossbar, devices))

    def dead_columns(self, crossbar: Crossbar, devices: int | None = None) -> tuple[int, ...]:
        """The dead columns, counted as a crossbar whose weights are made of so many devices counts its columns.

        A row holds the same devices whatever makes a weight; a column is dead where one of its devices is.
        """
        own = crossbar.devices_per_weight
        if devices is None or own is None or devices == own:
            return tuple(sorted(set(self.columns)))
        ends = ((column * own // devices, -(-(column + 1) * own // devices)) for column in self.columns)
        limit = crossbar.with_devices(devices).columns
        return tuple(sorted({c for first, last in ends for c in range(first, min(last, limit))}))


@dataclass(frozen=True, kw_only=True)
class FaultMap:
    """The faults of all chips; what is not listed is sound."""

    __pydantic_config__ = STRICT

    tiles: tuple[TileFaults, ...] = ()

    @cached_property
    def by_site(self) -> Mapping[Site, TileFaults]:
        """The faults of each site that has any."""
        return {tile.site: tile for tile in self.tiles}

    @cached_property
    def barred(self) -> Mapping[int, tuple[TileFaults, ...]]:
        """Chip → its tiles that are dead or have dead lines; chips without such tiles are left out."""
        found: dict[int, list[TileFaults]] = {}
        for tile in self.tiles:
            if tile.bars:
                found.setdefault(tile.site.chip, []).append(tile)
        return {chip: tuple(tiles) for chip, tiles in found.items()}

    def within(self, chips: int, grid: tuple[int, int]) -> FaultMap:
        """The part of the map that lies on the first chips, each a grid of this width and height."""
        width, height = grid
        return FaultMap(
            tiles=tuple(t for t in self.tiles if t.site.chip < chips and t.site.x < width and t.site.y < height)
        )


def usable_lines(count: int, dead: tuple[int, ...]) -> NDArray[np.int64]:
    """The physical numbers of the lines that are not dead: entry i is where line i of a tile's blocks lies."""
    return np.setdiff1d(np.arange(count), np.array(dead, np.int64))

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
from mho.targets.target import Index

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


@dataclass(frozen=True, kw_only=True)
class FaultMap:
    """The faults of all chips; what is not listed is sound."""

    __pydantic_config__ = STRICT

    tiles: tuple[TileFaults, ...] = ()

    @cached_property
    def by_site(self) -> Mapping[Site, TileFaults]:
        """The faults of each site that has any."""
        return {tile.site: tile for tile in self.tiles}


def usable_lines(count: int, dead: tuple[int, ...]) -> NDArray[np.int64]:
    """The physical numbers of the lines that are not dead: entry i is where line i of a tile's blocks lies."""
    return np.setdiff1d(np.arange(count), np.array(dead, np.int64))

"""`draw_faults`: a fault map drawn from rates, the same for the same machine, rates and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from mho.targets.errors import OptionError, plain
from mho.targets.faults import FaultMap, StuckCell, TileFaults
from mho.targets.isa import Site
from mho.targets.target import UNLIMITED, Target

MOST_TILES = 100_000
MOST_CELLS = 2_000_000
"""Stuck cells that are expected in all; larger parts belong into the machine: device.stuck_low, device.stuck_high."""

LOW_FIRST: tuple[Literal["low", "high"], ...] = ("low", "high")


@dataclass(frozen=True, kw_only=True)
class FaultRates:
    """How often something is broken, each on its own: parts from 0 to 1.

    Attributes:
        dead_tiles: of the tiles. dead_rows, dead_columns: of the lines of the other tiles.
        stuck_low, stuck_high: of their cells, counted apart for the two polarities of a weight.

    Raises:
        OptionError: a rate is none, naming all.
    """

    dead_tiles: float = 0.0
    dead_rows: float = 0.0
    dead_columns: float = 0.0
    stuck_low: float = 0.0
    stuck_high: float = 0.0

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        problems = [
            f"{name} = {value}: must be a number of at least 0 and at most 1"
            for name, value in given.items()
            if not 0 <= value <= 1
        ]
        if not problems and self.stuck > 1:
            problems = [f"stuck_low + stuck_high = {self.stuck:g}: must be at most 1 together"]
        if problems:
            raise OptionError(problems)

    @property
    def stuck(self) -> float:
        return self.stuck_low + self.stuck_high


def draw_faults(target: Target, rates: FaultRates, chips: int = 1, tiles: int | None = None, seed: int = 0) -> FaultMap:
    """Draws the faults of some chips.

    Every tile and every kind of fault has its own stream: more chips, or another rate, leave the other draws alone.

    Args:
        tiles: tiles a chip, where the machine has no number of its own.

    Raises:
        OptionError: a number is out of range, or the machine lacks a size that a rate is of.
    """
    _refuse(target, rates, chips, tiles, seed)
    count = target.mesh.tiles or tiles or 0
    width = target.mesh.grid(count)[0]
    sites = (Site(chip, place % width, place // width) for chip in range(chips) for place in range(count))
    drawn = (_tile(site, target, rates, seed) for site in sites)
    return FaultMap(tiles=tuple(tile for tile in drawn if tile.bars or tile.stuck))


def _refuse(target: Target, rates: FaultRates, chips: int, tiles: int | None, seed: int) -> None:
    name, crossbar = plain(target.name), target.crossbar
    problems = []
    if chips < 1:
        problems.append(f"chips = {chips}: must be a whole number of at least 1")
    if seed < 0:
        problems.append(f"seed = {seed}: must be a whole number of at least 0")
    if target.mesh.tiles is not None and tiles not in (None, target.mesh.tiles):
        problems.append(f"tiles = {tiles}: a chip of {name} has {target.mesh.tiles}; leave it out")
    elif target.mesh.tiles is None and (tiles is None or tiles < 1):
        given = "is missing" if tiles is None else f"= {tiles}"
        problems.append(f"tiles {given}: a chip of {name} has no number of tiles; give one of at least 1 (--tiles)")
    for rate, kind in (("dead_rows", "rows"), ("dead_columns", "columns")):
        if (getattr(rates, rate) or rates.stuck) and getattr(crossbar, kind) == UNLIMITED:
            problems.append(f"{rate if getattr(rates, rate) else 'stuck cells'}: {name} names no crossbar.{kind}")
    all_tiles = chips * (target.mesh.tiles or tiles or 1)
    expected = all_tiles * 2 * crossbar.rows * crossbar.columns * rates.stuck
    if not problems and all_tiles > MOST_TILES:
        problems.append(f"chips = {chips}: that is {all_tiles:,} tiles; at most {MOST_TILES:,} are drawn")
    if not problems and expected > MOST_CELLS:
        problems.append(
            f"stuck_low + stuck_high = {rates.stuck:g}: that is about {expected:,.0f} cells on {all_tiles:,} tiles; at "
            f"most {MOST_CELLS:,} are listed. Set device.stuck_low and device.stuck_high of the machine instead"
        )
    if problems:
        raise OptionError(problems)


def _tile(site: Site, target: Target, rates: FaultRates, seed: int) -> TileFaults:
    crossbar = target.crossbar
    streams = _streams(site, seed)
    if next(streams).random() < rates.dead_tiles:
        return TileFaults(site=site, dead=True)
    rows = _lines(crossbar.rows, rates.dead_rows, next(streams))
    columns = _lines(crossbar.columns, rates.dead_columns, next(streams))
    stuck = _stuck(crossbar.rows, crossbar.columns, rates, next(streams)) if rates.stuck else ()
    return TileFaults(site=site, rows=rows, columns=columns, stuck=stuck)


def _streams(site: Site, seed: int) -> Iterator[np.random.Generator]:
    effect = 0
    while True:
        yield np.random.default_rng([seed, effect, site.chip, site.y, site.x])
        effect += 1


def _lines(count: int, rate: float, rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(np.flatnonzero(rng.random(count) < rate).tolist()) if rate else ()


def _stuck(rows: int, columns: int, rates: FaultRates, rng: np.random.Generator) -> tuple[StuckCell, ...]:
    """Cells in the order of rows, columns and polarities."""
    cells = 2 * rows * columns
    low, high, _ = rng.multinomial(cells, [rates.stuck_low, rates.stuck_high, max(0.0, 1 - rates.stuck)]).tolist()
    places: NDArray[np.int64] = rng.choice(cells, low + high, replace=False)
    order = np.argsort(places)
    return tuple(
        StuckCell(
            row=place // (2 * columns),
            column=place // 2 % columns,
            polarity=cast(Literal["+", "-"], "+-"[place % 2]),
            level=LOW_FIRST[number >= low],
        )
        for number, place in zip(order.tolist(), places[order].tolist(), strict=True)
    )

"""The levels after the tiling: where tiles stand, what the links carry, when steps run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mho.passes.levels.tiling import Tiling
from mho.targets.isa import Site
from mho.targets.mapping import CostFacts, LinkTraffic, RouteMode, Slot, SolverFacts, Timing
from mho.targets.reload import Reload
from mho.targets.routes import Deliveries


@dataclass(frozen=True)
class Ranged:
    """A tiling whose converters have their ranges.

    Attributes:
        adc_ranges: (layer, block number) → full scale in units of the block's largest weight times the input
            range; blocks that share a converter have equal ranges.
        reload: how the tiles take turns on a machine that has fewer; then chips and sites are those of a machine that
            is large enough. None where each tile has a place of its own.
    """

    tiling: Tiling
    adc_ranges: Mapping[tuple[str, int], float]
    reload: Reload | None = None


@dataclass(frozen=True)
class Partition:
    """Which chip each logical tile is on: `chip_of[tile]`."""

    ranged: Ranged
    chips: int
    chip_of: tuple[int, ...]
    solvers: tuple[SolverFacts, ...]


@dataclass(frozen=True)
class Placement:
    """Which site each logical tile has: `site_of[tile]`, all different."""

    partition: Partition
    grid: tuple[int, int]
    site_of: tuple[Site, ...]
    solvers: tuple[SolverFacts, ...]


@dataclass(frozen=True)
class Routing:
    """Which way every vector goes, and what every link carries in one inference.

    Attributes:
        deliveries: from tile to tile.
        moved: layer → words that it takes in or adds up, each counted once a link, and once a link between chips.
        virtual_channels: buffers of each link that the ways need.
    """

    placement: Placement
    mode: RouteMode
    virtual_channels: int
    multicast: bool
    deliveries: Deliveries
    links: tuple[LinkTraffic, ...]
    moved: Mapping[str, tuple[float, float]]
    solvers: tuple[SolverFacts, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that is decided about the machine; `Emit` writes it down as a program."""

    routing: Routing
    schedule: tuple[Slot, ...]
    costs: CostFacts
    timing: Timing = field(default_factory=Timing)
    solvers: tuple[SolverFacts, ...] = ()

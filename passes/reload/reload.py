"""`ReloadTiles`: tiles that take turns on a machine that has fewer of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from mho.passes.levels.plan import Ranged
from mho.passes.levels.tiling import Tiling
from mho.passes.reload.firings import firing_sequence
from mho.passes.reload.kept import kept_words
from mho.passes.sites.fill_chips import fill_chips
from mho.passes.sites.room import Room, chip_sites
from mho.passes.tile.blocks import converter_groups
from mho.targets.arrays import Indices
from mho.targets.errors import FitError, OptionError, plain
from mho.targets.faults import FaultMap
from mho.targets.isa import Site
from mho.targets.mapping import SolverFacts
from mho.targets.reload import Reload, ReloadMode, Rewriting, firing_order
from mho.targets.replacement import FiringOrder
from mho.targets.replay import Replay, fewest_writes, replay
from mho.targets.steps import layers
from mho.targets.target import Count

DEFAULT_INFERENCES = 1000
"""Inferences that writes are counted for where nobody says: enough that the first, into empty tiles, hardly counts."""


@dataclass(frozen=True)
class ReloadTiles:
    """Where a network has more tiles than the machine, lets them be written to the machine's tiles in turn.

    The network is then mapped as to a machine that is large enough, whose tiles are the pages of this one. With the
    pages in the order in which they fire, each is written over the page that is needed last, which needs the fewest
    writes that this order can have. Tiles that a fault map names are left out.

    Attributes:
        allow: without it a network that does not fit is refused.
        mode: "order" takes the pages of a layer always in the order of their blocks; "alternate", the default, takes
            them backwards every other time; "batch" takes a whole batch through the pages that are there.
        inferences: that writes are counted for; in mode "batch" the size of a batch. 1000 where it is None.
    """

    allow: bool = False
    mode: ReloadMode | None = None
    inferences: Count | None = None

    def run(self, ranged: Ranged, chips: int | None, tiles: int | None) -> Ranged:
        """The same, with how tiles are reloaded where they are; then without a fault map.

        Args:
            chips, tiles: the most that may be used; see `Supply.of`.

        Raises:
            OptionError: a mode without leave to reload, a machine whose number of tiles nobody knows, or tiles that
                take turns although something is asked of where they stand.
            FitError: tiles add their charge before one converter, so that they must be there together.
        """
        if not self.allow:
            if self.mode is not None or self.inferences is not None:
                raise OptionError("reload: a mode (--reload) or inferences to count need --allow-reload")
            return ranged
        tiling = ranged.tiling
        bench = Supply.of(tiling, chips, tiles)
        if bench.holds(tiling):
            return ranged
        _refuse_demands(tiling, bench)
        sites = bench.sound(tiling.faults)
        _refuse_unmovable(tiling, len(sites))
        reload, proof = reloaded(tiling, sites, self.mode or "alternate", self.inferences or DEFAULT_INFERENCES)
        large = replace(tiling, faults=FaultMap(), solvers=(*tiling.solvers, proof))
        return replace(ranged, tiling=large, reload=reload)


@dataclass(frozen=True)
class Supply:
    """The tiles that a network may use.

    Attributes:
        chips: that there are. a_chip: column and row of the sites of each. most: tiles in all, or None.
    """

    chips: int
    a_chip: Indices
    most: int | None

    @staticmethod
    def of(tiling: Tiling, chips: int | None, tiles: int | None) -> Supply:
        """Of so many chips or tiles; without them the largest published system, or one chip.

        Raises:
            OptionError: nobody knows how many tiles there are.
        """
        mesh = tiling.target.mesh
        if mesh.tiles is None and tiles is None:
            raise OptionError(
                f"--allow-reload needs a number of tiles, and a chip of {plain(tiling.target.name)} has no limit: "
                "give --tiles"
            )
        a_chip = chip_sites(mesh, mesh.grid(mesh.tiles or tiles or 1))
        return Supply(chips or mesh.chips or (1 if tiles is None else -(-tiles // len(a_chip))), a_chip, tiles)

    @property
    def room(self) -> int:
        """Tiles that may be used, faults aside."""
        sites = self.chips * len(self.a_chip)
        return sites if self.most is None else min(sites, self.most)

    def holds(self, tiling: Tiling) -> bool:
        """Whether each tile has a site of its own, around the fault map."""
        count = len(tiling.tiles)
        if count > self.room:
            return False
        room = Room.of(tiling, self.a_chip)
        return not tiling.faults.barred or not len(fill_chips(room, np.arange(count), self.chips).left)

    def sound(self, faults: FaultMap) -> tuple[Site, ...]:
        """The sites that a fault map does not name, at most as many as may be used."""
        every = (Site(chip, x, y) for chip in range(self.chips) for x, y in self.a_chip.tolist())
        return tuple(islice((site for site in every if site not in faults.by_site), self.most))


def reloaded(tiling: Tiling, sites: tuple[Site, ...], mode: ReloadMode, inferences: int) -> tuple[Reload, SolverFacts]:
    """How the tiles take turns on some sites, and what is proven of that."""
    pages = pages_of_layers(tiling)
    order = firing_sequence(tiling.calibrated, pages)
    firing = firing_order(pages, order, mode)
    passes = 1 if mode == "batch" else inferences
    found = replay(firing, len(sites), passes)
    samples = inferences if mode == "batch" else 1
    reload = Reload(
        mode=mode,
        sites=sites,
        order=order,
        inferences=inferences,
        writes=found.writes,
        most_writes=found.most_writes(passes),
        cells=found.cells(_cells(tiling)),
        kept_words=samples * kept_words(tiling),
        segments=found.segments / found.inferences,
        layers=rewritings(pages, found),
    )
    return reload, _proof(firing, mode, found.writes, len(sites), passes)


def rewritings(pages: dict[str, tuple[int, ...]], found: Replay) -> tuple[Rewriting, ...]:
    """What each layer adds to the writes that were followed, on average."""
    many = max(found.inferences, 1)
    return tuple(
        Rewriting(layer=layer, writes=found.layer_writes[number] / many, parts=found.layer_parts[number] / many)
        for number, layer in enumerate(pages)
    )


def pages_of_layers(tiling: Tiling) -> dict[str, tuple[int, ...]]:
    """Layer → its tiles in the order of their first blocks of the layer's matrix."""
    held: dict[str, dict[int, None]] = {matrix: {} for matrix in tiling.calibrated.network.matrices}
    tile_of = {seat.block: tile for tile, seats in enumerate(tiling.tiles) for seat in seats}
    for block in tiling.blocks:
        held[block.matrix][tile_of[block.number]] = None
    return {layer.name: tuple(held[layer.matrix]) for layer in layers(tiling.calibrated.network.steps)}


def _cells(tiling: Tiling) -> list[int]:
    """Tile → weights that its blocks have cells for, zeros between groups counted."""
    blocks = tiling.blocks
    return [
        sum((b.rows[1] - b.rows[0]) * (b.columns[1] - b.columns[0]) for b in (blocks[seat.block] for seat in seats))
        for seats in tiling.tiles
    ]


def _proof(firing: FiringOrder, mode: ReloadMode, writes: int, tiles: int, passes: int) -> SolverFacts:
    """Belady's choice is the best for a given order; where the order was chosen too, any order has a least number."""
    chosen = mode == "alternate" and any(len(pages) > 1 for pages in firing.pages)
    bound = fewest_writes(firing, tiles, passes) if chosen else writes
    return SolverFacts.of("reload", writes, bound)


def movable(tiling: Tiling) -> bool:
    """Whether each tile can be written alone: none adds its charge to another's."""
    return _together(tiling) == 1


def _together(tiling: Tiling) -> int:
    """The most tiles that add their charge before one converter."""
    tile_of = {seat.block: tile for tile, seats in enumerate(tiling.tiles) for seat in seats}
    return max((len({tile_of[b.number] for b in group}) for group in converter_groups(tiling.blocks)), default=1)


def _refuse_demands(tiling: Tiling, bench: Supply) -> None:
    if tiling.demands.any:
        raise OptionError(
            f"--allow-reload: {len(tiling.tiles):,} tiles take turns on {bench.room:,}, so none has a place of its own "
            "and nothing can be pinned, kept apart or together, forbidden, or put where a file or an old program has "
            "it: give more chips (--chips), or ask for less"
        )


def _refuse_unmovable(tiling: Tiling, sites: int) -> None:
    if sites < 1:
        raise FitError("no tile of the machine is left to be written to: the fault map names all of them")
    if not movable(tiling):
        raise FitError(
            f"{_together(tiling)} tiles of {plain(tiling.target.name)} add their charge before one converter and must "
            "hold their weights at the same time, so that they cannot be reloaded one by one. Lower "
            "crossbar.analog_rows of the machine."
        )

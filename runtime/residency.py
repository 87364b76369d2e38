"""Which page each tile holds while a reloaded program runs."""

from __future__ import annotations

from collections.abc import Iterator

from mho.targets.isa import Site
from mho.targets.program import Program
from mho.targets.reload import Reload, firing_order, pages_of
from mho.targets.replacement import Controller


class Residency:
    """The tiles of a machine whose pages take turns.

    Each call that fires a layer brings its pages in turn: where the inputs of a layer come in several calls, or several
    replicas are fired one after another, pages are written more often than the program counts.

    Attributes:
        held: tile → the core of the program that it holds.
    """

    def __init__(self, program: Program, reload: Reload) -> None:
        pages = pages_of(program.cores)
        self.held: dict[Site, Site] = {}
        self._sites = reload.sites
        self._cores = [core.site for core in program.cores]
        self._layers = {layer: number for number, layer in enumerate(pages)}
        self._controller = Controller(firing_order(pages, reload.order, reload.mode), len(reload.sites))

    @property
    def writes(self) -> int:
        """Tiles programmed so far."""
        return self._controller.writes

    def fire(self, layer: str) -> Iterator[Site]:
        """The cores of a layer, one after another, each in a tile when it is given."""
        for visit in self._controller.fire(self._layers[layer]):
            core = self._cores[visit.page]
            self.held[self._sites[visit.tile]] = core
            yield core

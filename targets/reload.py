"""`Reload`: a program of more tiles than its machine has, and how they take turns there.

Such a program is one for a larger machine whose tiles are *pages*: a page is written to one of the machine's tiles when
a layer that needs it fires, over the page that is needed last (`mho.targets.replacement`). What a page gives before it
is written over, its partial sums, is kept beside the tiles until the rest is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

from mho.targets.isa import CoreProgram, Mvm, Site
from mho.targets.replacement import FiringOrder
from mho.targets.target import Count, Index, NotNegative

STRICT = ConfigDict(extra="forbid")

ReloadMode = Literal["order", "alternate", "batch"]


@dataclass(frozen=True, kw_only=True)
class Rewriting:
    """What one layer adds, on average over the inferences that are counted.

    Attributes:
        writes: tiles programmed for it, an inference (a batch in mode batch).
        parts: runs of its pages that are in tiles together, an inference (a batch).
    """

    __pydantic_config__ = STRICT

    layer: str
    writes: NotNegative
    parts: NotNegative


@dataclass(frozen=True, kw_only=True)
class Reload:
    """How pages share tiles.

    Attributes:
        mode: "order": every inference takes the pages of a layer in the order of their blocks; "alternate": every
            other firing of a layer takes them backwards; "batch": a batch of inferences goes through a layer's pages
            before the next ones are written.
        sites: the machine's tiles that are used.
        order: the layers of one inference as they fire; one that fires in every time step comes as often.
        inferences: for which writes are counted, on empty tiles at first; those of one batch in mode batch.
        segments: runs of pages that are in tiles together, an inference (a batch in mode batch); tiles are written
            between them.
        writes: tiles programmed. most_writes: of a single tile. cells: weights programmed.
        kept_words: the most words that wait beside the tiles, of all samples that are on their way: outputs of layers
            that are still read, and the sums of a layer whose pages are not all done.
        layers: what each layer adds.
    """

    __pydantic_config__ = STRICT

    mode: ReloadMode
    sites: tuple[Site, ...]
    order: tuple[str, ...]
    inferences: Count
    writes: Index
    most_writes: Index
    cells: NotNegative
    kept_words: NotNegative
    segments: NotNegative
    layers: tuple[Rewriting, ...] = ()

    @property
    def passes(self) -> int:
        """How often the order is gone through for the inferences that are counted."""
        return 1 if self.mode == "batch" else self.inferences

    @property
    def writes_an_inference(self) -> float:
        return self.writes / self.inferences


def pages_of(cores: Sequence[CoreProgram]) -> dict[str, tuple[int, ...]]:
    """Layer → the cores that fire for it, by number in the program, in the order of their first blocks."""
    found: dict[str, dict[int, int]] = {}
    for number, core in enumerate(cores):
        for kernel in core.kernels:
            blocks = [i.block for i in kernel.body if isinstance(i, Mvm)]
            pages = found.setdefault(kernel.layer, {})
            pages[number] = min([*blocks, *([pages[number]] if number in pages else [])], default=0)
    return {layer: tuple(sorted(pages, key=lambda n: (pages[n], n))) for layer, pages in found.items()}


def firing_order(pages: Mapping[str, tuple[int, ...]], order: Sequence[str], mode: ReloadMode) -> FiringOrder:
    """Layers by their numbers in `pages`, and their pages."""
    numbers = {layer: number for number, layer in enumerate(pages)}
    return FiringOrder(
        tuple(pages.values()), tuple(numbers[layer] for layer in order), mode == "alternate", mode == "batch"
    )

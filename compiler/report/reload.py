"""What it takes that tiles take turns, and how long the machine lasts."""

from __future__ import annotations

from dataclasses import dataclass

from mho.report import quantities as q
from mho.targets.program import Program
from mho.targets.reload import Reload, ReloadMode, Rewriting, firing_order, pages_of
from mho.targets.replay import fewest_writes

_MODES: dict[ReloadMode, str] = {
    "order": "every inference in the same order",
    "alternate": "each layer forwards and backwards in turn",
    "batch": "all of them a layer at a time",
}


@dataclass(frozen=True, kw_only=True)
class ReloadLine:
    """Writes of a number of inferences, the first filling of the tiles counted.

    Attributes:
        pages: tiles that the network has. tiles, chips: that the machine has.
        writes: tiles programmed. fewest_writes: that any order of the pages needs, another one in each inference even.
        segments: of an inference (a batch in mode batch), between which tiles are written.
        most_writes: of a single tile. cells: weights programmed. kept_words: that wait beside the tiles.
        write_ns, write_nj: of the writes of one inference; None is unknown.
        layers: what each layer adds.
        endurance: how often a device can be programmed. lifetime: inferences until the tile that is written most has
            reached it; even_lifetime: if all tiles were written as often. None is unknown.
    """

    mode: ReloadMode
    pages: int
    tiles: int
    chips: int
    inferences: int
    writes: int
    fewest_writes: int
    segments: float
    most_writes: int
    cells: float
    kept_words: float
    write_ns: float | None
    write_nj: float | None
    endurance: int | None
    lifetime: float | None
    even_lifetime: float | None
    layers: tuple[Rewriting, ...] = ()

    @property
    def writes_an_inference(self) -> float:
        return self.writes / self.inferences

    def __str__(self) -> str:
        least = "none needs fewer" if self.writes == self.fewest_writes else f"any needs {self.fewest_writes:,} or more"
        return "; ".join(
            (
                f"{q.counted(self.writes, 'tile')} written in {q.counted(self.inferences, 'inference')}, "
                f"{_rate(self.writes_an_inference)} an inference: {_MODES[self.mode]}, and {least}",
                f"tiles are written between {_rate(self.segments)} segments of {self._of}",
                f"{q.short(self.cells)} weights programmed, one tile {q.counted(self.most_writes, 'time')}",
                f"up to {q.short(self.kept_words)} words wait beside the tiles",
                self._wear,
            )
        )

    @property
    def _of(self) -> str:
        return "the batch" if self.mode == "batch" else "an inference"

    @property
    def _wear(self) -> str:
        if self.endurance is None or self.lifetime is None or self.even_lifetime is None:
            return "how many writes a device endures is not published"
        return (
            f"devices endure {q.short(self.endurance)} writes: {q.short(self.lifetime)} inferences, "
            f"{q.short(self.even_lifetime)} if all tiles were written as often"
        )


def reload_line(program: Program) -> ReloadLine | None:
    """The counts; None where each tile has a place of its own."""
    reload = program.reload
    if reload is None:
        return None
    costs, endurance = program.target.costs, program.target.device.endurance
    rate = reload.writes_an_inference
    order = firing_order(pages_of(program.cores), reload.order, reload.mode)
    return ReloadLine(
        mode=reload.mode,
        pages=len(program.cores),
        tiles=len(reload.sites),
        chips=chips_of(reload),
        inferences=reload.inferences,
        writes=reload.writes,
        fewest_writes=fewest_writes(order, len(reload.sites), reload.passes),
        segments=reload.segments,
        most_writes=reload.most_writes,
        cells=reload.cells,
        kept_words=reload.kept_words,
        write_ns=_times(costs.write_latency_ns, rate),
        write_nj=_times(costs.write_energy_nj, rate),
        endurance=endurance,
        layers=reload.layers,
        lifetime=_lasts(endurance, reload.most_writes / reload.inferences),
        even_lifetime=_lasts(endurance, rate / len(reload.sites)),
    )


def chips_of(reload: Reload) -> int:
    """Chips of the machine that are used."""
    return len({site.chip for site in reload.sites})


def _rate(writes: float) -> str:
    return q.short(round(writes, 2))


def _times(each: float | None, count: float) -> float | None:
    return None if each is None else each * count


def _lasts(endurance: int | None, writes: float) -> float | None:
    return None if endurance is None or writes == 0 else endurance / writes

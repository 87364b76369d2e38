"""Why a network does not fit its machine, and what would change that: every remedy is tried before it is named."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from mho.passes.fit.what_if import WhatIf, tiles_of_matrices
from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Pack
from mho.passes.reload.reload import DEFAULT_INFERENCES, Supply, movable, reloaded
from mho.targets.errors import brief, counted
from mho.targets.steps import layers
from mho.targets.target import Regime

REGIMES: tuple[Regime, ...] = ("pipelined", "sequential")

IN_GROUPS = "--grouped block-diagonal"

LAYERS_SHOWN = 5
"""Layers in the most tiles, which are tried one by one."""

Lacking = Callable[[Tiling], int]
"""Tiles of a tiling that find no place on the machine; 0 where it fits."""


@dataclass(frozen=True)
class Knob:
    """A change of the options.

    Attributes:
        flags: what to give. told: what it leads to, or empty. lacking: tiles that still find no place.
    """

    flags: str
    told: str = ""
    lacking: int = 0

    def __str__(self) -> str:
        told = [self.told] if self.told else []
        short = [f"{self.lacking:,} too many"] if self.lacking else []
        return f"{self.flags} ({', '.join(told + short)})" if told or short else self.flags


@dataclass(frozen=True)
class Burden:
    """What a layer takes.

    Attributes:
        tiles: that it lies in. freed: tiles that are saved, the others packed anew, where it is digital.
        enough: whether all others fit then.
        part, part_freed, part_enough: the same for a little less of it, which `part` says in words.
    """

    layer: str
    tiles: int
    freed: int
    enough: bool
    part: str = ""
    part_freed: int = 0
    part_enough: bool = False

    def __str__(self) -> str:
        digital = f"{brief(self.layer)} {self.freed:,}{'*' if self.enough else ''}"
        part = f" ({self.part_freed:,}{'*' if self.part_enough else ''} {self.part})" if self.part_freed else ""
        return digital + part


@dataclass(frozen=True)
class Misfit:
    """The remedies for a network that does not fit.

    Attributes:
        knobs: options that save tiles or make room, those that are enough alone first.
        burdens: the layers in the most tiles, those that free most first.
    """

    knobs: tuple[Knob, ...]
    burdens: tuple[Burden, ...]

    def sentences(self) -> Iterator[str]:
        """What to do, what is enough alone first."""
        enough = [str(knob) for knob in self.knobs if not knob.lacking]
        helps = [str(knob) for knob in self.knobs if knob.lacking]
        if enough:
            yield f"{'This is' if len(enough) == 1 else 'Each of these is'} enough: {'; '.join(enough)}."
        if helps:
            yield f"{'This helps' if len(helps) == 1 else 'These help'}, but not enough: {'; '.join(helps)}."
        if any(burden.freed for burden in self.burdens):
            listed = ", ".join(str(burden) for burden in self.burdens if burden.freed)
            starred = any(burden.enough or burden.part_enough for burden in self.burdens)
            star = "; * is enough" if starred else ""
            yield f"Tiles saved by leaving a layer digital (--digital LAYER), or by less of it{star}: {listed}."


def misfit(
    tiling: Tiling,
    lacking: Lacking,
    room: Iterable[Knob],
    chips: int | None,
    tiles: int | None,
    spare: tuple[int, int] | None = None,
) -> Misfit:
    """Tries every remedy for a tiling that does not fit.

    Args:
        room: remedies that make the machine larger.
        chips, tiles: the machine, as `Supply` takes it.
        spare: rows and columns of each crossbar that a fault map would have left free.
    """
    trial = _Trial(WhatIf(tiling), lacking)
    knobs = [*trial.knobs(), *trial.spare(spare), *room, *_reload(tiling, chips, tiles)]
    return Misfit(tuple(sorted(knobs, key=lambda knob: knob.lacking > 0)), tuple(trial.burdens()))


@dataclass(frozen=True)
class _Trial:
    """Remedies that change the tiling."""

    what_if: WhatIf
    lacking: Lacking

    @property
    def tiles(self) -> int:
        return len(self.what_if.tiling.tiles)

    def knobs(self) -> Iterator[Knob]:
        """Those that save tiles, each alone; where none is enough, as few as are enough together, or all."""
        kinds = [list(kind) for kind in (self._packings(), self._cuts(), self._copies(), self._devices())]
        saving = [[pair for pair in kind if len(pair[1].tiles) < self.tiles] for kind in kinds]
        alone = [self._knob(flags, tiling) for kind in saving for flags, tiling in kind]
        yield from alone
        best = [min(kind, key=lambda pair: len(pair[1].tiles))[0] for kind in saving if kind]
        if all(knob.lacking for knob in alone):
            if saving[0] and not saving[1]:
                best += [flags for flags, _ in kinds[1]]  # other cuts may save tiles in another regime only
            together: list[Knob] = []
            for size in range(2, len(best) + 1):
                together = [self._knob(" ".join(some), self._together(some)) for some in combinations(best, size)]
                if not all(knob.lacking for knob in together):
                    break
            least = min((knob.lacking for knob in alone), default=0)
            yield from sorted((k for k in together if k.lacking < least), key=lambda knob: knob.lacking)[:1]

    def spare(self, lines: tuple[int, int] | None) -> Iterator[Knob]:
        """Smaller blocks, where a fault map takes lines away and more tiles find a site so."""
        if lines is not None and any(lines):
            rows, columns = lines
            tiling = self.what_if.with_spare(rows, columns).tiling
            knob = self._knob(f"--spare-rows {rows} --spare-columns {columns}", tiling)
            if knob.lacking < self.lacking(self.what_if.tiling):
                yield knob

    def burdens(self) -> list[Burden]:
        """The layers in the most tiles, those that free most first."""
        held = tiles_of_matrices(self.what_if.tiling)
        found: dict[object, Burden] = {}
        listed = []
        for matrix in list(held)[:LAYERS_SHOWN]:
            alike = self._alike(matrix), held[matrix]
            found[alike] = found.get(alike) or self._burden(matrix, held[matrix])
            listed.append(replace(found[alike], layer=self._names[matrix]))
        return sorted(listed, key=lambda burden: -burden.freed)

    @cached_property
    def _names(self) -> dict[str, str]:
        """Matrix → the first layer that uses it."""
        steps = self.what_if.tiling.calibrated.network.steps
        return {layer.matrix: layer.name for layer in reversed(layers(steps))}

    def _alike(self, name: str) -> tuple[int | None, ...]:
        """What matrices have in common whose loss saves as much."""
        tiling = self.what_if.tiling
        matrix = tiling.calibrated.network.matrices[name]
        return matrix.rows, matrix.columns, matrix.groups, tiling.replicas[name], tiling.devices.get(name)

    def _packings(self) -> Iterator[tuple[str, Tiling]]:
        """In other regimes, with grouped convolutions as blocks of whole groups where that takes fewer tiles there."""
        parted = self.what_if.in_groups()
        for mode in self.what_if.tiling.target.crossbar.packing or REGIMES:
            if mode != self.what_if.mode:
                ways = [(f"--pack {mode}", self.what_if.packed(mode))]
                ways += [(f"--pack {mode} {IN_GROUPS}", parted.packed(mode))] if parted is not None else []
                yield min(ways, key=lambda way: len(way[1].tiles))

    def _cuts(self) -> Iterator[tuple[str, Tiling]]:
        """Matrices cut wherever that takes fewer tiles."""
        if self.what_if.mode != "none":
            yield "--cuts free", self.what_if.packed(self.what_if.mode, "free")

    def _copies(self) -> Iterator[tuple[str, Tiling]]:
        """The most copies of each matrix that fit, fewer than there are; else one."""
        most = max(self.what_if.tiling.replicas.values(), default=1)
        if most == 1:
            return
        fewer = range(most - 1, 0, -1)
        first = bisect_left(fewer, True, key=lambda copies: not self.lacking(self.what_if.with_copies(copies).tiling))
        copies = fewer[min(first, len(fewer) - 1)]
        yield f"--replicate {copies}", self.what_if.with_copies(copies).tiling

    def _devices(self) -> Iterator[tuple[str, Tiling]]:
        tiling = self.what_if.tiling
        crossbar = tiling.target.crossbar
        most = max([*tiling.devices.values(), crossbar.devices_per_weight or 0])
        for devices in crossbar.devices_allowed:
            if devices < most:
                yield f"--devices {devices}", self.what_if.with_devices(devices).tiling

    def _together(self, flags: Iterable[str]) -> Tiling:
        found, mode, cuts = self.what_if, self.what_if.mode, Pack.cuts
        words = " ".join(flags).split()
        for name, value in zip(words[::2], words[1::2], strict=True):
            match name:
                case "--replicate":
                    found = found.with_copies(int(value))
                case "--devices":
                    found = found.with_devices(int(value))
                case "--cuts":
                    cuts = "free"
                case "--grouped":
                    found = found.in_groups() or found
                case _:
                    mode = "sequential" if value == "sequential" else "pipelined"
        return found.packed(mode, cuts)

    def _knob(self, flags: str, tiling: Tiling) -> Knob:
        return Knob(flags, counted(len(tiling.tiles), "tile"), self.lacking(tiling))

    def _burden(self, matrix: str, tiles: int) -> Burden:
        name, without = self._names[matrix], self.what_if.without(matrix)
        freed, enough = self.tiles - len(without.tiles), self.lacking(without) == 0
        smaller = self.what_if.smaller(matrix)
        if smaller is None:
            return Burden(name, tiles, freed, enough)
        less = self.what_if.without(matrix, smaller[0])
        saved = max(0, self.tiles - len(less.tiles))
        return Burden(name, tiles, freed, enough, smaller[1], saved, self.lacking(less) == 0)


def _reload(tiling: Tiling, chips: int | None, tiles: int | None) -> Iterator[Knob]:
    """Taking turns on the machine as it is, where its tiles can."""
    if tiling.target.mesh.tiles is None and tiles is None:
        return
    sites = Supply.of(tiling, chips, tiles).sound(tiling.faults)
    if movable(tiling) and sites:
        reload, _ = reloaded(tiling, sites, "alternate", DEFAULT_INFERENCES)
        rate = f"{counted(len(tiling.tiles), 'tile')} in turn on {len(sites):,}"
        yield Knob("--allow-reload", f"{rate}, {reload.writes_an_inference:,.2f} rewritten an inference")

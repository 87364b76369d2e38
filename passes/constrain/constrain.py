"""`Constrain`: what the user asks of where layers stand, read and checked against the network and the machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mho.passes.constrain.contradictions import contradictions
from mho.passes.constrain.words import Vocabulary, WordError, place
from mho.passes.levels.demands import Demands, Part, Pin
from mho.passes.levels.tiling import Tiling
from mho.passes.tile.named import matrices_by_name
from mho.targets.errors import OptionError, plain
from mho.targets.fault_file import outside_mesh, parse_site
from mho.targets.isa import Site

FARTHEST = 31
"""Columns and rows of a core that a chip of no size of its own may be asked for, whatever its tiles."""


@dataclass(frozen=True)
class Constrain:
    """Demands on where layers stand: each is honoured, or refused with a sentence.

    A word for blocks is the name of a layer, matrix or ONNX node, with `#2` behind it for one replica only, with
    `[0:256,64:128]` for the blocks within these rows and columns. A core is `CHIP:X,Y`.

    Attributes:
        pin: blocks → the chip, or the cores, on which all their tiles stand, each tile on one of the cores.
        apart: groups of blocks; no two of a group share a chip.
        together: groups of blocks; all of a group are on one chip.
        forbid: cores that stay empty.
    """

    pin: Mapping[str, int | str | tuple[int | str, ...]] = field(default_factory=dict)
    apart: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    forbid: tuple[str, ...] = ()

    def run(self, tiling: Tiling) -> Tiling:
        """The tiling with its demands.

        Raises:
            OptionError: a word that means nothing, a core that does not exist or is dead or forbidden, demands that
                contradict each other; all of them at once.
        """
        if not (self.pin or self.apart or self.together or self.forbid):
            return tiling
        reader = _Reader(tiling)
        demands = Demands(
            pins=tuple(reader.pins(self.pin)),
            apart=tuple(reader.groups("apart", self.apart)),
            together=tuple(reader.groups("together", self.together)),
            forbidden=frozenset(reader.forbidden(self.forbid)),
        )
        problems = reader.problems or [*_replicas(tiling, demands), *_cores(tiling, demands)]
        problems = problems or list(contradictions(tiling, demands))
        if problems:
            raise OptionError(problems)
        return replace(tiling, demands=demands)


@dataclass
class _Reader:
    """Reads the words of all demands and collects what is wrong with them."""

    tiling: Tiling
    problems: list[str] = field(default_factory=list)
    vocabulary: Vocabulary = field(init=False)

    def __post_init__(self) -> None:
        network = self.tiling.calibrated.network
        shapes = {m.name: (m.rows, m.columns) for m in network.matrices.values()}
        self.vocabulary = Vocabulary(matrices_by_name(network), shapes)

    def pins(self, pins: Mapping[str, int | str | tuple[int | str, ...]]) -> Iterator[Pin]:
        for word, where in pins.items():
            part = self._part("pin", word)
            try:
                chip, cores = place(where if isinstance(where, tuple) else (where,))
            except WordError as error:
                self.problems.append(f"constrain.pin (--pin) of {plain(word)} {error}")
                continue
            if part is not None:
                yield Pin(part, chip, cores)

    def groups(self, kind: str, groups: Iterable[tuple[str, ...]]) -> Iterator[tuple[Part, ...]]:
        for words in groups:
            if len(set(words)) < 2:
                self.problems.append(
                    f"constrain.{kind} (--{kind}) = {plain(','.join(words))}: must name at least two different layers"
                )
            parts = [self._part(kind, word) for word in words]
            yield tuple(part for part in parts if part is not None)

    def forbidden(self, words: Iterable[str]) -> Iterator[Site]:
        for word in words:
            site = parse_site(word)
            if site is None:
                self.problems.append(
                    f"constrain.forbid (--forbid) = {plain(word)}: must be a core such as 0:3,4 (chip, column, row)"
                )
            else:
                yield site

    def _part(self, kind: str, word: str) -> Part | None:
        try:
            return self.vocabulary.part(word)
        except WordError as error:
            self.problems.append(f"constrain.{kind} (--{kind}) {error}")
            return None


def _replicas(tiling: Tiling, demands: Demands) -> Iterator[str]:
    """Parts that hold no block, or cut one."""
    groups = [(pin.part,) for pin in demands.pins] + [*demands.apart, *demands.together]
    for part in dict.fromkeys(part for group in groups for part in group):
        copies = max(tiling.replicas[matrix] for matrix in part.matrices)
        if part.replica is not None and part.replica >= copies:
            count = "is 1 copy" if copies == 1 else f"are {copies} copies"
            yield f"constrain: {plain(part.name)} is replica {part.replica}, and there {count}, numbered from 0"
            continue
        cut = next((block for block in tiling.blocks if part.cuts(block)), None)
        if cut is not None:
            yield (
                f"constrain: {plain(part.name)} cuts the block of rows {cut.rows[0]}:{cut.rows[1]} and columns "
                f"{cut.columns[0]}:{cut.columns[1]}, which stands in one tile; name whole blocks"
            )


def _cores(tiling: Tiling, demands: Demands) -> Iterator[str]:
    """Cores that are none of the machine's, or dead, or both pinned to and forbidden."""
    for core in sorted(demands.forbidden):
        problem = _outside(core, tiling)
        if problem:
            yield f"constrain.forbid (--forbid) = {core}: {problem}"
    for pin in demands.pins:
        for core in pin.cores:
            label = f"constrain.pin (--pin) of {plain(pin.part.name)} = {core}"
            faults, problem = tiling.faults.by_site.get(core), _outside(core, tiling)
            if problem:
                yield f"{label}: {problem}"
            elif core in demands.forbidden:
                yield f"{label}: the core is forbidden (constrain.forbid, --forbid)"
            elif faults is not None and faults.dead:
                yield f"{label}: the core is dead in the fault map"


def _outside(core: Site, tiling: Tiling) -> str | None:
    """Why the machine has no such core; a chip of no size of its own takes shape around its tiles."""
    mesh = tiling.target.mesh
    problem = outside_mesh(core, mesh)
    if problem or mesh.tiles is not None:
        return problem
    most = max(FARTHEST, max(mesh.grid(len(tiling.blocks))))
    if max(core.x if mesh.width is None else 0, core.y if mesh.height is None else 0) > most:
        return f"column and row must be at most {most}, as a chip of {plain(tiling.target.name)} has no size of its own"
    return None

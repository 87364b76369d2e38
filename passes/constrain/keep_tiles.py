"""`KeepTiles`: a network for a machine that holds another program, so that as little as can be is written anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from hashlib import sha256

from mho.passes.constrain.seats import Seated, seat
from mho.passes.levels.demands import Part, block_key
from mho.passes.levels.matrix import Matrix, evaluate
from mho.passes.levels.positions import Position
from mho.passes.levels.tiling import Tiling
from mho.passes.pack.pack import Mode
from mho.passes.tile.blocks import blocks_by_matrix, converter_groups, scale_rows
from mho.runtime.reprogram import conductances
from mho.targets.errors import OptionError, plain
from mho.targets.isa import Load, Site, Span
from mho.targets.mapped_tensors import StoredTensor, described
from mho.targets.program import Array, MatrixFacts, Program
from mho.targets.program_file import tensor_table
from mho.targets.target import UNLIMITED, Target

Pairs = dict[str, str]
"""Matrix of the network → matrix of the old program that it goes by."""

MACHINE = ("name", "crossbar", "mesh", "device")
"""What two machines have in common on which the same tiles hold the same weights."""


@dataclass(frozen=True)
class KeepTiles:
    """Puts blocks where an old program has them.

    A matrix goes by the old one with the same numbers, whatever its name; where there is none, by that of its name
    and size, whose cells are then written anew where they differ. A block of any other matrix goes by an old block
    that is the same. Blocks that cannot stay are placed freely and told; where that is most of a copy, all of it is cut
    anew and placed freely.
    """

    old: Program

    def run(self, tiling: Tiling, mode: Mode) -> Tiling:
        """The tiling with spots for all blocks that stay where they are, and why others cannot."""
        copies: dict[str, list[tuple[Site, Load]]] = {matrix.name: [] for matrix in self.old.matrices}
        for core in self.old.cores:
            for load in core.loads:
                copies[load.matrix].append((core.site, load))
        pairs = self._pairs(tiling)
        positions = [
            _position(name, load.replica, load.rows, load.columns, site, load)
            for name, matrix in pairs.items()
            for site, load in copies[matrix]
            if load.replica < tiling.replicas[name] and load.devices == tiling.devices.get(name)
        ]
        left = [stand for name, stands in copies.items() if name not in pairs.values() for stand in stands]
        positions += self._single_blocks(tiling, pairs, left)
        seated = seat(tiling, tuple(positions), mode)
        scattered, taken = _scattered(tiling, positions, seated), dict(_taken(positions, seated))
        if scattered or taken:
            staying = (p for p in positions if p not in taken and (p.matrix, p.replica) not in scattered)
            seated = replace(seat(tiling, tuple(staying), mode), problems=(*seated.problems, *taken.items()))
        remade = (
            f"{plain(name)}: its weights are made of another number of devices"
            for name, matrix in pairs.items()
            if any(load.devices != tiling.devices.get(name) for _, load in copies[matrix])
        )
        moved = (
            *remade,
            *self._resized(seated.tiling, pairs),
            *(f"{plain(str(position))}: {why}" for position, why in seated.problems),
        )
        return replace(seated.tiling, demands=replace(seated.tiling.demands, moved=moved))

    def _resized(self, tiling: Tiling, pairs: Pairs) -> Iterator[str]:
        """Matrices of the old program's names and of other sizes, of which no block stays."""
        old = {m.name: m for m in self.old.matrices}
        staying = {matrix for matrix, *_ in tiling.demands.spots}
        for name, matrix in tiling.calibrated.network.matrices.items():
            if name in old and name not in pairs and name not in staying and not _same_shape(matrix, old[name]):
                sizes = f"it is {_size(matrix)} and was {_size(old[name])}"
                yield f"{plain(name)}: {sizes}, and none of its blocks is the same"

    def _pairs(self, tiling: Tiling) -> Pairs:
        """The old matrix of each new one that has one; each old matrix is taken once."""
        old, table = {m.name: m for m in self.old.matrices}, tensor_table(self.old.tensors)
        alike: dict[StoredTensor, list[str]] = {}
        for name in old:
            alike.setdefault(table[f"matrix/{name}"], []).append(name)
        matrices = tiling.calibrated.network.matrices
        new = {name: described(name, _stored(tiling, matrix)) for name, matrix in matrices.items()}
        pairs = {name: name for name, stored in new.items() if name in alike.get(stored, ())}
        for name, stored in new.items():
            left = [other for other in alike.get(stored, ()) if other not in pairs.values()]
            if name not in pairs and left:
                pairs[name] = left[0]
        for name, matrix in matrices.items():
            if name not in pairs and name in old and name not in pairs.values() and _same_shape(matrix, old[name]):
                pairs[name] = name
        return pairs

    def _single_blocks(self, tiling: Tiling, pairs: Pairs, left: list[tuple[Site, Load]]) -> Iterator[Position]:
        """Old seats of blocks that are the same, in matrices that are not."""
        free: dict[str, list[tuple[Site, Load]]] = {}
        for site, load in left:
            free.setdefault(self._digest(self.old.tensors[f"matrix/{load.matrix}"], load), []).append((site, load))
        for name, blocks in blocks_by_matrix(tiling.blocks).items() if free else ():
            if name in pairs:
                continue
            stored = _stored(tiling, tiling.calibrated.network.matrices[name])
            for group in converter_groups(blocks):
                for block in group:
                    rows, columns, devices = block.rows, block.columns, tiling.devices.get(name)
                    digest = self._digest_of(stored, rows, columns, scale_rows(group), devices)
                    if free.get(digest):
                        site, load = free[digest].pop(0)
                        yield _position(name, block.replica, rows, columns, site, load)

    def _digest(self, stored: Array, load: Load) -> str:
        return self._digest_of(stored, load.rows, load.columns, load.scale_rows, load.devices)

    def _digest_of(self, stored: Array, rows: Span, columns: Span, scaled: Span, devices: int | None) -> str:
        parts = conductances(stored, rows, columns, scaled, self.old.target.crossbar.weight_scale)
        return sha256(repr((parts.shape, devices)).encode() + parts.tobytes()).hexdigest()


def _scattered(tiling: Tiling, positions: Iterable[Position], seated: Seated) -> set[tuple[str, int]]:
    """Copies in other blocks than they would be cut into, most cells of which cannot stay: better cut anew."""
    own = {block_key(block) for block in tiling.blocks}
    cells: Counter[tuple[str, int]] = Counter()
    recut = set()
    for p in positions:
        copy = p.matrix, p.replica
        cells[copy] += p.height * p.width * (1 if p.block in seated.tiling.demands.spots else -1)
        if p.block not in own:
            recut.add(copy)
    return {copy for copy in recut if cells[copy] < 0}


def _taken(positions: Iterable[Position], seated: Seated) -> Iterator[tuple[Position, str]]:
    """Blocks on cores to which only other blocks are pinned: who asks for a core comes before who was there."""
    blocks = {block_key(block): block for block in seated.tiling.blocks}
    pinned: dict[Site, list[Part]] = {}
    for pin in seated.tiling.demands.pins:
        for core in pin.cores:
            pinned.setdefault(core, []).append(pin.part)
    for p in positions if pinned else ():
        parts = pinned.get(p.core, []) if p.block in seated.tiling.demands.spots else []
        if parts and not any(part.holds(blocks[p.block]) for part in parts):
            yield p, f"{', '.join(plain(part.name) for part in parts)} is pinned to its core (constrain.pin, --pin)"


def _position(name: str, replica: int, rows: Span, columns: Span, site: Site, load: Load) -> Position:
    return Position(name, replica, rows, columns, site, load.row_offset, load.column_offset, load.scale_rows)


def _stored(tiling: Tiling, matrix: Matrix) -> Array:
    return evaluate(matrix.recipe, tiling.calibrated.network.tensors[matrix.recipe.tensor])


def _size(matrix: Matrix | MatrixFacts) -> str:
    groups = f" in {matrix.groups} groups" if matrix.groups > 1 else ""
    return f"{matrix.rows} × {matrix.columns}{groups}"


def _same_shape(matrix: Matrix, old: MatrixFacts) -> bool:
    return (matrix.rows, matrix.columns, matrix.groups) == (old.rows, old.columns, old.groups)


def require_same_machine(old: Target, machine: Target) -> None:
    """Refuses a program whose tiles are not those of a machine.

    Raises:
        OptionError: it is for another machine.
    """
    crossbar = machine.crossbar
    sides = {side: getattr(old.crossbar, side) for side in ("rows", "columns") if getattr(crossbar, side) == UNLIMITED}
    same = replace(machine, crossbar=replace(crossbar, **sides))
    differing = [f.name for f in fields(Target) if f.name in MACHINE and getattr(old, f.name) != getattr(same, f.name)]
    if differing:
        raise OptionError(
            f"like (--like): the program is for {plain(old.name)}, and this compile for {plain(machine.name)}; "
            f"{_and(differing)} {'differs' if len(differing) == 1 else 'differ'}, so no tile can stay: "
            "compile for the same machine, or without --like"
        )


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last

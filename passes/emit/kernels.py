"""Kernels: what each core does when a layer fires.

Every kernel goes through the same phases in the same order, so no two cores can wait for each other: multiply,
send charge, collect charge and convert, send partial sums, collect partial sums, finish and store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from mho.passes.levels.plan import Plan
from mho.passes.levels.tiling import Block, Seat, Tiling
from mho.passes.tile.blocks import converter_groups, scale_rows
from mho.targets.isa import (
    Accumulate,
    Activate,
    Add,
    Affine,
    Convert,
    CoreProgram,
    Instruction,
    Kernel,
    Load,
    Mvm,
    Receive,
    Send,
    Site,
    Span,
    Store,
)
from mho.targets.steps import Analog, layers, walk


def emit_cores(plan: Plan) -> tuple[CoreProgram, ...]:
    """The program of every core that holds a block, ordered by site."""
    placement = plan.routing.placement
    tiling = placement.partition.ranged.tiling
    by_copy = _blocks_by_copy(tiling)
    scaled_over = {b.number: scale_rows(g) for groups in by_copy.values() for g in groups for b in g}
    kernels: dict[Site, list[Kernel]] = {site: [] for site in placement.site_of}
    for site, kernel in _kernels(plan, by_copy):
        kernels[site].append(kernel)
    return tuple(
        CoreProgram(
            site=site,
            loads=tuple(_load(tiling, seat, scaled_over) for seat in tiling.tiles[tile]),
            kernels=tuple(kernels[site]),
        )
        for tile, site in sorted(enumerate(placement.site_of), key=lambda item: item[1])
    )


Copy = tuple[str, int]
Group = tuple[Block, ...]


def _blocks_by_copy(tiling: Tiling) -> dict[Copy, list[Group]]:
    """Matrix and replica → its blocks by converter, those with the same columns together."""
    copies: dict[Copy, list[Group]] = {}
    for group in sorted(converter_groups(tiling.blocks), key=lambda g: (g[0].columns, g[0].converter)):
        copies.setdefault((group[0].matrix, group[0].replica), []).append(group)
    return copies


def _load(tiling: Tiling, seat: Seat, scaled_over: Mapping[int, Span]) -> Load:
    block = tiling.blocks[seat.block]
    return Load(
        block=block.number,
        matrix=block.matrix,
        replica=block.replica,
        rows=block.rows,
        columns=block.columns,
        scale_rows=scaled_over[block.number],
        row_offset=seat.row_offset,
        column_offset=seat.column_offset,
        devices=tiling.devices.get(block.matrix),
    )


def _kernels(plan: Plan, by_copy: Mapping[Copy, list[Group]]) -> Iterator[tuple[Site, Kernel]]:
    """Every kernel with its core, layer by layer."""
    placement = plan.routing.placement
    ranged = placement.partition.ranged
    tiling = ranged.tiling
    network = tiling.calibrated.network
    site_of = {seat.block: placement.site_of[t] for t, tile in enumerate(tiling.tiles) for seat in tile}
    epilogues = {s.name: _epilogue(s) for s in walk(network.steps) if isinstance(s, Analog)}
    for layer in layers(network.steps):
        for replica in range(tiling.replicas[layer.matrix]):
            groups = by_copy[layer.matrix, replica]
            firing = _Firing(
                input_range=tiling.calibrated.layers[layer.name].input_range,
                adc_ranges={b.number: ranged.adc_ranges[layer.name, b.number] for g in groups for b in g},
                site_of=site_of,
                epilogue=epilogues.get(layer.name, ()),
            )
            firing.emit(groups)
            for site, body in firing.bodies.items():
                yield site, Kernel(layer=layer.name, replica=replica, buffers=firing.buffers[site], body=tuple(body))


def _epilogue(step: Analog) -> tuple[type[Affine] | type[Activate], ...]:
    if step.unfolding.overlaps:
        return ()
    affine = step.scale is not None or step.bias is not None
    activate = step.addend is not None or step.activation is not None
    return (*((Affine,) if affine else ()), *((Activate,) if activate else ()))


@dataclass
class _Firing:
    """Collects the kernels of one layer and replica, core by core.

    Attributes:
        adc_ranges: block → full scale of its converter.
        site_of: block → core.
        bodies, buffers: what is emitted, by core.
    """

    input_range: float
    adc_ranges: Mapping[int, float]
    site_of: Mapping[int, Site]
    epilogue: tuple[type[Affine] | type[Activate], ...]
    bodies: dict[Site, list[Instruction]] = field(default_factory=dict)
    buffers: dict[Site, dict[str, int]] = field(default_factory=dict)

    def emit(self, groups: list[Group]) -> None:
        """The phases over all converter groups of the copy; groups with the same columns are partial sums."""
        for group in groups:
            for block in group:
                self._multiply(block)
        for group in groups:
            self._gather(group[0], group[1:])
        for group in groups:
            self._put(group[0], Convert(buffer=_sums(group[0]), adc_range=self.adc_ranges[group[0].number]))
        columns = [list(g) for _, g in groupby(groups, lambda g: g[0].columns)]
        for parts in columns:
            self._gather(parts[0][0], [group[0] for group in parts[1:]])
        for parts in columns:
            self._finish(parts[0][0])

    def _put(self, block: Block, instruction: Instruction) -> None:
        self.bodies.setdefault(self.site_of[block.number], []).append(instruction)

    def _multiply(self, block: Block) -> None:
        source = f"x{block.rows[0]}_{block.rows[1]}"
        buffers = self.buffers.setdefault(self.site_of[block.number], {})
        if source not in buffers:
            self._put(block, Receive(buffer=source, rows=block.rows))
        buffers[source] = block.rows[1] - block.rows[0]
        buffers[_sums(block)] = block.columns[1] - block.columns[0]
        self._put(block, Mvm(block=block.number, source=source, destination=_sums(block), input_range=self.input_range))

    def _gather(self, head: Block, others: Sequence[Block]) -> None:
        """Adds the others' buffers to the head's: within a core at once, else as messages."""
        home = self.site_of[head.number]
        away = [b for b in others if self.site_of[b.number] != home]
        for block in others:
            if self.site_of[block.number] == home:
                self._put(head, Add(buffer=_sums(head), source=_sums(block)))
        for block in away:
            self._put(block, Send(buffer=_sums(block), to=(home,), channel=block.number))
        for block in away:
            source = self.site_of[block.number]
            self._put(head, Accumulate(buffer=_sums(head), source=source, channel=block.number))

    def _finish(self, head: Block) -> None:
        for instruction in self.epilogue:
            self._put(head, instruction(buffer=_sums(head), columns=head.columns))
        self._put(head, Store(buffer=_sums(head), columns=head.columns))


def _sums(block: Block) -> str:
    return f"a{block.number}"

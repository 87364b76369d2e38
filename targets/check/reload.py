"""Checks of how pages take turns: every page in a tile of its own when it fires, and the writes as they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mho.targets.isa import Accumulate, Convert, CoreProgram, Mvm, Send
from mho.targets.program import Program
from mho.targets.reload import Reload, firing_order, pages_of
from mho.targets.replay import replay
from mho.targets.steps import layers
from mho.targets.target import Mesh

MOST_VISITS = 4_000_000
"""Of pages, in one inference."""


def check_reload(program: Program) -> Iterator[str]:
    """What is wrong, a sentence each; nothing for a program whose cores have places of their own."""
    reload = program.reload
    if reload is None:
        return
    wrong = [*_sites(reload, program.target.mesh), *_order(program, reload), *_movable(program.cores)]
    yield from (f"reload: {problem}" for problem in wrong or _writes(program, reload))


def _sites(reload: Reload, mesh: Mesh) -> Iterator[str]:
    width, height = mesh.width, mesh.height
    for site, count in Counter(reload.sites).items():
        if count > 1:
            yield f"tile {site} is there {count} times"
        if (width is not None and site.x >= width) or (height is not None and site.y >= height):
            yield f"tile {site} lies outside a chip of {width} × {height}"
    for chip, tiles in Counter(site.chip for site in reload.sites).items():
        if mesh.tiles is not None and tiles > mesh.tiles:
            yield f"chip {chip} holds {tiles} tiles, above its limit of {mesh.tiles}"
    if not reload.sites:
        yield "there is no tile"


def _order(program: Program, reload: Reload) -> Iterator[str]:
    """The order names the layers of the sequence, each for the first time after those before it."""
    fires = {layer: len(pages) for layer, pages in pages_of(program.cores).items()}
    visits = sum(fires.get(layer, 1) for layer in reload.order)
    if visits > MOST_VISITS:
        yield f"{visits:,} tiles fire in an inference, and at most {MOST_VISITS:,} are followed"
        return
    expected = [layer.name for layer in layers(program.sequence) if layer.name in fires]
    named = list(dict.fromkeys(reload.order))
    yield from (f"the order names the unknown layer {name}" for name in named if name not in expected)
    yield from (f"the order leaves layer {name} out" for name in expected if name not in named)
    if sorted(named) == sorted(expected) and named != expected:
        yield f"the layers first fire in the order {', '.join(named)}, which is not that of the steps"


def _movable(cores: tuple[CoreProgram, ...]) -> Iterator[str]:
    """A kernel is done with its tile before it waits for another core, and gives no charge away."""
    for core in cores:
        for kernel in core.kernels:
            waited = converted = False
            for instruction in kernel.body:
                if isinstance(instruction, Mvm) and waited:
                    yield f"core {core.site} needs its tile for layer {kernel.layer} after it has waited for another"
                if isinstance(instruction, Send) and not converted:
                    yield f"core {core.site} gives charge of layer {kernel.layer} to another core"
                waited |= isinstance(instruction, Accumulate)
                converted |= isinstance(instruction, Convert)


def _writes(program: Program, reload: Reload) -> Iterator[str]:
    """The writes counted again, page by page."""
    pages = pages_of(program.cores)
    order = firing_order(pages, reload.order, reload.mode)
    found = replay(order, len(reload.sites), reload.passes)
    sizes = [
        sum((load.rows[1] - load.rows[0]) * (load.columns[1] - load.columns[0]) for load in core.loads)
        for core in program.cores
    ]
    counted = {
        "writes": (reload.writes, found.writes),
        "most writes of a tile": (reload.most_writes, found.most_writes(reload.passes)),
        "cells written": (reload.cells, found.cells(sizes)),
        "segments": (reload.segments, found.segments / found.inferences),
    }
    for what, (told, made) in counted.items():
        if told != made:
            yield f"{what} in {reload.inferences} inferences are {told:,}, and the order makes {made:,}"
    for part in reload.layers:
        if part.layer not in pages:
            yield f"writes are told of the unknown layer {part.layer}"

"""Linking: the kernels of all cores gathered into a few large products a layer.

The linker follows each kernel's buffers by name, without values: which blocks add their charge before which
converter. Converters whose blocks have the same rows become one product with their columns side by side.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mho.runtime.converters import Spread
from mho.runtime.crossbar import ProgrammedBlock
from mho.targets.errors import ProgramError, plain
from mho.targets.isa import (
    Accumulate,
    Add,
    Convert,
    CoreProgram,
    Finishing,
    Kernel,
    Mvm,
    Receive,
    Send,
    Site,
    Span,
    Store,
    kernels_of,
)


@dataclass(frozen=True)
class Conversion:
    """One ADC at work: the blocks whose charge it converts, in order of their rows, and its full scale."""

    blocks: tuple[int, ...]
    input_range: float
    adc_range: float


@dataclass(frozen=True)
class Part:
    """A block inside a product: its rows and columns there."""

    block: ProgrammedBlock
    rows: slice
    columns: slice


@dataclass(frozen=True)
class Product:
    """Rows times weights, then one conversion a column.

    Attributes:
        rows: of the layer's unfolded input.
        weights: [rows, columns] normalised; float64 where they are whole numbers that nothing rounds.
        columns: of the layer's output, one for each column of `weights`.
        unit: [columns] network units of an analog sum of 1.
        adc_range: [columns] full scale of each column's converter.
        noise_blocks: (number of the first block, first column, last column + 1) of each conversion.
        parts: the blocks, where their products are more than rows times weights; their weights are views.
        adc: deviations of the columns' converters, or None.
    """

    rows: Span
    input_range: float
    weights: NDArray[np.float32] | NDArray[np.float64]
    columns: slice | NDArray[np.intp]
    unit: NDArray[np.float32]
    adc_range: NDArray[np.float32]
    noise_blocks: tuple[tuple[int, int, int], ...]
    parts: tuple[Part, ...] = ()
    adc: Spread | None = None


@dataclass(frozen=True)
class LinkedLayer:
    """All products of a layer: one tuple a replica."""

    replicas: tuple[tuple[Product, ...], ...]

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        """Number format of its sums."""
        return self.replicas[0][0].weights.dtype


def link_layer(cores: tuple[CoreProgram, ...], layer: str, blocks: dict[int, ProgrammedBlock]) -> LinkedLayer:
    """The products of a layer.

    Args:
        blocks: programmed blocks by number.

    Raises:
        ProgramError: no core fires for the layer, or kernels wait for messages that nobody sends or convert buffers
            that hold no charge.
    """
    kernels = list(kernels_of(cores, layer))
    if not kernels:
        raise ProgramError(f"no core has a kernel for layer {plain(layer)}")
    count = 1 + max(k.replica for _, k in kernels)
    chosen = [[(c.site, k) for c, k in kernels if k.replica == replica] for replica in range(count)]
    return LinkedLayer(tuple(_products(list(conversions(k, layer)), blocks) for k in chosen))


def conversions(kernels: list[tuple[Site, Kernel]], layer: str) -> Iterator[Conversion]:
    """Every conversion of one replica of a layer, found by following the charge from core to core."""
    messages: dict[tuple[Site, Site, int], frozenset[Mvm]] = {}
    waiting = [(site, kernel, 0, dict[str, frozenset[Mvm]]()) for site, kernel in kernels]
    while waiting:
        stuck = []
        for site, kernel, start, charge in waiting:
            position = yield from _follow(site, kernel, start, charge, messages)
            if position < len(kernel.body):
                stuck.append((site, kernel, position, charge))
        if [s[2] for s in stuck] == [w[2] for w in waiting]:
            names = ", ".join(str(s[0]) for s in stuck)
            raise ProgramError(f"layer {plain(layer)}: cores {names} wait for messages that nobody sends")
        waiting = stuck


def _follow(
    site: Site,
    kernel: Kernel,
    start: int,
    charge: dict[str, frozenset[Mvm]],
    messages: dict[tuple[Site, Site, int], frozenset[Mvm]],
) -> Generator[Conversion, None, int]:
    """Runs a kernel on names from instruction `start`; returns where it stopped."""
    for position in range(start, len(kernel.body)):
        match kernel.body[position]:
            case Mvm() as mvm:
                charge[mvm.destination] = frozenset({mvm})
            case Convert() as convert:
                if not charge.get(convert.buffer):
                    where = f"layer {plain(kernel.layer)}: core {site}"
                    raise ProgramError(f"{where} converts buffer {plain(convert.buffer)}, which holds no charge")
                yield _conversion(charge[convert.buffer], convert)
                charge[convert.buffer] = frozenset()
            case Send() as send:
                held = charge.get(send.buffer, frozenset())
                messages |= {(site, to, send.channel): held for to in send.to}
            case Accumulate() as wait:
                message = messages.pop((wait.source, site, wait.channel), None)
                if message is None:
                    return position
                charge[wait.buffer] = charge.get(wait.buffer, frozenset()) | message
            case Add() as add:
                charge[add.buffer] = charge.get(add.buffer, frozenset()) | charge.get(add.source, frozenset())
            case Receive() | Store():
                pass
            case finishing:
                _moves_no_charge(finishing)
    return len(kernel.body)


def _moves_no_charge(instruction: Finishing) -> None:
    """Says to the type checker what is left; a new instruction of another kind fails here."""


def _conversion(charge: frozenset[Mvm], convert: Convert) -> Conversion:
    ordered = sorted(charge, key=lambda mvm: mvm.block)
    return Conversion(tuple(m.block for m in ordered), ordered[0].input_range, convert.adc_range)


def _products(found: list[Conversion], blocks: dict[int, ProgrammedBlock]) -> tuple[Product, ...]:
    by_rows: dict[tuple[tuple[Span, ...], float], list[Conversion]] = {}
    for conversion in sorted(found, key=lambda c: c.blocks):
        spans = tuple(blocks[b].load.rows for b in conversion.blocks)
        by_rows.setdefault((spans, conversion.input_range), []).append(conversion)
    return tuple(_product(group, blocks) for group in by_rows.values())


def _product(group: list[Conversion], blocks: dict[int, ProgrammedBlock]) -> Product:
    first = [blocks[c.blocks[0]] for c in group]
    widths = [len(block.scale) for block in first]
    edges = np.concatenate([[0], np.cumsum(widths)])
    stacks = [np.concatenate([blocks[b].weights for b in c.blocks]) for c in group]
    rows = [blocks[b].load.rows for b in group[0].blocks]
    weights = np.concatenate(stacks, axis=1) if len(stacks) > 1 else stacks[0]
    return Product(
        rows=(rows[0][0], rows[-1][1]),
        input_range=group[0].input_range,
        weights=weights,
        columns=_columns([block.load.columns for block in first]),
        unit=np.concatenate([block.scale for block in first]) * np.float32(group[0].input_range),
        adc_range=np.repeat(np.array([c.adc_range for c in group], np.float32), widths),
        noise_blocks=tuple((c.blocks[0], int(edges[i]), int(edges[i + 1])) for i, c in enumerate(group)),
        parts=tuple(_parts([[blocks[b] for b in c.blocks] for c in group], weights)),
        adc=_spread([block.adc for block in first]),
    )


def _parts(group: list[list[ProgrammedBlock]], weights: NDArray[np.float32]) -> Iterator[Part]:
    """The blocks of each conversion; none where all are plain."""
    if all(block.disturbance is None for stack in group for block in stack):
        return
    left = 0
    for stack in group:
        columns, top = slice(left, left + len(stack[0].scale)), 0
        for block in stack:
            rows = slice(top, top + len(block.weights))
            yield Part(replace(block, weights=weights[rows, columns]), rows, columns)
            top = rows.stop
        left = columns.stop


def _spread(spreads: list[Spread | None]) -> Spread | None:
    """Those of all conversions side by side; a machine has them for all or for none."""
    found = [spread for spread in spreads if spread is not None]
    if not found:
        return None
    return Spread(np.concatenate([s.gain for s in found]), np.concatenate([s.offset for s in found]))


def _columns(spans: list[Span]) -> slice | NDArray[np.intp]:
    """The columns of all spans; a slice where they follow each other, which is much faster to add to."""
    if all(before[1] == after[0] for before, after in pairwise(spans)):
        return slice(spans[0][0], spans[-1][1])
    return np.concatenate([np.arange(*span) for span in spans])

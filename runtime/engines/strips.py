"""Strips: the products of a layer regrouped for the cache, a range of columns and every row block that feeds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isinf, sqrt

import numpy as np
from numpy.typing import NDArray

from mho.runtime.crossbar import reads
from mho.runtime.effects import Conditions, Effects
from mho.runtime.engines.conversions import ROUNDER, Converters, Drive, Noise
from mho.runtime.link import LinkedLayer, Product
from mho.runtime.random import WORD, key, quantiles
from mho.targets.isa import Span
from mho.targets.target import Target

Array = NDArray[np.float32]

MOST_BITS = 22
"""Codes of so many bits are rounded in float32 by an addition."""

COLUMNS = 1024
"""A strip ends with the first conversion that reaches so many."""

NO_KEYS = np.empty(0, np.uint64)
NO_NUMBERS = np.empty(0, np.float32)
NO_NOISE = Noise(NO_KEYS, NO_KEYS, np.float32(1))


@dataclass(frozen=True)
class Conversions:
    """What becomes of the analog sums of a piece: see `conversions.convert_rows`.

    Attributes:
        spans: first column, end, and first column of the layer, of each conversion.
        varies: whether each sum has a variance of its own.
    """

    spans: NDArray[np.int64]
    weight_noise: Noise
    sum_noise: Noise
    converters: Converters
    varies: bool

    @property
    def physics(self) -> tuple[Noise, Noise, Array, NDArray[np.int64], Converters]:
        """What the compiled loops take."""
        return self.weight_noise, self.sum_noise, quantiles(), self.spans, self.converters

    @property
    def width(self) -> int:
        """Columns of the piece."""
        return int(self.spans[-1, 1])


@dataclass(frozen=True)
class Piece:
    """What one product gives to a strip.

    Attributes:
        rows, input_range: of the product.
        weights: [rows, columns of the piece].
        variance: of the weights at every MVM, in the same shape, or None.
    """

    rows: Span
    input_range: float
    weights: Array
    variance: Array | None
    conversions: Conversions


@dataclass(frozen=True)
class Strip:
    """A range of a layer's columns, with the pieces that are added up there."""

    columns: Span
    pieces: tuple[Piece, ...]

    @property
    def covered(self) -> bool:
        """Whether the first piece writes every column, so that the others can be added."""
        return self.pieces[0].conversions.width == self.columns[1] - self.columns[0]


@dataclass(frozen=True)
class Source:
    """Rows of a layer's input on their DACs; several pieces may take the same."""

    rows: Span
    drive: Drive

    @property
    def width(self) -> int:
        """How many rows."""
        return self.rows[1] - self.rows[0]


def sources_of(strip: Strip, target: Target, effects: Effects) -> tuple[tuple[Source, ...], list[int]]:
    """The inputs of a strip, and which of them each piece takes."""
    found: dict[tuple[Span, float], int] = {}
    numbers = [found.setdefault((piece.rows, piece.input_range), len(found)) for piece in strip.pieces]
    sources = (Source(rows, _drive(input_range, target, effects)) for rows, input_range in found)
    return tuple(sources), numbers


def _drive(input_range: float, target: Target, effects: Effects) -> Drive:
    limit, rounder = _rounding(target.dac.bits if effects.dac else None)
    factor = np.float32(1) if isinf(limit) else limit
    return Drive(np.float32(input_range), factor, limit, rounder, np.float32(1) / factor)


def _rounding(bits: int | None) -> tuple[np.float32, np.float32]:
    """The largest code, and what rounds to codes."""
    return (np.float32(inf), np.float32(0)) if bits is None else (np.float32(2 ** (bits - 1) - 1), ROUNDER)


def plain_strips(linked: LinkedLayer, layer: str, target: Target, conditions: Conditions) -> list[list[Strip]] | None:
    """The strips of each replica of a layer; None where one of its products is not plain."""
    few = all(bits is None or bits <= MOST_BITS for bits in (target.dac.bits, target.adc.bits))
    if not few or not all(is_plain(product) for replica in linked.replicas for product in replica):
        return None
    return [list(strips(replica, layer, target, conditions)) for replica in linked.replicas]


def is_plain(product: Product) -> bool:
    """Whether a product is rows times weights, with independent noise of each sum at most."""
    if product.weights.dtype != np.float32:
        return False
    found = [part.block.disturbance for part in product.parts]
    simple = all(d is not None and d.dac is None and d.input_noise == 0 and d.wire == 0 for d in found)
    return simple and len(found) in (0, len(product.noise_blocks))


def strips(products: Sequence[Product], layer: str, target: Target, conditions: Conditions) -> Iterator[Strip]:
    """The strips of one replica of a layer whose products are all plain."""
    found = sorted({span for product in products for span in _outputs(product)})
    for columns in _ranges(found):
        pieces = (_piece(product, columns, layer, target, conditions) for product in products)
        yield Strip(columns, tuple(piece for piece in pieces if piece is not None))


def _outputs(product: Product) -> Iterator[Span]:
    """The columns of the layer that each conversion of a product gives."""
    for _, first, last in product.noise_blocks:
        if isinstance(product.columns, slice):
            start = int(product.columns.start) + first
        else:
            start = int(product.columns[first])
        yield start, start + last - first


def _ranges(spans: Sequence[Span]) -> Iterator[Span]:
    """Ranges that no span of a sorted list straddles, about `COLUMNS` wide."""
    start, end = spans[0]
    for first, last in spans:
        if first >= end and end - start >= COLUMNS:
            yield start, end
            start = first
        end = max(end, last)
    yield start, end


def _piece(product: Product, columns: Span, layer: str, target: Target, conditions: Conditions) -> Piece | None:
    outputs = list(_outputs(product))
    chosen = [n for n, (first, _) in enumerate(outputs) if columns[0] <= first < columns[1]]
    if not chosen:
        return None
    mine = [product.noise_blocks[n] for n in chosen]
    index = np.concatenate([np.arange(first, last) for _, first, last in mine])
    edges = np.cumsum([0, *(last - first for _, first, last in mine)])
    spans = [(edges[i], edges[i + 1], outputs[n][0]) for i, n in enumerate(chosen)]
    variance = _variance(product, chosen)
    conversions = Conversions(
        np.array(spans, np.int64),
        NO_NOISE if variance is None else _noise("weight_noise", mine, layer, conditions, 1.0),
        _sum_noise(mine, layer, target, conditions),
        _converters(product, index, target, conditions),
        variance is not None,
    )
    weights = np.ascontiguousarray(product.weights[:, index], np.float32)
    return Piece(product.rows, product.input_range, weights, variance, conversions)


def _variance(product: Product, chosen: Sequence[int]) -> Array | None:
    if not product.parts:
        return None
    found = (product.parts[n].block.disturbance for n in chosen)
    return np.concatenate([d.variance for d in found if d is not None and d.variance is not None], axis=1)


def _sum_noise(blocks: Sequence[tuple[int, int, int]], layer: str, target: Target, conditions: Conditions) -> Noise:
    if target.noise.output == 0 or not conditions.effects.output_noise:
        return NO_NOISE
    return _noise("output_noise", blocks, layer, conditions, target.noise.output / sqrt(reads(target)))


def _noise(
    effect: str, blocks: Sequence[tuple[int, int, int]], layer: str, conditions: Conditions, sigma: float
) -> Noise:
    keys = [key(conditions.reading_seed, effect, layer, block) for block, _, _ in blocks]
    seeds, twists = (np.array([(k >> shift) & WORD for k in keys], np.uint64) for shift in (0, 64))
    return Noise(seeds, twists, np.float32(sigma))


def _converters(product: Product, index: NDArray[np.int64], target: Target, conditions: Conditions) -> Converters:
    span, ones = product.adc_range[index], np.ones(len(index), np.float32)
    limit, rounder = _rounding(target.adc.bits if conditions.effects.adc else None)
    gain = offset = NO_NUMBERS
    if product.adc is not None:
        gain, offset = product.adc.gain[index], product.adc.offset[index] * span
    rounds = not isinf(limit)
    factor = limit / np.where(span == 0, np.float32(1), span) if rounds else ones
    step = span / limit if rounds else ones
    return Converters(limit, rounder, factor, step, gain, offset, product.unit[index])

"""A layer whose inputs are vectors: products of some positions at a time, finished while they are in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mho.runtime.effects import Effects
from mho.runtime.engines.conversions import convert_rows, drive_rows
from mho.runtime.engines.endings import Ending, end_rows
from mho.runtime.engines.products import Products, Term
from mho.runtime.engines.scratch import BENCH, Shapes
from mho.runtime.engines.strips import Conversions, Source, Strip, sources_of
from mho.runtime.engines.tasks import spans
from mho.runtime.workers import Task
from mho.targets.isa import Span
from mho.targets.target import Target

Array = NDArray[np.float32]

NO_ROWS = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class VectorStrip:
    """A strip that is ready to fire.

    Attributes:
        products: multiply what the sources give; they hold the weights.
        pieces: what becomes of each product.
        covered: whether the first piece writes every column.
    """

    columns: Span
    sources: tuple[Source, ...]
    products: Products
    pieces: tuple[Conversions, ...]
    covered: bool

    @staticmethod
    def of(strip: Strip, target: Target, effects: Effects) -> VectorStrip:
        """Hands the weights of a strip to onnxruntime."""
        sources, numbers = sources_of(strip, target, effects)
        terms = [Term(n, p.weights, p.variance) for n, p in zip(numbers, strip.pieces, strict=True)]
        pieces = tuple(piece.conversions for piece in strip.pieces)
        return VectorStrip(strip.columns, sources, Products(len(sources), terms, None), pieces, strip.covered)

    @property
    def width(self) -> int:
        """Numbers of a position that are in work at a time."""
        sums = sum(piece.width * (2 if piece.varies else 1) for piece in self.pieces)
        return sums + sum(source.width for source in self.sources)

    def shapes(self, count: int) -> Shapes:
        """Of the arrays that go into the products of `count` positions, and of those that come out."""
        widths = [piece.width for piece in self.pieces for _ in range(1 + piece.varies)]
        return [(count, source.width) for source in self.sources], [(count, width) for width in widths]

    def fire(self, rows: Array, fires: NDArray[np.int64], addend: Array, ending: Ending, out: Array) -> None:
        """Writes the strip's columns of `out` [positions, columns of the layer]."""
        place = BENCH.scratch.place(self.products, len(rows), partial(self.shapes, len(rows)))
        for source, line in zip(self.sources, place.inputs, strict=True):
            drive_rows(rows, source.rows[0], source.drive, line)
        place.multiply()
        if not self.covered:
            out[:, slice(*self.columns)] = 0
        sums = iter(place.sums)
        for number, piece in enumerate(self.pieces):
            found = next(sums)
            variance = next(sums) if piece.varies else NO_ROWS
            adds = number > 0 or not self.covered
            convert_rows(found, variance, fires, *piece.physics, out, adds)
        end_rows(out, *self.columns, addend, ending)


@dataclass(frozen=True)
class Vectors:
    """One replica of a layer, ready to fire."""

    strips: tuple[VectorStrip, ...]

    @staticmethod
    def of(strips: Sequence[Strip], target: Target, effects: Effects) -> Vectors:
        """Hands the weights of all strips to onnxruntime."""
        return Vectors(tuple(VectorStrip.of(strip, target, effects) for strip in strips))

    def tasks(
        self, rows: Array, fires: NDArray[np.int64], addend: Array, ending: Ending, out: Array, threads: int
    ) -> Iterator[Task]:
        """What writes `out` [positions, columns] when all of them have run.

        Args:
            rows: [positions, rows of the layer]. addend: as `out`, or empty.
        """
        width = max(strip.width for strip in self.strips)
        for span in spans(len(rows), width, threads if len(self.strips) < threads else 1):
            for strip in self.strips:
                more = addend[span] if addend.size else NO_ROWS
                yield partial(strip.fire, rows[span], fires[span], more, ending, out[span])

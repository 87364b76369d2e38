"""A layer whose input is a picture: convolutions by row blocks, so that no patches are ever cut out of it.

A row block holds the kernel's taps of some channels. As a convolution over those channels, with zeros for taps of a
channel that lie in another block, it gives the block's analog sums for all places at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from mho.runtime.effects import Effects
from mho.runtime.engines.conversions import convert_planes, drive_planes
from mho.runtime.engines.endings import Ending, end_planes
from mho.runtime.engines.products import Convolving, Products, Term
from mho.runtime.engines.scratch import BENCH, Shapes
from mho.runtime.engines.strips import Conversions, Source, Strip, sources_of
from mho.runtime.engines.tasks import spans
from mho.runtime.unfold import position_shape, window_pads
from mho.runtime.workers import Task
from mho.targets.isa import Span
from mho.targets.target import Target
from mho.targets.unfolding import Window

Array = NDArray[np.float32]

NO_PLANES = np.empty((0, 0, 0), np.float32)

CHANNEL_GROUP = 16
"""Channels beyond one group are filled up to whole groups, as onnxruntime's fastest convolution wants them."""


@dataclass(frozen=True)
class PictureStrip:
    """A strip that is ready to fire.

    Attributes:
        sources: whose rows are channels.
        filled: channels that each source hands on, zeros beyond its own.
    """

    columns: Span
    sources: tuple[Source, ...]
    filled: tuple[int, ...]
    products: Products
    pieces: tuple[Conversions, ...]
    covered: bool

    @staticmethod
    def of(strip: Strip, target: Target, effects: Effects, kernel: tuple[int, ...], steps: Convolving) -> PictureStrip:
        """Hands the weights of a strip to onnxruntime as kernels."""
        sources, numbers = sources_of(strip, target, effects)
        channels = [_channels(source.rows, prod(kernel)) for source in sources]
        filled = [_filled(last - first) for first, last in channels]
        terms = []
        for number, piece in zip(numbers, strip.pieces, strict=True):
            top, shape = piece.rows[0] - channels[number][0] * prod(kernel), (filled[number], *kernel)
            varying = None if piece.variance is None else _kernels(piece.variance, top, shape)
            terms.append(Term(number, _kernels(piece.weights, top, shape), varying))
        pictures = tuple(Source(c, source.drive) for c, source in zip(channels, sources, strict=True))
        products = Products(len(sources), terms, steps)
        pieces = tuple(piece.conversions for piece in strip.pieces)
        return PictureStrip(strip.columns, pictures, tuple(filled), products, pieces, strip.covered)

    def width(self, places_in: int, places_out: int) -> int:
        """Numbers of a sample that are in work at a time."""
        sums = sum(piece.width * (2 if piece.varies else 1) for piece in self.pieces)
        return sums * places_out + sum(self.filled) * places_in

    def shapes(self, count: int, inside: tuple[int, ...], outside: tuple[int, ...]) -> Shapes:
        """Of the arrays that go into the products of `count` samples, and of those that come out."""
        sums = [(count, piece.width, *outside) for piece in self.pieces for _ in range(1 + piece.varies)]
        return [(count, channels, *inside) for channels in self.filled], sums

    def fire(self, x: Array, fire: int, addend: Array, ending: Ending, out: Array) -> None:
        """Writes the strip's columns of `out` [samples, columns of the layer, *spatial out]."""
        sides = (len(x), x.shape[2:], out.shape[2:])
        place = BENCH.scratch.place(self.products, sides, partial(self.shapes, *sides))
        channels = as_planes(x)
        for source, picture in zip(self.sources, place.inputs, strict=True):
            drive_planes(channels, *source.rows, source.drive, as_planes(picture))
        place.multiply()
        planes = as_planes(out)
        if not self.covered:
            planes[:, slice(*self.columns)] = 0
        sums = iter(place.sums)
        for number, piece in enumerate(self.pieces):
            found = as_planes(next(sums))
            variance = as_planes(next(sums)) if piece.varies else NO_PLANES
            adds = number > 0 or not self.covered
            convert_planes(found, variance, fire, *piece.physics, planes, adds)
        end_planes(planes, *self.columns, as_planes(addend) if addend.size else NO_PLANES, ending)


@dataclass(frozen=True)
class Pictures:
    """A layer ready to fire, for inputs of one spatial shape."""

    strips: tuple[PictureStrip, ...]

    @staticmethod
    def of(strips: Sequence[Strip], target: Target, effects: Effects, window: Window, steps: Convolving) -> Pictures:
        """Hands the weights of all strips to onnxruntime."""
        return Pictures(tuple(PictureStrip.of(strip, target, effects, window.kernel, steps) for strip in strips))

    def tasks(self, x: Array, fire: int, addend: Array, ending: Ending, out: Array, threads: int) -> Iterator[Task]:
        """What writes `out` [samples, columns, *spatial out] when all of them have run.

        Args:
            x: [samples, channels, *spatial]. fire: index of the first place. addend: as `out`, or empty.
        """
        places_in, places_out = prod(x.shape[2:]), prod(out.shape[2:])
        width = max(strip.width(places_in, places_out) for strip in self.strips)
        for span in spans(len(x), width, threads):
            for strip in self.strips:
                more = addend[span] if addend.size else NO_PLANES
                yield partial(strip.fire, x[span], fire + span.start * places_out, more, ending, out[span])


def _channels(rows: Span, taps: int) -> Span:
    """The channels that rows belong to."""
    return rows[0] // taps, -(-rows[1] // taps)


def _filled(channels: int) -> int:
    return channels if channels < CHANNEL_GROUP else -(-channels // CHANNEL_GROUP) * CHANNEL_GROUP


def _kernels(weights: Array, top: int, shape: tuple[int, ...]) -> Array:
    """[columns, channels, *kernel] of weights [rows, columns] that begin at row `top` of those channels."""
    rows = np.zeros((prod(shape), weights.shape[1]), np.float32)
    rows[top : top + len(weights)] = weights
    return np.ascontiguousarray(rows.T).reshape(-1, *shape)


def as_planes(picture: Array) -> Array:
    """[samples, channels, places] of [samples, channels, *spatial]."""
    return picture.reshape(*picture.shape[:2], -1)


@lru_cache(maxsize=1024)
def steps_over(shape: tuple[int, ...], window: Window) -> Convolving | None:
    """How kernels step over an input of a shape, where a plain convolution does it."""
    pads = window_pads(shape[2:], window)
    plain = all(s == 1 for s in window.spread) and all(edge >= 0 for pad in pads for edge in pad)
    some = prod(position_shape(shape, window)) > 0
    return Convolving(window.strides, window.dilations, pads) if plain and some else None

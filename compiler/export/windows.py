"""The geometry of convolutions: what of an input a window meets, and how columns of places become an output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mho.export.graph import Graph
from mho.export.layouts import Sliding
from mho.export.operators import ENDLESS, SLICES_SINCE, require, size_of, sliced
from mho.runtime.inspect import ValueType
from mho.runtime.unfold import Pads, output_positions, window_pads
from mho.targets.errors import ProgramError, plain
from mho.targets.steps import Analog
from mho.targets.unfolding import Dense, Places, ShiftedWindows, Window


@dataclass(frozen=True)
class Geometry:
    """What becomes of an input [N, C, *spatial] before it meets a window, and the window.

    Attributes:
        steps: zeros between the samples: one less than these.
        cut: samples that are cut off before and after each spatial axis, once it is spread.
        layout: the window.
        sizes: of the spatial axes, where all are known.
    """

    steps: tuple[int, ...]
    cut: Pads
    layout: Sliding
    sizes: tuple[int, ...] | None

    @staticmethod
    def of(step: Analog, kind: ValueType) -> Geometry:
        """The geometry of a layer's unfolding.

        Raises:
            ProgramError: the padding depends on a size that is not known.
        """
        sizes = _sizes(kind)
        match step.unfolding:
            case Places() as places:
                return Geometry((), (), Sliding.single(len(places.window.kernel)), sizes)
            case ShiftedWindows() as shifted:
                return _several(step, shifted, sizes)
            case Window() as window:
                return _one(step, window, sizes)
            case Dense():
                raise ProgramError(f"layer {plain(step.name)} is no convolution, and its input is taken for an image")

    def spread(self, graph: Graph, value: str, channels: int) -> str:
        """The input with zeros between its samples."""
        return spread_apart(graph, value, channels, self.steps)


def _one(step: Analog, window: Window, sizes: tuple[int, ...] | None) -> Geometry:
    """Of one window at a position; ONNX finds the padding where only it can."""
    if window.pads is None and sizes is None and max(window.strides) > 1 == max(window.dilations):
        same = Sliding(window.kernel, window.strides, window.dilations, None, window.auto_pad)
        return Geometry((), (), same, sizes)
    pads = known_pads(step, window, sizes)
    layout = Sliding(window.kernel, window.strides, window.dilations, _not_negative(pads))
    return Geometry(window.spread, _not_negative(_opposite(pads)), layout, sizes)


def _several(step: Analog, shifted: ShiftedWindows, sizes: tuple[int, ...] | None) -> Geometry:
    """Of shifted windows, whose last position may reach beyond the padding."""
    window = shifted.window
    # So many more samples are always enough for the last wide window, and never for another one.
    more = (s * (m - 1) for s, m in zip(window.strides, shifted.copies, strict=True))
    given = known_pads(step, window, sizes)
    pads = tuple((before, after + extra) for (before, after), extra in zip(given, more, strict=True))
    strides = tuple(s * m for s, m in zip(window.strides, shifted.copies, strict=True))
    layout = Sliding(shifted.kernel, strides, shifted.pitch, _not_negative(pads))
    return Geometry(window.spread, _not_negative(_opposite(pads)), layout, sizes)


def spread_apart(graph: Graph, value: str, channels: int, steps: tuple[int, ...]) -> str:
    """[N, C, *spatial] with zeros between the samples of each axis: a transposed convolution with kernels of one."""
    if all(step == 1 for step in steps):
        return value
    ones = np.ones((channels, 1, *(1,) * len(steps)), np.float32)
    return graph.op("ConvTranspose", value, graph.constant(ones, "ones"), strides=list(steps), group=channels)


def cropped(graph: Graph, value: str, cut: Pads) -> str:
    """[N, C, *spatial] without so many samples before and after each axis."""
    for number, (before, after) in enumerate(cut):
        if before or after:
            value = sliced(graph, value, 2 + number, before, -after if after else ENDLESS)
    return value


def known_pads(step: Analog, window: Window, sizes: tuple[int, ...] | None) -> Pads:
    """The padding of a window; of one that moves by single samples it is the same for all sizes.

    Raises:
        ProgramError: it depends on a size that is not known.
    """
    if window.pads is None and sizes is None and max(window.strides) == 1:
        return window_pads((1,) * len(window.kernel), window)
    if window.pads is None and sizes is None:
        raise ProgramError(
            f"layer {plain(step.name)}: its padding depends on the size of its input, which is not known, so that it "
            "cannot be exported: fix the sizes with --dim, or compile it with --unfold im2col"
        )
    return window_pads(sizes or (), window) if window.pads is None else window.pads


def placed_beside(
    graph: Graph, step: Analog, unfolding: ShiftedWindows, sums: str, columns: int, kind: ValueType
) -> str:
    """[N, C · copies, *positions] of shifted windows as [N, C, *spatial_out]: see `mho.runtime.unfold`.

    The copies are put between the positions by a transposed convolution whose kernels hold a single one.
    """
    copies = unfolding.copies
    channels = columns // prod(copies)
    taps = np.tile(np.eye(prod(copies), dtype=np.float32), (channels, 1)).reshape(columns, 1, *copies)
    beside = graph.op("ConvTranspose", sums, graph.constant(taps, "taps"), strides=list(copies), group=channels)
    return _ended(graph, step, unfolding, beside, kind)


def _ended(graph: Graph, step: Analog, unfolding: ShiftedWindows, value: str, kind: ValueType) -> str:
    """The output without what copies give beyond its end."""
    sizes = _sizes(kind)
    if sizes is not None:
        ends = output_positions((1, 1, *sizes), unfolding)[1:]
        for axis, end in enumerate(ends, start=2):
            if unfolding.copies[axis - 2] > 1:
                value = sliced(graph, value, axis, 0, end)
        return value
    require(graph, SLICES_SINCE, f"layer {plain(step.name)}, whose input has a size that is not known,")
    window = unfolding.window
    pads = known_pads(step, window, None)
    for number, (kernel, stride, dilation) in enumerate(
        zip(window.kernel, window.strides, window.dilations, strict=True)
    ):
        if unfolding.copies[number] == 1:
            continue
        room = sum(pads[number]) - dilation * (kernel - 1) - 1
        widest = graph.op("Add", size_of(graph, step.input, 2 + number), graph.integers(room + stride))
        ended = graph.op("Div", widest, graph.integers(stride))
        value = graph.op("Slice", value, graph.integers(0), ended, graph.integers(2 + number))
    return value


def summed_places(
    graph: Graph, step: Analog, unfolding: Places, sums: str, columns: int, sizes: tuple[int, ...] | None
) -> str:
    """[N, C · places, *spatial] as [N, C, *spatial_out], each output the sum of what the places give for it.

    It is a convolution in groups whose kernel number k of a channel holds a single one, at place k.
    """
    window = unfolding.window
    pads = known_pads(step, window, sizes)
    each = prod(window.kernel)
    channels = columns // each
    taps = np.tile(
        np.eye(each, dtype=np.float32).reshape(1, each, *window.kernel), (channels, *(1,) * (1 + len(window.kernel)))
    )
    spread = cropped(graph, spread_apart(graph, sums, columns, window.spread), _not_negative(_opposite(pads)))
    layout = Sliding(window.kernel, window.strides, window.dilations, _not_negative(pads))
    return layout.convolved(graph, spread, taps, channels)


def _sizes(kind: ValueType) -> tuple[int, ...] | None:
    """The sizes of the spatial axes of [N, C, *spatial], where all are known."""
    found = [] if kind.shape is None else list(kind.shape[2:])
    known = tuple(size for size in found if isinstance(size, int))
    return known if found and len(known) == len(found) else None


def _opposite(pads: Pads) -> Pads:
    return tuple((-before, -after) for before, after in pads)


def _not_negative(pads: Pads) -> Pads:
    return tuple((max(0, before), max(0, after)) for before, after in pads)

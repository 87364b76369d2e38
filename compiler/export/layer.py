"""A layer as nodes: its rows to the tiles, their sums, the replicas, the fold into an output, and the digital end."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import TensorProto

from mho.export.converters import formatted
from mho.export.graph import Graph
from mho.export.kinds import element_of, output_kind
from mho.export.layouts import LastAxis, Layout, NextToLastAxis, Sliding
from mho.export.operators import cast, clipped, vector
from mho.export.replicas import chosen
from mho.export.tiles import Tiles, moves_rows
from mho.export.windows import Geometry, cropped, placed_beside, summed_places
from mho.runtime.effects import cell_formats
from mho.runtime.formats import SUMS
from mho.runtime.inspect import ValueType
from mho.runtime.layers import Column, LayerMath, step_math
from mho.targets.errors import ProgramError, plain
from mho.targets.steps import Activation, Analog
from mho.targets.unfolding import Dense, Places, ShiftedWindows, Window

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def write_layer(graph: Graph, step: Analog, tiles: Tiles) -> None:
    """The nodes of a layer, from its input to its output."""
    graph.within(step.name)
    kind = graph.kind(step.input)
    source = cast(graph, step.input, element_of(kind.type), FLOAT)
    match step.unfolding:
        case Dense():
            output = _dense(graph, step, step.unfolding, source, kind, tiles)
        case Window() | ShiftedWindows() | Places():
            output = _convolution(graph, step, source, kind, tiles)
    element = DOUBLE if tiles.is_whole(step.name) else FLOAT
    output = cast(graph, output, element, element_of(kind.type))
    channels = tiles.columns(step.name) // step.unfolding.channel_columns
    graph.kinds[step.output] = output_kind(kind, step.unfolding, channels)
    graph.give(output, step.output)


@dataclass(frozen=True)
class Positions:
    """Which axis of a layer's rows counts the samples, and what is known of the rank: for firing indices."""

    batch_axis: int | None
    rank: int | None


def fire(graph: Graph, layer: str, rows: str, layout: Layout, tiles: Tiles, positions: Positions) -> str:
    """The complete sums of a layer for rows of float32, partial sums added, recalibrated where that is asked for."""
    replicas = tiles.replicas(layer)
    if isinstance(layout, Sliding) and (tiles.is_whole(layer) or any(map(moves_rows, replicas))):
        rows = layout.unfolded(graph, rows, tiles.rows(layer) // prod(layout.kernel))
        layout = Sliding.single(len(layout.kernel))
    sums = [tiles.sums(graph, layer, products, layout, rows) for products in replicas]
    value = sums[0] if len(sums) == 1 else chosen(graph, layer, sums, layout.axis, positions.batch_axis, positions.rank)
    return tiles.adjusted(graph, layer, value, layout.axis)


def finished(graph: Graph, step: Analog, sums: str, math: LayerMath, element: int, axis: int) -> str:
    """Scale, bias, addend and activation of a layer's sums, its columns along an axis."""
    value = _affine(graph, sums, math.scale, math.bias, element, axis)
    if step.addend is not None:
        kind = graph.kind(step.addend)
        addend = cast(graph, cast(graph, step.addend, element_of(kind.type), FLOAT), FLOAT, element)
        value = graph.op("Add", value, addend)
    return value if math.activation is None else _activated(graph, value, math.activation, element)


def _dense(graph: Graph, step: Analog, dense: Dense, source: str, kind: ValueType, tiles: Tiles) -> str:
    rank = None if kind.shape is None else len(kind.shape)
    positions = Positions(dense.position_axis(step.batch_axis, rank or 2), None if rank is None else rank - 1)
    layout: Layout = NextToLastAxis() if (dense.axis, dense.output_axis) == (-2, -2) else LastAxis()
    if layout.axis != dense.axis and rank != 1:
        source = _moved(graph, step, source, rank, dense.axis, -1)
    sums = fire(graph, step.name, source, layout, tiles, positions)
    if layout.axis != dense.output_axis:
        sums = _moved(graph, step, sums, rank, -1, dense.output_axis)
    return _end(graph, step, sums, tiles)


def _moved(graph: Graph, step: Analog, value: str, rank: int | None, source: int, target: int) -> str:
    """A value with one of its axes moved; without a known rank it has two, as the factors of a Gemm do."""
    if rank is None and (source < -2 or source >= 0 or target < -2 or target >= 0):
        raise ProgramError(
            f"layer {plain(step.name)}: its rows lie along axis {source} of an input whose rank is not known, which "
            "cannot be exported: give the model's inputs their shapes and compile it again"
        )
    order = list(range(rank or 2))
    order.insert(target % len(order), order.pop(source))
    return graph.op("Transpose", value, perm=order)


def _convolution(graph: Graph, step: Analog, source: str, kind: ValueType, tiles: Tiles) -> str:
    geometry = Geometry.of(step, kind)
    unfolding = step.unfolding
    channels = tiles.rows(step.name) // prod(geometry.layout.kernel)
    source = cropped(graph, geometry.spread(graph, source, channels), geometry.cut)
    positions = Positions(step.batch_axis, None if kind.shape is None else len(kind.shape) - 1)
    sums = fire(graph, step.name, source, geometry.layout, tiles, positions)
    if isinstance(unfolding, ShiftedWindows):
        sums = placed_beside(graph, step, unfolding, sums, tiles.columns(step.name), kind)
    if not isinstance(unfolding, Places):
        return _end(graph, step, sums, tiles)
    effects, target = tiles.conditions.effects, tiles.program.target
    if effects.digital_format:
        sums = formatted(graph, sums, target.core.digital_format)
    sums = summed_places(graph, step, unfolding, sums, tiles.columns(step.name), geometry.sizes)
    return _end(graph, step, sums, tiles)


def _end(graph: Graph, step: Analog, sums: str, tiles: Tiles) -> str:
    """The digital end of a layer whose output has its shape."""
    math = step_math(tiles.program, step)
    element = DOUBLE if tiles.is_whole(step.name) else FLOAT
    value = finished(graph, step, sums, math, element, step.unfolding.columns_axis)
    formats = cell_formats(tiles.program.target, tiles.conditions.effects)
    return formatted(graph, value, formats[SUMS]) if SUMS in formats else value


def _affine(graph: Graph, value: str, scale: Column | None, bias: Column | None, element: int, axis: int) -> str:
    """scale · value + bias; where they are float64, in float64."""
    for operator, numbers in (("Mul", scale), ("Add", bias)):
        if numbers is None:
            continue
        wide = DOUBLE if numbers.dtype == np.float64 else element
        constant = graph.constant(vector(numbers.astype(np.float64 if wide == DOUBLE else np.float32), axis), operator)
        value = cast(graph, graph.op(operator, cast(graph, value, element, wide), constant), wide, element)
    return value


def _activated(graph: Graph, value: str, activation: Activation, element: int) -> str:
    match activation.function:
        case "relu":
            return (
                graph.op("Relu", cast(graph, value, element, FLOAT))
                if element == FLOAT
                else _clip64(graph, value, 0.0, None)
            )
        case "clip":
            if element == FLOAT:
                return clipped(graph, value, activation.low, activation.high)
            return _clip64(graph, value, activation.low, activation.high)
        case "leaky_relu":
            return graph.op("LeakyRelu", value, alpha=float(activation.slope))


def _clip64(graph: Graph, value: str, low: float | None, high: float | None) -> str:
    """min(max(value, low), high) of float64."""
    for operator, bound in (("Max", low), ("Min", high)):
        if bound is not None:
            value = graph.op(operator, value, graph.constant(np.array(bound, np.float64), "bound"))
    return value

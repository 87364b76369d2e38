"""Convolutions: the matrix holds one kernel a column and meets every window of the input."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
import onnx_ir as ir

from mho.passes.lower.layer import (
    INPUT_CONDITION,
    WEIGHT_CONDITION,
    Product,
    analog_decision,
    batch_axis,
    column_bias,
    declined_input,
    lower_product,
    output_name,
)
from mho.passes.lower.reasons.wording import SHAPE_REMEDY, not_constant, shape_words, source_of
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, join, name_of, named, node_name
from mho.passes.lower.weights.read import Weights, read_weights
from mho.targets.errors import ModelError, plain
from mho.targets.unfolding import Window

BIAS_CONDITION = "Its bias, where it has one, is constant."

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Geometry:
    """The attributes that both kinds of convolution share, one entry a spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads
    auto_pad: str

    @property
    def reach(self) -> tuple[int, ...]:
        """How far a kernel's last sample lies from its first."""
        return tuple(d * (k - 1) for d, k in zip(self.dilations, self.kernel, strict=True))


@dataclass(frozen=True)
class ConvRule:
    """Conv of any number of spatial axes."""

    operators: tuple[str, ...] = ("Conv",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        INPUT_CONDITION,
        WEIGHT_CONDITION,
        BIAS_CONDITION,
        "Strides, pads, dilations, groups and auto_pad are free; a grouped convolution is a block-diagonal matrix.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        read = _read(node, columns=0)
        if isinstance(read, Declined):
            return read
        weights, groups, geometry = read
        kernels, channels = weights.shape[:2]
        if kernels % groups:
            raise ModelError(f"{_where(node)}: its {kernels} kernels do not divide into {groups} groups")
        rows = channels * prod(geometry.kernel)
        weights = weights.reshape(groups, kernels // groups, rows).transpose(0, 2, 1)
        same = geometry.auto_pad in ("SAME_UPPER", "SAME_LOWER")
        window = Window(
            kernel=geometry.kernel,
            strides=geometry.strides,
            dilations=geometry.dilations,
            spread=(1,) * len(geometry.kernel),
            pads=None if same else geometry.pads,
            auto_pad=_SAME.get(geometry.auto_pad, "explicit"),
        )
        return _layer(node, scope, weights, window)


@dataclass(frozen=True)
class ConvTransposeRule:
    """ConvTranspose as a window of stride 1 over the input with zeros between its samples."""

    operators: tuple[str, ...] = ("ConvTranspose",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        INPUT_CONDITION,
        WEIGHT_CONDITION,
        BIAS_CONDITION,
        "Where it has output_shape, or auto_pad of SAME_UPPER or SAME_LOWER, the size of its input is known.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        read = _read(node, columns=1)
        if isinstance(read, Declined):
            return read
        weights, groups, geometry = read
        channels, kernels = weights.shape[:2]
        if channels % groups:
            raise ModelError(f"{_where(node)}: its {channels} channels do not divide into {groups} groups")
        pads = _transposed_pads(node, geometry)
        if isinstance(pads, Declined):
            return pads
        window = Window(
            kernel=geometry.kernel,
            strides=(1,) * len(geometry.kernel),
            dilations=geometry.dilations,
            spread=geometry.strides,
            pads=pads,
        )
        weights = weights.reshape(groups, channels // groups, kernels, *geometry.kernel)
        spatial = range(3, 3 + len(geometry.kernel))
        for axis in spatial:
            weights = weights.flip(axis)
        rows = channels // groups * prod(geometry.kernel)
        weights = weights.transpose(0, 1, *spatial, 2).reshape(groups, rows, kernels)
        return _layer(node, scope, weights, window)


_SAME: dict[str, Literal["same_upper", "same_lower"]] = {"SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower"}


def _where(node: ir.Node) -> str:
    return f"{node.op_type} {plain(node_name(node))}"


def _read(node: ir.Node, columns: int) -> tuple[Weights, int, Geometry] | Declined:
    """Weights, groups and geometry; `columns` is the axis of the weights that counts the kernels."""
    declined = declined_input(node, 0)
    if declined is not None:
        return declined
    weights = read_weights(node.inputs[1])
    if weights is None:
        return not_constant(node, 1, "the weights")
    groups = node.attributes.get_int("group", 1)
    kernels = weights.shape[columns] * (groups if columns else 1)
    if len(node.inputs) > 2 and named(node.inputs[2]) and column_bias(node.inputs[2], kernels) is None:
        return not_constant(node, 2, "the bias")
    return weights, groups, _geometry(node, weights.shape[2:])


def _geometry(node: ir.Node, kernel: tuple[int, ...]) -> Geometry:
    get = node.attributes.get_ints
    rank, ones = len(kernel), (1,) * len(kernel)
    strides, dilations = tuple(get("strides", ones)), tuple(get("dilations", ones))
    pads = tuple(get("pads", (0,) * 2 * rank))
    problems = [
        f"{_where(node)}: its attribute {key} is {value}, its weights have the kernel {kernel}"
        for key, value, fits in (
            ("kernel_shape", tuple(get("kernel_shape", kernel)), tuple(get("kernel_shape", kernel)) == kernel),
            ("strides", strides, len(strides) == rank and min(strides, default=1) > 0),
            ("dilations", dilations, len(dilations) == rank and min(dilations, default=1) > 0),
            ("pads", pads, len(pads) == 2 * rank),
        )
        if not fits
    ]
    if problems:
        raise ModelError(problems)
    auto_pad = node.attributes.get_string("auto_pad", "NOTSET")
    explicit = pads if auto_pad == "NOTSET" else (0,) * 2 * rank
    return Geometry(kernel, strides, dilations, tuple(zip(explicit[:rank], explicit[rank:], strict=True)), auto_pad)


def _layer(node: ir.Node, scope: Scope, weights: Weights, window: Window) -> Lowered:
    source = node.inputs[0]
    if source is None:
        raise ModelError(f"{_where(node)} has no input")
    columns = weights.shape[0] * weights.shape[2]
    bias = column_bias(node.inputs[2] if len(node.inputs) > 2 else None, columns)
    product = Product(weights, window, batch_axis(source, scope), bias=bias)
    layer = lower_product(product, node, scope, name_of(source), output_name(node))
    return join((layer, Lowered(decisions=(analog_decision(node, layer),))))


def _transposed_pads(node: ir.Node, geometry: Geometry) -> Pads | Declined:
    """Pads of the window over the spread input: reach − pad, and the output's padding at the end."""
    rank = len(geometry.kernel)
    extra = tuple(node.attributes.get_ints("output_padding", (0,) * rank))
    wanted = node.attributes.get_ints("output_shape", ())
    pads: Pads | Declined = geometry.pads
    if wanted or geometry.auto_pad in _SAME:
        pads = _pads_for_output(node, geometry, extra, tuple(wanted)[-rank:])
    if isinstance(pads, Declined):
        return pads
    return tuple((r - p, r - q + e) for r, (p, q), e in zip(geometry.reach, pads, extra, strict=True))


def _pads_for_output(
    node: ir.Node, geometry: Geometry, extra: tuple[int, ...], wanted: tuple[int, ...]
) -> Pads | Declined:
    """Pads that give a wanted output size, after the ONNX operator's text: the odd one goes to the end of
    SAME_UPPER and to the beginning of any other. What a larger output lacks is added at its end."""
    shape = dimensions(node.inputs[0]) if node.inputs[0] is not None else None
    sizes = [d for d in (shape or ())[2:] if isinstance(d, int)]
    if len(sizes) != len(geometry.kernel):
        reason = "its padding depends on the size of its first input, which is not known"
        return Declined(reason, f"{source_of(node.inputs[0])}, of shape {shape_words(node.inputs[0])}", SHAPE_REMEDY)
    targets = wanted or tuple(n * s for n, s in zip(sizes, geometry.strides, strict=True))
    natural = np.multiply(geometry.strides, np.array(sizes) - 1) + extra + geometry.reach + 1
    total = [int(t) for t in natural - np.array(targets)]
    upper = geometry.auto_pad == "SAME_UPPER"
    first = [0 if t < 0 else t // 2 if upper else t - t // 2 for t in total]
    return tuple((head, t - head) for head, t in zip(first, total, strict=True))

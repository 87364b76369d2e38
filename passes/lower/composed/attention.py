"""onnxruntime's Attention: its projection to queries, keys and values is a layer, the attention itself is digital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.lower.composed.integer import (
    ZERO_POINT_CONDITION,
    centred,
    declined_input_zero,
    declined_weights,
    whole_weights,
)
from mho.passes.lower.composed.sketch import Shape, Sketch
from mho.passes.lower.layer import INPUT_CONDITION, WEIGHT_CONDITION
from mho.passes.lower.matmul import MatMulRule
from mho.passes.lower.reasons.wording import (
    SHAPE_REMEDY,
    UNFUSED_REMEDY,
    input_called,
    not_constant,
    shape_words,
    source_of,
    unknown_rank,
)
from mho.passes.lower.rule import Declined, Lowered, Scope, dimensions, given, named, required
from mho.passes.lower.weights.read import read_array, read_weights

_KEPT = ("num_heads", "unidirectional", "scale", "mask_filter_value")
_SHAPES = "Its mask, past and attributes are those that MultiHeadAttention knows too."

_GROWING_REMEDY = "export the model with a past that grows, without a shared buffer"
_MASK_REMEDY = "export the model with a mask of [batch, length], and fix symbolic dimensions with --dim NAME=N"


@dataclass(frozen=True)
class AttentionRule:
    """Attention of onnxruntime, whose weights are those of the projection."""

    operators: tuple[str, ...] = ("com.microsoft.Attention",)
    where: str = "analog"
    conditions: tuple[str, ...] = (INPUT_CONDITION, WEIGHT_CONDITION, _SHAPES)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        declined = _declined(node, mask=3) or _declined_length(node)
        if declined is not None:
            return declined
        sketch, bias = Sketch(node, scope), given(node, 2)
        shape = _projected(node)
        sums = sketch.value("projection", node.outputs[0].dtype, shape)
        declined = sketch.layer(MatMulRule(), node.inputs[:2], sums)
        if declined is not None:
            return declined
        if bias is not None:
            sums = sketch.op("Add", [sums, bias], sketch.value("biased", node.outputs[0].dtype, shape))
        _attend(sketch, sums, given(node, 3), given(node, 5), given(node, 4))
        return sketch.done("the attention")


@dataclass(frozen=True)
class QAttentionRule:
    """QAttention: the same with a projection of integers."""

    operators: tuple[str, ...] = ("com.microsoft.QAttention",)
    where: str = "analog"
    conditions: tuple[str, ...] = ("Its weights and their scale are constant.", ZERO_POINT_CONDITION, _SHAPES)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        scales, shape = read_array(given(node, 4)), _projected(node)
        declined = _declined(node, mask=5) or declined_weights(node, 1, 7) or declined_input_zero(node, 6)
        if declined is not None:
            return declined
        if scales is None:
            return not_constant(node, 4, "the scale of the weights")
        sketch, dtype = Sketch(node, scope), node.outputs[0].dtype
        stored = whole_weights(sketch, required(node, 1), given(node, 7), axis=-1)
        source = centred(sketch, required(node, 0), given(node, 6))
        sums = sketch.value("projection", dtype, shape)
        declined = sketch.layer(MatMulRule(), [source, stored], sums)
        if declined is not None:
            return declined
        sketch.finish(scales.astype(np.float64))
        scaled = sketch.op("Mul", [sums, node.inputs[3]], sketch.value("scaled", dtype, shape))
        biased = sketch.op("Add", [scaled, node.inputs[2]], sketch.value("biased", dtype, shape))
        _attend(sketch, biased, given(node, 5), None, given(node, 8))
        return sketch.done("the attention")


def _declined_length(node: ir.Node) -> Declined | None:
    if given(node, 6) is None:
        return None
    reason = f"{input_called(6, 'the length of its past')} says how much of a buffer is filled"
    return Declined(reason, source_of(given(node, 6)), _GROWING_REMEDY)


def _declined(node: ir.Node, mask: int) -> Declined | None:
    """What MultiHeadAttention cannot do, or cannot be told; `mask` is the number of that input."""
    if node.attributes.get_int("do_rotary", 0):
        return Declined("it rotates queries and keys itself", "its attribute do_rotary", UNFUSED_REMEDY)
    if node.attributes.get_int("past_present_share_buffer", 0):
        return Declined("it shares a buffer with its past", "its attribute past_present_share_buffer", _GROWING_REMEDY)
    if read_weights(given(node, 1)) is None:
        return not_constant(node, 1, "the weights")
    if dimensions(required(node, 0)) is None:
        return unknown_rank(node, 0)
    return _declined_mask(node, mask)


def _declined_mask(node: ir.Node, index: int) -> Declined | None:
    """A mask of rank 1 holds lengths, or lengths and positions of packed samples; any other of rank 1 is not known."""
    mask, batch = given(node, index), (dimensions(required(node, 0)) or (None,))[0]
    shape = None if mask is None else dimensions(mask)
    if mask is None or (shape is not None and len(shape) in (2, 3)):
        return None
    which, detail = input_called(index, "the mask"), f"{source_of(mask)}, of shape {shape_words(mask)}"
    if shape is None or shape == (None,):
        return Declined(f"the shape of {which} is not known", detail, SHAPE_REMEDY)
    if len(shape) != 1:
        return Declined(f"{which} has not one to three axes", detail, UNFUSED_REMEDY)
    packed = 3 * batch + 2 if isinstance(batch, int) else None
    if shape[0] in (batch, packed):
        return None
    return Declined(f"{which} tells where samples begin and end", detail, _MASK_REMEDY)


def _parts(node: ir.Node) -> tuple[int, ...]:
    """Sizes of queries, keys and values in the projection."""
    weights = read_weights(given(node, 1))
    columns = 0 if weights is None else weights.shape[1]
    return tuple(node.attributes.get_ints("qkv_hidden_sizes", (columns // 3,) * 3))


def _projected(node: ir.Node) -> Shape:
    source = node.inputs[0]
    shape = None if source is None else dimensions(source)
    return None if shape is None else (*shape[:-1], sum(_parts(node)))


def _attend(
    sketch: Sketch, projected: ir.Value, mask: ir.Value | None, bias: ir.Value | None, past: ir.Value | None
) -> None:
    """Splits the projection and attends, with the past in front of keys and values."""
    node, dtype = sketch.node, projected.dtype
    pasts = [None, None] if past is None else [_half(sketch, past, index) for index in (0, 1)]
    outputs = [sketch.result()]
    wants_present = len(node.outputs) > 1 and named(node.outputs[1]) is not None
    if wants_present:
        outputs += [sketch.value(what, dtype, None) for what in ("present_key", "present_value")]
    inputs = [*_split(sketch, projected), None, mask, bias, *pasts]
    attributes = [node.attributes[key] for key in _KEPT if key in node.attributes]
    sketch.op("MultiHeadAttention", inputs, *outputs, domain="com.microsoft", attributes=attributes)
    if wants_present:
        halves = [_unsqueezed(sketch, value) for value in outputs[1:]]
        sketch.op("Concat", halves, sketch.result(1), axis=0)


def _split(sketch: Sketch, projected: ir.Value) -> Sequence[ir.Value]:
    """Queries, keys and values; the sizes became an input in operator set 13."""
    sizes, lead = _parts(sketch.node), (dimensions(projected) or ())[:-1]
    parts = [
        sketch.value(what, projected.dtype, (*lead, size))
        for what, size in zip(("query", "key", "value"), sizes, strict=True)
    ]
    if sketch.scope.opset < 13:
        sketch.op("Split", [projected], *parts, axis=-1, split=sizes)
    else:
        sketch.op("Split", [projected, sketch.constant(np.array(sizes, np.int64), "sizes")], *parts, axis=-1)
    return parts


def _half(sketch: Sketch, past: ir.Value, index: int) -> ir.Value:
    """The past keys or values: one entry of the first axis."""
    shape = dimensions(past)
    half = sketch.value("past", past.dtype, None if shape is None else shape[1:])
    return sketch.op("Gather", [past, sketch.constant(np.array(index, np.int64), "half")], half, axis=0)


def _unsqueezed(sketch: Sketch, value: ir.Value) -> ir.Value:
    """A first axis of one; the axes became an input in operator set 13."""
    wide = sketch.value("half", value.dtype, None)
    if sketch.scope.opset < 13:
        return sketch.op("Unsqueeze", [value], wide, axes=(0,))
    return sketch.op("Unsqueeze", [value, sketch.constant(np.array([0], np.int64), "axes")], wide)

"""MatMulNBits: a product with weights of a few bits, packed in blocks that share a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.recipe import Centre, Scale, Take, UnpackBits
from mho.passes.lower.composed.sketch import Sketch
from mho.passes.lower.layer import INPUT_CONDITION, WEIGHT_CONDITION, Product, batch_axis, column_bias, declined_input
from mho.passes.lower.reasons.wording import UNPACKED_REMEDY, declined_constants, not_of_shape, source_of
from mho.passes.lower.rule import Declined, Lowered, Scope, given, required
from mho.passes.lower.weights.read import Weights, read_array, read_weights, required_weights
from mho.targets.errors import ModelError, plain
from mho.targets.unfolding import Dense

_ROLES = {
    1: "the packed weights",
    2: "the scales of the weights",
    3: "the zero points of the weights",
    4: "g_idx",
    5: "the bias",
}


@dataclass(frozen=True)
class MatMulNBitsRule:
    """MatMulNBits; its weights stay packed in the recipe."""

    operators: tuple[str, ...] = ("com.microsoft.MatMulNBits",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        INPUT_CONDITION,
        WEIGHT_CONDITION.replace("Its weights are", "Its packed weights are"),
        "Its scales, zero points, g_idx and bias are constant, and its weights have 2, 4 or 8 bits.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        source = required(node, 0)
        declined = _declined(node)
        if declined is not None:
            return declined
        weights = _dequantised(node)
        columns, rows = weights.shape
        bias = column_bias(given(node, 5), columns)
        if bias is None and given(node, 5) is not None:
            return not_of_shape(node, 5, _ROLES[5], "one number a column", "add it in an operator of its own")
        matrix = weights.transpose(1, 0).reshape(1, rows, columns)
        sketch = Sketch(node, scope)
        sketch.product(Product(matrix, Dense(), batch_axis(source, scope, -1), bias=bias), source, sketch.result())
        return sketch.done()


def _declined(node: ir.Node) -> Declined | None:
    """Why the node's weights cannot be read, or its input not be a layer's."""
    bits = node.attributes.get_int("bits", 4)
    if bits not in (2, 4, 8):
        return Declined("its weights have other than 2, 4 or 8 bits", f"{bits} bits", UNPACKED_REMEDY)
    if node.attributes.get_int("weight_prepacked", 0):
        return Declined("its weights are packed for another machine", source_of(given(node, 1)), UNPACKED_REMEDY)
    declined = declined_input(node, 0) or declined_constants(node, _ROLES)
    zeros = read_weights(given(node, 3))
    if declined is not None or given(node, 4) is None or zeros is None or zeros.source.dtype is not ir.DataType.UINT8:
        return declined
    # onnxruntime 1.31 leaves these zero points out, so that to honour them would change the model's results.
    reason = "it has packed zero points beside g_idx, which onnxruntime computes in its own way"
    return Declined(reason, source_of(given(node, 3)), UNPACKED_REMEDY)


def _dequantised(node: ir.Node) -> Weights:
    """The weights [columns, rows]: unpacked, cut to their rows, and scaled block by block."""
    rows, columns, block = (node.attributes.get_int(key, 0) for key in ("K", "N", "block_size"))
    bits = node.attributes.get_int("bits", 4)
    packed, scales = required_weights(node, 1), required_weights(node, 2)
    blocks = -(-rows // max(1, block))
    if not block or np.prod(packed.shape) * 8 != columns * blocks * block * bits:
        raise ModelError(f"MatMulNBits {plain(node.name or '')}: its weights do not hold {columns} × {blocks} blocks")
    whole = _unpacked(packed.reshape(columns, blocks * block * bits // 8), bits, rows)
    zeros, scales = _zero_points(node, bits, (columns, blocks)), scales.reshape(columns, blocks)
    group = read_array(given(node, 4))
    if group is None:
        return _scaled(whole, scales, zeros, bits, block)
    take = Take(1, tuple(int(i) for i in group.ravel()[:rows]))  # g_idx tells the block of each row
    zeros = None if zeros is None else zeros.then(take, whole.shape)
    return _scaled(whole, scales.then(take, whole.shape), zeros, bits, 1)


def _scaled(whole: Weights, scales: Weights, zeros: Weights | None, bits: int, block: int) -> Weights:
    """(whole − zero point) · scale along the rows; the middle of the range is zero where nothing else is."""
    zero = 2 ** (bits - 1) if zeros is None else zeros.operand()
    centred = whole.then(Centre(zero, 1, block), whole.shape, zeros)
    return centred.then(Scale(scales.operand(), 1, block), whole.shape, scales)


def _unpacked(packed: Weights, bits: int, size: int) -> Weights:
    """Numbers of a few bits along the last axis, cut to the first `size`."""
    columns, bytes_ = packed.shape
    if bits < 8:
        packed = packed.then(UnpackBits(bits), (columns, bytes_ * 8 // bits))
    return packed.part(1, 0, size)


def _zero_points(node: ir.Node, bits: int, shape: tuple[int, int]) -> Weights | None:
    """One a block: packed like the weights, or as fractions; None where there are none."""
    read = read_weights(given(node, 3))
    if read is None:
        return None
    columns, blocks = shape
    if read.source.dtype is not ir.DataType.UINT8:
        return read.reshape(columns, blocks)
    return _unpacked(read.reshape(columns, (blocks * bits + 7) // 8), bits, blocks)

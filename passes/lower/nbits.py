"""MatMulNBits: a product with weights of a few bits, packed in blocks that share a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.recipe import Centre, Scale, Take, UnpackBits
from mho.passes.lower.integer import given
from mho.passes.lower.layer import INPUT_CONDITION, WEIGHT_CONDITION, Product, batch_axis, column_bias, declined_input
from mho.passes.lower.rule import Declined, Lowered, Scope
from mho.passes.lower.sketch import Sketch
from mho.passes.lower.weights import Weights, read_array, read_weights
from mho.targets.errors import ModelError, plain
from mho.targets.unfolding import Dense

_RUN_TIME = Declined("its weights, scales or zero points are computed at run time")


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
        source = given(node, 0)
        declined = declined_input(node, 0)
        if declined is not None or source is None:
            return declined or _RUN_TIME
        if node.attributes.get_int("weight_prepacked", 0):
            return Declined("its weights are packed for another machine")
        weights = _dequantised(node)
        if isinstance(weights, Declined):
            return weights
        columns, rows = weights.shape
        bias = column_bias(given(node, 5), columns)
        if bias is None and given(node, 5) is not None:
            return Declined("its bias is computed at run time")
        matrix = weights.transpose(1, 0).reshape(1, rows, columns)
        sketch = Sketch(node, scope)
        sketch.product(Product(matrix, Dense(), batch_axis(source, scope, -1), bias=bias), source, sketch.result())
        return sketch.done()


def _dequantised(node: ir.Node) -> Weights | Declined:
    """The weights [columns, rows]: unpacked, cut to their rows, and scaled block by block."""
    rows, columns, block = (node.attributes.get_int(key, 0) for key in ("K", "N", "block_size"))
    bits = node.attributes.get_int("bits", 4)
    packed, scales = read_weights(given(node, 1)), read_weights(given(node, 2))
    if bits not in (2, 4, 8):
        return Declined(f"its weights have {bits} bits, and those of 2, 4 or 8 are read")
    if packed is None or scales is None:
        return _RUN_TIME
    blocks = -(-rows // max(1, block))
    if not block or np.prod(packed.shape) * 8 != columns * blocks * block * bits:
        raise ModelError(f"MatMulNBits {plain(node.name or '')}: its weights do not hold {columns} × {blocks} blocks")
    whole = _unpacked(packed.reshape(columns, blocks * block * bits // 8), bits, rows)
    zeros, scales = _zero_points(node, bits, (columns, blocks)), scales.reshape(columns, blocks)
    if zeros is None and given(node, 3) is not None:
        return _RUN_TIME
    if given(node, 4) is not None:
        return _grouped(node, whole, scales, zeros)
    return _scaled(whole, scales, zeros, bits, block)


def _grouped(node: ir.Node, whole: Weights, scales: Weights, zeros: Weights | None) -> Weights | Declined:
    """The weights [columns, rows] where g_idx tells the block of each row."""
    group = read_array(given(node, 4))
    if group is None:
        return _RUN_TIME
    if zeros is not None and zeros.source.dtype is ir.DataType.UINT8:
        # onnxruntime 1.31 leaves these zero points out, so that to honour them would change the model's results.
        return Declined("it has packed zero points beside g_idx, which onnxruntime computes in its own way")
    take = Take(1, tuple(int(i) for i in group.ravel()[: whole.shape[1]]))
    zeros = None if zeros is None else zeros.then(take, whole.shape)
    return _scaled(whole, scales.then(take, whole.shape), zeros, node.attributes.get_int("bits", 4), 1)


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
    """One a block: packed like the weights, or as fractions; None where there are none, or data decide them."""
    read = read_weights(given(node, 3))
    if read is None:
        return None
    columns, blocks = shape
    if read.source.dtype is not ir.DataType.UINT8:
        return read.reshape(columns, blocks)
    return _unpacked(read.reshape(columns, (blocks * bits + 7) // 8), bits, blocks)

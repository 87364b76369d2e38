"""MatMulBnb4: a product with weights of 4 bits that a table turns into numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from mho.passes.levels.recipe import Lookup, Scale, UnpackBits
from mho.passes.lower.composed.sketch import Sketch
from mho.passes.lower.layer import INPUT_CONDITION, WEIGHT_CONDITION, Product, batch_axis, declined_input
from mho.passes.lower.reasons.wording import declined_constants
from mho.passes.lower.rule import Declined, Lowered, Scope, required
from mho.passes.lower.weights.read import Weights, required_weights
from mho.targets.errors import ModelError, plain
from mho.targets.unfolding import Dense

FP4 = tuple(sign * size for sign in (1, -1) for size in (0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4))
"""The numbers of bitsandbytes' 4-bit floating-point format: a sign, two bits of exponent, one of fraction."""

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""Dettmers et al. 2023 (arXiv 2305.14314), appendix E: 4 bits for numbers that are normally distributed."""

_ROLES = {1: "the packed weights", 2: "the largest magnitudes of its blocks"}


@dataclass(frozen=True)
class MatMulBnb4Rule:
    """MatMulBnb4; its weights stay packed in the recipe."""

    operators: tuple[str, ...] = ("com.microsoft.MatMulBnb4",)
    where: str = "analog"
    conditions: tuple[str, ...] = (
        INPUT_CONDITION,
        WEIGHT_CONDITION.replace("Its weights are", "Its packed weights are"),
        "The largest magnitudes of its blocks are constant.",
    )

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        source, get = required(node, 0), node.attributes.get_int
        declined = declined_input(node, 0) or declined_constants(node, _ROLES)
        if declined is not None:
            return declined
        packed, largest = required_weights(node, 1), required_weights(node, 2)
        rows, columns = get("K", 0), get("N", 0)
        if prod(packed.shape) != (rows * columns + 1) // 2:
            raise ModelError(f"MatMulBnb4 {plain(node.name or '')}: its weights are not {rows} × {columns} of 4 bits")
        codes = _codes(packed, rows * columns)
        numbers = codes.then(Lookup(NF4 if get("quant_type", 1) else FP4), codes.shape)
        scaled = numbers.then(Scale(largest.operand(), 0, get("block_size", 64)), codes.shape, largest)
        matrix = scaled.reshape(columns, rows).transpose(1, 0).reshape(1, rows, columns)
        sketch = Sketch(node, scope)
        sketch.product(Product(matrix, Dense(), batch_axis(source, scope, -1)), source, sketch.result())
        return sketch.done()


def _codes(packed: Weights, count: int) -> Weights:
    """All codes in one row; of each byte the high half comes first."""
    size = prod(packed.shape)
    pairs = packed.reshape(size, 1).then(UnpackBits(4), (size, 2)).flip(1)
    return pairs.reshape(2 * size).part(0, 0, count)

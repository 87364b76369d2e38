"""Why an operator behind a layer does not ride with it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from mho.passes.lower.reasons.wording import SHAPE_REMEDY
from mho.passes.lower.rule import Declined
from mho.targets.steps import Analog

_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu")


def why_not_folded(
    node: ir.Node, layer: Analog, readers: int, narrow: bool, differ: bool, functions: Sequence[str]
) -> Declined:
    """The first thing that keeps `node` out of the cores of the layer whose result it reads.

    Args:
        readers: how often the layer's result is read.
        narrow: the result is of a 16-bit format, or of an unknown one.
        differ: the shapes of its operands certainly differ.
        functions: what the cores compute beside scale and bias.
    """
    if readers > 1:
        return Declined("others read the result of the layer before it too")
    if layer.activation is not None:
        return Declined("it follows a layer's activation, which comes last in a core")
    if node.op_type in _ACTIVATIONS:
        missing = Declined("this machine's cores compute no activation", remedy=_machine("relu"))
        return Declined("its bounds are computed at run time") if "relu" in functions else missing
    if narrow:
        return Declined("in a 16-bit format the order of rounding shows")
    if node.op_type == "Mul":
        return Declined("its factor is no constant of one number a column, or follows an addition")
    if "add" not in functions:
        return Declined("this machine's cores add no values", remedy=_machine("add"))
    if layer.addend is not None:
        return Declined("the layer before it adds a value already")
    if differ:
        return Declined("what it adds has another shape than the layer's result")
    return Declined("the shapes of what it adds are not known", remedy=SHAPE_REMEDY)


def _machine(function: str) -> str:
    return f"choose a machine with '{function}' among core.functions"

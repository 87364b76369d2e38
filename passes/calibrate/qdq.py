"""Input ranges that a quantised model states itself, in its DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from mho.passes.levels.network import Network
from mho.targets.steps import Analog, Digital, walk

MOVERS = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "MaxPool", "Cast")
"""Operators that keep or drop values but make no new ones, so that a range holds behind them."""

CODES = (ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16)


def quantised_ranges(network: Network) -> Mapping[str, float]:
    """Layer → largest magnitude of its input's number format, for layers that read a DequantizeLinear.

    The lowest code of a signed format without zero point has no counterpart and is left out, as quantisers do: so
    the codes of the format are codes of a DAC with as many bits.
    """
    ranges: dict[str, float] = {}
    found: dict[str, float] = {}
    for step in walk(network.steps):
        if isinstance(step, Digital) and step.operators == ("DequantizeLinear",):
            found |= _range(network.graphs[step.graph][0], step, network)
        elif isinstance(step, Digital) and step.operators[0] in MOVERS and step.inputs[0] in found:
            found[step.outputs[0]] = found[step.inputs[0]]
        elif isinstance(step, Analog) and step.input in found:
            ranges[step.name] = found[step.input]
    return ranges


def _range(node: ir.Node, step: Digital, network: Network) -> dict[str, float]:
    """output → scale · the largest distance of a code from the zero point, where these are constants."""
    scale, zero = (network.tensors.get(_name(node, index)) for index in (1, 2))
    dtype = zero.dtype if zero is not None else _type(network.value_types.get(_name(node, 0)))
    if scale is None or scale.size != 1 or dtype not in CODES or (zero is None and _name(node, 2)):
        return {}
    limits = np.iinfo(dtype.numpy())
    point = int(zero.numpy().reshape(-1)[0]) if zero is not None else 0
    steps = int(limits.max) if point == 0 else max(point - int(limits.min), int(limits.max) - point)
    return {step.outputs[0]: float(scale.numpy().reshape(-1)[0]) * steps}


def _type(kind: ir.TypeProtocol | None) -> ir.DataType | None:
    return kind.dtype if isinstance(kind, ir.TensorType) else None


def _name(node: ir.Node, index: int) -> str:
    value = node.inputs[index] if index < len(node.inputs) else None
    return "" if value is None or value.name is None else value.name

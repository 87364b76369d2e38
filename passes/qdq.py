"""Input ranges that a quantised model states itself, in its DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from mho.passes.network import Network
from mho.targets.steps import Analog, Digital, walk

MOVERS = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "MaxPool")
"""Operators that keep or drop values but make no new ones, so that a range holds behind them."""


def quantised_ranges(network: Network) -> Mapping[str, float]:
    """Layer → largest magnitude that its input's number format can hold, for layers that read a DequantizeLinear."""
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
    """output → scale · max(|lowest code − zero point|, |highest code − zero point|), where these are constants."""
    scale = network.tensors.get(_name(node, 1))
    if scale is None or scale.size != 1:
        return {}
    zero = network.tensors.get(_name(node, 2))
    if zero is None or zero.dtype not in (ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16):
        return {}
    limits = np.iinfo(zero.dtype.numpy())
    point = int(zero.numpy().reshape(-1)[0])
    steps = max(abs(int(limits.min) - point), abs(int(limits.max) - point))
    return {step.outputs[0]: float(scale.numpy().reshape(-1)[0]) * steps}


def _name(node: ir.Node, index: int) -> str:
    value = node.inputs[index] if index < len(node.inputs) else None
    return "" if value is None or value.name is None else value.name

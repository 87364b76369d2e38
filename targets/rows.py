"""Rows: which part of its inputs a step needs before it can give a row of its output.

The rows of a value lie along one of its axes: the first spatial axis of what a window slides over, the positions of a
sequence, the time steps of a recurrent layer. A step gives its rows in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from mho.targets.unfolding import Window

Stride = Annotated[int, Field(ge=0, lt=2**31)]
Offset = Annotated[int, Field(gt=-(2**62), lt=2**62)]
Spread = Annotated[int, Field(ge=1, lt=2**31)]

# fmt: off
ELEMENTWISE = frozenset((
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Clip", "Cos",
    "Cosh", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid",
    "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul",
    "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin",
    "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
))
ROW_BY_ROW = frozenset((
    "BatchNormalization", "DequantizeLinear", "Dropout", "LRN", "QuantizeLinear",
))
ALONG_AN_AXIS = frozenset((
    "Hardmax", "LayerNormalization", "LogSoftmax", "RMSNormalization", "SimplifiedLayerNormalization", "Softmax",
))
REDUCTIONS = frozenset((
    "ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
))
RESHAPES = frozenset(("Flatten", "Reshape", "Squeeze", "Unsqueeze"))
POOLS = frozenset(("AveragePool", "LpPool", "MaxPool"))
# fmt: on
"""ONNX operators by what a row of their output needs: the same row of all inputs; the same row of the first input;
that, where the rows are before the axis that they normalise; where the rows' axis is left; where no rows are mixed;
the rows of a window."""

KEEPS_ROWS = (
    ELEMENTWISE | ROW_BY_ROW | ALONG_AN_AXIS | REDUCTIONS | RESHAPES | {"Concat", "MatMul", "Split", "Transpose"}
)
"""Operators whose output may have a row for each row of an input."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Row r of an output needs the rows of an input up to (stride · r + ahead) // spread, and at most its last one.

    A stride of 0 is the whole input, whatever the row.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    stride: Stride = 0
    ahead: Offset = 0
    spread: Spread = 1

    @property
    def whole(self) -> bool:
        return self.stride == 0

    def last(self, rows: int, given: int) -> NDArray[np.int64]:
        """Output row → the last row that it needs of an input of `given` rows; −1 where padding is enough."""
        if self.whole:
            return np.full(rows, given - 1, np.int64)
        reached = (self.stride * np.arange(rows, dtype=np.int64) + self.ahead) // self.spread
        return np.clip(reached, -1, given - 1)

    def covers(self, other: Reach, rows: int, given: int) -> bool:
        """Whether it waits for all that the other waits for."""
        return bool(np.all(self.last(rows, given) >= other.last(rows, given)))


WHOLE = Reach()
SAME = Reach(stride=1)


def window_reach(window: Window, rows: int, given: int) -> Reach:
    """Of a window's output of `rows` rows from an input of `given` rows.

    The last sample that row r meets is stride · r − padding + dilation · (kernel − 1) of the spread input.
    """
    reach = window.dilations[0] * (window.kernel[0] - 1)
    if window.pads is not None:
        before = window.pads[0][0]
    else:
        total = max(0, (rows - 1) * window.strides[0] + reach + 1 - given)
        before = total // 2 if window.auto_pad == "same_upper" else total - total // 2
    return Reach(stride=window.strides[0], ahead=reach - before, spread=window.spread[0])

"""What each layer of a program does to its sums, gathered from the steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mho.targets.steps import Activation, Analog, Recurrent, walk

if TYPE_CHECKING:
    from mho.runtime.sequencer import Executable

Column = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class LayerMath:
    """y = activation(scale · sums + bias + addend).

    A gate of a recurrent step has sums only, and so has a layer whose outputs are sums over several positions.

    Attributes:
        scale, bias: [columns], or None; float64 where the program stores them so, else float32.
        gate: whether it belongs to a recurrent step, whose state is float32.
    """

    layer: str
    matrix: str
    scale: Column | None = None
    bias: Column | None = None
    activation: Activation | None = None
    gate: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether its constants are wider than float32."""
        return any(column is not None and column.dtype != np.float32 for column in (self.scale, self.bias))

    def is_whole(self, stored: NDArray[Any]) -> bool:
        """Whether its sums are exact: the matrix is stored in whole numbers, so float64 holds what they add up to."""
        return stored.dtype.kind in "iu" and not self.gate


def layer_math(program: Executable) -> Iterator[LayerMath]:
    """The mathematics of what every layer's kernels compute, in the order of the sequence."""
    for step in walk(program.sequence):
        if isinstance(step, Analog) and step.unfolding.overlaps:
            yield LayerMath(step.name, step.matrix)
        elif isinstance(step, Analog):
            yield step_math(program, step, step.unfolding.channel_columns)
        elif isinstance(step, Recurrent):
            yield from (LayerMath(g.name, g.matrix, gate=True) for d in step.directions for g in d.gates)


def step_math(program: Executable, step: Analog, channel_columns: int = 1) -> LayerMath:
    """The mathematics of a step on its complete sums, each channel's constants for so many columns."""

    def constant(name: str | None) -> Column | None:
        if name is None:
            return None
        stored = np.repeat(program.tensors[f"constant/{name}"].reshape(-1), channel_columns)
        return stored if stored.dtype == np.float64 else stored.astype(np.float32)

    return LayerMath(step.name, step.matrix, constant(step.scale), constant(step.bias), step.activation)

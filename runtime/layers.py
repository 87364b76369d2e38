"""What each layer of a program does to its sums, gathered from the steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mho.runtime.sequencer import Executable
from mho.targets.steps import Activation, Analog, Recurrent, walk


@dataclass(frozen=True)
class LayerMath:
    """y = activation(scale · sums + bias + addend); a gate of a recurrent step has sums only.

    Attributes:
        scale, bias: [columns], or None.
    """

    layer: str
    matrix: str
    scale: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    activation: Activation | None = None


def layer_math(program: Executable) -> Iterator[LayerMath]:
    """The mathematics of every layer, in the order of the sequence."""

    def constant(name: str | None) -> NDArray[np.float32] | None:
        if name is None:
            return None
        return program.tensors[f"constant/{name}"].astype(np.float32).reshape(-1)

    for step in walk(program.sequence):
        if isinstance(step, Analog):
            yield LayerMath(step.name, step.matrix, constant(step.scale), constant(step.bias), step.activation)
        elif isinstance(step, Recurrent):
            yield from (LayerMath(g.name, g.matrix) for d in step.directions for g in d.gates)

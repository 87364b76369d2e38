"""`CheckWeights`: no matrix holds a number that is not one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Array, Matrix, evaluate
from mho.passes.levels.network import Network
from mho.targets.errors import ModelError, plain
from mho.targets.steps import layers

CHUNK = 1 << 20
"""Numbers that are looked at together."""

HALF_EXPONENT = np.uint16(0x7C00)
"""The bits of a float16 that are all set in what is not finite."""


@dataclass(frozen=True)
class CheckWeights:
    """Evaluates every matrix once, one at a time, and lets go of its file before the next."""

    def run(self, network: Network) -> Network:
        """The network as it is.

        Raises:
            ModelError: a matrix holds NaN or infinity; all such matrices are named, the worst first.
        """
        used = {layer.matrix: layer.name for layer in reversed(layers(network.steps))}
        # What overflows float32 is infinite, and counted as such.
        with np.errstate(over="ignore", invalid="ignore"):
            counts = [(_not_finite(m, network.tensors[m.recipe.tensor]), m) for m in network.matrices.values()]
        bad = sorted(((count, m) for count, m in counts if count), key=lambda found: -found[0] / found[1].weights)
        if bad:
            raise ModelError(
                f"layer {plain(used.get(m.name, m.name))}: {count} of its {m.weights} weights, from tensor "
                f"{plain(m.recipe.tensor)}, are NaN or infinite; a crossbar cannot hold them, so export the model "
                "again with finite weights"
                for count, m in bad
            )
        return network


def _not_finite(matrix: Matrix, source: ir.TensorProtocol) -> int:
    return count_not_finite(evaluate(matrix.recipe, source))


def count_not_finite(array: Array) -> int:
    """How many numbers are NaN or infinite; the array is looked at in the order in which it lies, in chunks."""
    if array.dtype.kind in "biu":
        return 0
    if array.dtype == np.float16:
        array = array.view(np.uint16)
    chunks = np.nditer(array, ("external_loop", "buffered", "zerosize_ok"), order="K", buffersize=CHUNK)
    return sum(_bad(chunk) for chunk in cast(Iterable[Array], chunks))


def _bad(chunk: Array) -> int:
    if chunk.dtype == np.uint16:
        return int(np.count_nonzero((chunk & HALF_EXPONENT) == HALF_EXPONENT))
    return len(chunk) - int(np.count_nonzero(np.isfinite(chunk.astype(np.float32, copy=False))))

"""`CheckWeights`: no matrix holds a number that is not one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.matrix import Matrix, evaluate
from mho.passes.levels.network import Network
from mho.targets.errors import ModelError, plain
from mho.targets.steps import layers


@dataclass(frozen=True)
class CheckWeights:
    """Evaluates every matrix once, one at a time, and lets go of its file before the next."""

    def run(self, network: Network) -> Network:
        """The network as it is.

        Raises:
            ModelError: a matrix holds NaN or infinity; all such matrices are named.
        """
        used = {layer.matrix: layer.name for layer in reversed(layers(network.steps))}
        # What overflows float32 is infinite, and counted as such.
        with np.errstate(over="ignore", invalid="ignore"):
            counts = {name: _not_finite(m, network.tensors[m.recipe.tensor]) for name, m in network.matrices.items()}
        problems = [
            f"layer {plain(used.get(m.name, m.name))}: {count} of its {m.weights} weights, from tensor "
            f"{plain(m.recipe.tensor)}, are NaN or infinite; a crossbar cannot hold them, so export the model again "
            "with finite weights"
            for name, m in network.matrices.items()
            if (count := counts[name])
        ]
        if problems:
            raise ModelError(problems)
        return network


def _not_finite(matrix: Matrix, source: ir.TensorProtocol) -> int:
    array = evaluate(matrix.recipe, source)
    count = array.size - int(np.count_nonzero(np.isfinite(array.astype(np.float32, copy=False))))
    if isinstance(source, ir.ExternalTensor):
        del array
        source.release()
    return count

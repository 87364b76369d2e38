"""`CudaMachine`: the machine as torch tensors, on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.effects import Conditions
from mho.runtime.engines.endings import NO_ENDING, Ending, layer_endings
from mho.runtime.engines.strips import plain_strips
from mho.runtime.engines.torch_draws import draw_table
from mho.runtime.engines.torch_strips import TensorStrip, end
from mho.runtime.machine import Machine
from mho.targets.program import Program

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]

CHUNK_NUMBERS = 1 << 27
"""Numbers, 512 MiB, that one layer has on the device at a time."""


def gpu_present() -> bool:
    """Whether PyTorch finds an NVIDIA GPU."""
    import torch

    return bool(torch.cuda.is_available())


class CudaMachine(Machine):
    """Implements `sequencer.Unit`, with the draws and the arithmetic of `Machine`.

    A layer whose products are more than rows times weights and noise of single sums is fired as `Machine` does it.

    Args:
        device: of torch; "cpu" computes the same without a GPU.
    """

    def __init__(self, program: Program, conditions: Conditions, device: str = "cuda") -> None:
        super().__init__(program, conditions)
        self._device = device
        self._table = draw_table(device)
        self._strips: dict[str, list[list[TensorStrip]] | None] = {}
        self._endings = layer_endings(program, conditions.effects)

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> Array:
        """See `sequencer.Unit.fire`."""
        ending, replicas = self._endings[layer], self._replicas(layer)
        if ending is None or replicas is None:
            return super().fire(layer, rows, fires, addend)
        return self._fire(layer, replicas, (rows, fires, addend), ending)

    def sums(self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        """See `Machine.sums`."""
        replicas = self._replicas(layer)
        if replicas is None:
            return super().sums(layer, rows, fires)
        return self._fire(layer, replicas, (rows, fires, None), NO_ENDING)

    def _fire(
        self,
        layer: str,
        replicas: Sequence[Sequence[TensorStrip]],
        given: tuple[Array, NDArray[np.int64], Array | None],
        ending: Ending,
    ) -> Array:
        import torch

        self.make_resident(layer)
        rows, fires, addend = given
        columns = self.columns(layer)
        out = np.empty((len(rows), columns), np.float32)
        size = max(1, CHUNK_NUMBERS // (rows.shape[1] + 4 * columns))
        with exact_products(), torch.no_grad():
            for number, replica in enumerate(replicas):
                mine = np.flatnonzero(fires % len(replicas) == number)
                for start in range(0, len(mine), size):
                    part = mine[start : start + size]
                    more = None if addend is None else self._moved(addend[part])
                    sums = torch.zeros((len(part), columns), dtype=torch.float32, device=self._device)
                    self._sum(replica, self._moved(rows[part]), self._moved(fires[part]), sums)
                    out[part] = end(sums, more, ending).cpu().numpy()
        return out

    def _sum(self, strips: Sequence[TensorStrip], rows: torch.Tensor, fires: torch.Tensor, sums: torch.Tensor) -> None:
        for strip in strips:
            strip.fire(rows, fires, self._table, sums)

    def _moved(self, array: Array) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _replicas(self, layer: str) -> list[list[TensorStrip]] | None:
        """The strips of each replica on the device; None where a product is not plain."""
        if layer not in self._strips:
            self._strips[layer] = self._found(layer)
        return self._strips[layer]

    def _found(self, layer: str) -> list[list[TensorStrip]] | None:
        target, effects = self.program.target, self.conditions.effects
        linked = self.linked(layer)
        found = plain_strips(linked, layer, target, self.conditions)
        if found is None:
            self._linked[layer] = linked
            return None
        return [[TensorStrip.of(strip, target, effects, self._device) for strip in replica] for replica in found]


@contextmanager
def exact_products() -> Iterator[None]:
    """Holds the GPU's products to float32 within the block; others may have allowed less."""
    import torch

    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    try:
        yield
    finally:
        matmul.allow_tf32 = before

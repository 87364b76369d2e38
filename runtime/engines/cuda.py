"""`CudaMachine`: the machine as torch tensors, on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.effects import Conditions
from mho.runtime.engines.endings import NO_ENDING, Ending, layer_endings
from mho.runtime.engines.lstm import FAST_CELLS
from mho.runtime.engines.strips import plain_strips
from mho.runtime.engines.torch_draws import draw_table
from mho.runtime.engines.torch_exact import exact_products
from mho.runtime.engines.torch_pictures import Picture, convolves
from mho.runtime.engines.torch_strips import Given, Rows, TensorStrip, end
from mho.runtime.machine import Machine
from mho.runtime.unfold import position_shape
from mho.targets.program import Program
from mho.targets.unfolding import Window

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]

CHUNK_NUMBERS = 1 << 27
"""Numbers, 512 MiB, of a layer's input and sums on the device at a time.

With draws and all that lies between it is up to three times as much.
"""


def gpu_present() -> bool:
    """Whether PyTorch finds an NVIDIA GPU."""
    import torch

    return bool(torch.cuda.is_available())


class CudaMachine(Machine):
    """Implements `sequencer.FastUnit`, with the draws and the arithmetic of `Machine`.

    A layer whose products are more than rows times weights and noise of single sums is fired as `Machine` does it.

    Args:
        device: of torch; "cpu" computes the same without a GPU.
    """

    def __init__(self, program: Program, conditions: Conditions, device: str = "cuda") -> None:
        super().__init__(program, conditions)
        self.cells = FAST_CELLS
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

    def fire_picture(
        self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None
    ) -> NDArray[np.float32] | None:
        """See `sequencer.FastUnit.fire_picture`."""
        ending, replicas = self._endings[layer], self._replicas(layer)
        if ending is None or replicas is None or len(replicas) > 1 or not convolves(x.shape, window):
            return None
        self.make_resident(layer)
        count, *spatial = position_shape(x.shape, window)
        columns, places = self.columns(layer), prod(spatial)
        out = np.empty((count, columns, *spatial), np.float32)
        more = None if addend is None else np.broadcast_to(addend, out.shape)
        with exact_products():
            for part in _parts(count, x[0].size + 4 * columns * places):
                fires = np.arange(first_fire + part.start * places, first_fire + part.stop * places)
                added = None if more is None else self._moved(more[part]).movedim(1, -1).reshape(-1, columns)
                picture = Picture.of(self._moved(x[part]), window)
                found = end(self._summed(replicas[0], picture, fires, columns), added, ending)
                out[part] = found.reshape(-1, *spatial, columns).movedim(-1, 1).cpu().numpy()
        return out

    def _fire(
        self,
        layer: str,
        replicas: Sequence[Sequence[TensorStrip]],
        given: tuple[Array, NDArray[np.int64], Array | None],
        ending: Ending,
    ) -> Array:
        self.make_resident(layer)
        rows, fires, addend = given
        columns = self.columns(layer)
        out = np.empty((len(rows), columns), np.float32)
        with exact_products():
            for number, replica in enumerate(replicas):
                mine = np.flatnonzero(fires % len(replicas) == number)
                for part in _parts(len(mine), rows.shape[1] + 4 * columns):
                    here = mine[part] if len(replicas) > 1 else part
                    added = None if addend is None else self._moved(addend[here])
                    sums = self._summed(replica, Rows(self._moved(rows[here])), fires[here], columns)
                    out[here] = end(sums, added, ending).cpu().numpy()
        return out

    def _summed(
        self, replica: Sequence[TensorStrip], given: Given, fires: NDArray[np.int64], columns: int
    ) -> torch.Tensor:
        """The complete sums [positions, columns] of a layer."""
        import torch

        counters = torch.from_numpy(np.array(fires, np.int64)).to(self._device)
        sums = torch.zeros((len(fires), columns), dtype=torch.float32, device=self._device)
        for strip in replica:
            strip.fire(given, counters, self._table, sums)
        return sums

    def _moved(self, array: Array) -> torch.Tensor:
        import torch

        # torch warns of arrays that may not be written to.
        return torch.from_numpy(np.require(array, np.float32, ["C", "W"])).to(self._device)

    def _replicas(self, layer: str) -> list[list[TensorStrip]] | None:
        """The strips of each replica on the device; None where a product is not plain."""
        if layer not in self._strips:
            with exact_products():
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


def _parts(count: int, numbers: int) -> Iterator[slice]:
    """Parts of `count` positions or samples that have `numbers` each on the device."""
    size = max(1, CHUNK_NUMBERS // numbers)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))

"""`FusedMachine`: the machine in compiled loops and onnxruntime's products, on all cores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.effects import Conditions
from mho.runtime.engines.endings import NO_ENDING, Ending, layer_endings
from mho.runtime.engines.lstm import FAST_CELLS
from mho.runtime.engines.pictures import NO_PLANES, Pictures, steps_over
from mho.runtime.engines.products import Convolving
from mho.runtime.engines.scratch import Buffers
from mho.runtime.engines.strips import Strip, plain_strips
from mho.runtime.engines.vectors import NO_ROWS, Vectors
from mho.runtime.machine import Machine
from mho.runtime.unfold import position_shape
from mho.runtime.workers import shared_workers
from mho.targets.program import Program
from mho.targets.unfolding import Window

Array = NDArray[Any]


class FusedMachine(Machine):
    """Implements `sequencer.FastUnit`, with the draws and the arithmetic of `Machine`.

    A layer whose products are more than rows times weights and noise of single sums is fired as `Machine` does it.
    Weights are handed to onnxruntime and not kept beside it.

    Args:
        buffers: from which results are taken; machines of one program share them.
    """

    def __init__(self, program: Program, conditions: Conditions, buffers: Buffers | None = None) -> None:
        super().__init__(program, conditions)
        self._buffers = buffers or Buffers()
        self.workers = shared_workers()
        self.cells = FAST_CELLS
        self._vectors: dict[str, list[Vectors] | None] = {}
        self._pictures: dict[tuple[str, Convolving], Pictures | None] = {}
        self._endings = layer_endings(program, conditions.effects)

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> Array:
        """See `sequencer.Unit.fire`."""
        ending = self._endings[layer]
        if ending is None:
            return super().fire(layer, rows, fires, addend)
        return self._fire(layer, rows, fires, addend, ending)

    def sums(self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        """See `Machine.sums`."""
        return self._fire(layer, rows, fires, None, NO_ENDING)

    def fire_picture(
        self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None
    ) -> NDArray[np.float32] | None:
        """See `sequencer.FastUnit.fire_picture`."""
        ending = self._endings[layer]
        pictures = None if ending is None else self._pictured(layer, x.shape, window)
        if pictures is None or ending is None:
            return None
        self.make_resident(layer)
        count, *spatial = position_shape(x.shape, window)
        out = self._buffers.empty((count, self.columns(layer), *spatial))
        more = NO_PLANES if addend is None else np.ascontiguousarray(np.broadcast_to(addend, out.shape), np.float32)
        picture = np.ascontiguousarray(x, np.float32)
        self.workers.run(list(pictures.tasks(picture, first_fire, more, ending, out, self.workers.count)))
        return out

    def _fire(self, layer: str, rows: Array, fires: NDArray[np.int64], addend: Array | None, ending: Ending) -> Array:
        replicas = self._vectored(layer)
        if replicas is None:
            sums = super().sums(layer, rows, fires)
            return sums if ending is NO_ENDING else self.finish(layer, sums, addend)
        self.make_resident(layer)
        shape = (len(rows), self.columns(layer))
        more = NO_ROWS if addend is None else np.ascontiguousarray(np.broadcast_to(addend, shape), np.float32)
        if len(replicas) == 1:
            return self._run(replicas[0], np.ascontiguousarray(rows), fires, more, ending, shape)
        out = np.empty(shape, np.float32)
        for number, replica in enumerate(replicas):
            mine = np.flatnonzero(fires % len(replicas) == number)
            part = more[mine] if more.size else more
            out[mine] = self._run(replica, rows[mine], fires[mine], part, ending, (len(mine), shape[1]))
        return out

    def _run(
        self,
        replica: Vectors,
        rows: Array,
        fires: NDArray[np.int64],
        addend: Array,
        ending: Ending,
        shape: tuple[int, int],
    ) -> Array:
        out = self._buffers.empty(shape)
        self.workers.run(list(replica.tasks(rows, fires, addend, ending, out, self.workers.count)))
        return out

    def _vectored(self, layer: str) -> list[Vectors] | None:
        """The replicas of a layer, or None where its products are not plain."""
        if layer not in self._vectors:
            found = self._strips(layer)
            target, effects = self.program.target, self.conditions.effects
            self._vectors[layer] = None if found is None else [Vectors.of(r, target, effects) for r in found]
        return self._vectors[layer]

    def _pictured(self, layer: str, shape: tuple[int, ...], window: Window) -> Pictures | None:
        """The layer as convolutions, or None where they cannot give what its tiles do."""
        steps = steps_over(shape, window)
        if steps is None:
            return None
        if (layer, steps) not in self._pictures:
            found = self._strips(layer)
            target, effects = self.program.target, self.conditions.effects
            single = found is not None and len(found) == 1
            pictures = Pictures.of(found[0], target, effects, window, steps) if found and single else None
            self._pictures[layer, steps] = pictures
        return self._pictures[layer, steps]

    def _strips(self, layer: str) -> list[list[Strip]] | None:
        """The strips of each replica; None, and the products kept for `Machine`, where a product is not plain."""
        if layer in self._linked:
            return None
        linked = self.linked(layer)
        found = plain_strips(linked, layer, self.program.target, self.conditions)
        if found is None:
            self._linked[layer] = linked
        return found

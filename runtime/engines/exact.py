"""`FastExactUnit`: exact arithmetic, convolutions as onnxruntime's Conv on whole pictures."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.engines.endings import Ending, end_planes, ending_of
from mho.runtime.engines.lstm import FAST_CELLS
from mho.runtime.engines.pictures import NO_PLANES, as_planes, steps_over
from mho.runtime.engines.products import Convolving, Products, Term
from mho.runtime.engines.tasks import spans
from mho.runtime.exact import ExactUnit
from mho.runtime.unfold import position_shape
from mho.runtime.workers import shared_workers
from mho.targets.program import Program
from mho.targets.unfolding import Window

Array = NDArray[Any]


class FastExactUnit(ExactUnit):
    """Implements `sequencer.FastUnit`; a layer of whole numbers or of wide constants is fired on its unfolded input."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.cells = FAST_CELLS
        self._workers = shared_workers()
        self._products: dict[tuple[str, Convolving], Products] = {}

    def fire_picture(
        self, layer: str, x: Array, window: Window, first_fire: int, addend: Array | None
    ) -> NDArray[np.float32] | None:
        """See `sequencer.FastUnit.fire_picture`."""
        math, steps = self.math(layer), steps_over(x.shape, window)
        stored = self.matrix(layer)
        if steps is None or math.is_wide or math.is_whole(stored) or stored.shape[0] > 1:
            return None
        count, *spatial = position_shape(x.shape, window)
        out = np.empty((count, stored.shape[2], *spatial), np.float32)
        more = None if addend is None else np.ascontiguousarray(np.broadcast_to(addend, out.shape), np.float32)
        picture, products = np.ascontiguousarray(x, np.float32), self._convolution(layer, stored, window, steps)
        parts = spans(count, picture[0].size + out[0].size, self._workers.count)
        fire = partial(_fire, products, ending_of(math))
        self._workers.run([partial(fire, picture[p], None if more is None else more[p], out[p]) for p in parts])
        return out

    def _convolution(self, layer: str, stored: Array, window: Window, steps: Convolving) -> Products:
        if (layer, steps) not in self._products:
            _, height, width = stored.shape
            channels = height // window.channel_rows
            kernels = np.ascontiguousarray(stored[0].T, np.float32).reshape(width, channels, *window.kernel)
            self._products[layer, steps] = Products(1, [Term(0, kernels)], steps)
        return self._products[layer, steps]


def _fire(products: Products, ending: Ending, x: Array, addend: Array | None, out: Array) -> None:
    products.bound([x], [out])()
    planes = as_planes(out)
    end_planes(planes, 0, out.shape[1], NO_PLANES if addend is None else as_planes(addend), ending)

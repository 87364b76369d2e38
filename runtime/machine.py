"""`Machine`: the whole array of tiles at once, as a few large matrix products a layer."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.runtime.crossbar import ProgrammedBlock, digitise, drive, multiply, output_noise, program_blocks
from mho.runtime.effects import Conditions, Effects, refuse_impossible
from mho.runtime.epilogue import finish_all
from mho.runtime.formats import rounded
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.link import LinkedLayer, Product, link_layer
from mho.runtime.residency import Residency
from mho.targets.program import Program, matrix_block

Array = NDArray[Any]

CHUNK_POSITIONS = 8192
"""Positions that one product takes at a time, so that its sums stay small beside the inputs."""


class Machine:
    """Implements `sequencer.Unit`: fires layers as a few products each.

    A layer's tiles are programmed and linked when it first fires; every draw depends on the conditions alone.
    Programmed blocks are kept until every layer that shares their matrix has products of them. Where tiles take turns a
    block is programmed as often as the turns ask, and always with the same devices: its draws are named by the block.

    Attributes:
        residency: what the tiles hold where they take turns; None where each core has a tile of its own.

    Raises:
        OptionError: the conditions are impossible on the program's machine.
    """

    def __init__(self, program: Program, conditions: Conditions) -> None:
        refuse_impossible(program.target, conditions)
        self.program = program
        self.conditions = conditions
        self.residency = None if program.reload is None else Residency(program, program.reload)
        self._math: dict[str, LayerMath] = {m.layer: m for m in layer_math(program)}
        self._matrices = {m.name: m for m in program.matrices}
        self._programmed: dict[str, dict[int, ProgrammedBlock]] = {}
        self._used: set[str] = set()
        self._linked: dict[str, LinkedLayer] = {}

    def fire(
        self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64], addend: Array | None = None
    ) -> Array:
        """See `sequencer.Unit.fire`: DAC, product, noise, ADC, sums of row blocks, epilogue."""
        return self.finish(layer, self.sums(layer, rows, fires), addend)

    def sums(self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        """The complete sums of a layer [positions, columns], as they come to its epilogue."""
        self.make_resident(layer)
        linked = self._link(layer)
        sums: Array = np.zeros((len(rows), self.columns(layer)), linked.dtype)
        count = len(linked.replicas)
        for start in range(0, len(rows), CHUNK_POSITIONS):
            chunk = slice(start, start + CHUNK_POSITIONS)
            for replica, products in enumerate(linked.replicas):
                chosen = slice(None) if count == 1 else fires[chunk] % count == replica
                part = np.zeros_like(sums[chunk][chosen])
                for product in products:
                    self._accumulate(part, product, layer, rows[chunk][chosen], fires[chunk][chosen])
                sums[chunk][chosen] = part
        return sums

    def finish(self, layer: str, sums: Array, addend: Array | None) -> Array:
        """The epilogue of a layer on its complete sums, which are overwritten."""
        finish_all(sums, self._math[layer], addend)
        return (
            rounded(sums, self.program.target.core.digital_format) if self.conditions.effects.digital_format else sums
        )

    def make_resident(self, layer: str) -> None:
        """Brings the layer's pages into the tiles, where tiles take turns."""
        if self.residency is not None:
            deque(self.residency.fire(layer), maxlen=0)

    def columns(self, layer: str) -> int:
        """The columns of a layer's matrix."""
        return self._matrices[self._math[layer].matrix].columns

    def math(self, layer: str) -> LayerMath:
        """What the layer does to its sums."""
        return self._math[layer]

    def _accumulate(
        self,
        sums: Array,
        product: Product,
        layer: str,
        rows: NDArray[np.float32],
        fires: NDArray[np.int64],
    ) -> None:
        target, effects = self.program.target, self.conditions.effects
        driven = drive(rows[:, slice(*product.rows)], product.input_range, target, effects)
        analog = self._multiply(driven, product, layer, fires)
        for block, first, last in product.noise_blocks:
            noise = output_noise(target, self.conditions, layer, block, fires, last - first)
            if noise is not None:
                analog[:, first:last] += noise
        digitise(analog, product.adc_range, target, effects, product.adc)
        analog *= product.unit
        sums[:, product.columns] += analog

    def _multiply(self, driven: NDArray[np.float32], product: Product, layer: str, fires: NDArray[np.int64]) -> Array:
        """The analog sums of a product: of all at once, or block by block where each has noise of its own."""
        if not product.parts:
            whole: Array = np.matmul(driven, product.weights)
            return whole
        analog = np.zeros((len(driven), len(product.unit)), np.float32)
        for part in product.parts:
            rows = driven[:, part.rows]
            analog[:, part.columns] += multiply(rows, part.block, self.conditions.reading_seed, layer, fires)
        return analog

    def _link(self, layer: str) -> LinkedLayer:
        if layer not in self._linked:
            self._linked[layer] = self.linked(layer)
        return self._linked[layer]

    def linked(self, layer: str) -> LinkedLayer:
        """The products of a layer; its blocks are let go when every layer of their matrix has been linked."""
        matrix = self._math[layer].matrix
        linked = link_layer(self.program.cores, layer, self._blocks(matrix))
        self._used.add(layer)
        if all(m.layer in self._used for m in self._math.values() if m.matrix == matrix):
            del self._programmed[matrix]
        stored = self.program.tensors[f"matrix/{matrix}"]
        ideal = self.conditions.effects == Effects.ideal()
        whole = ideal and self._math[layer].is_whole(stored)
        return _with_whole_numbers(linked, stored) if whole else linked

    def _blocks(self, matrix: str) -> dict[int, ProgrammedBlock]:
        """The programmed blocks of a matrix; layers that share it share them."""
        if matrix not in self._programmed:
            loads = [load for core in self.program.cores for load in core.loads if load.matrix == matrix]
            self._programmed[matrix] = program_blocks(self.program, loads, self.conditions)
        return self._programmed[matrix]


def _with_whole_numbers(linked: LinkedLayer, stored: Array) -> LinkedLayer:
    """The products with the weights as they are stored, so that nothing is rounded on the way to their sums."""
    return LinkedLayer(tuple(tuple(_whole(product, stored) for product in replica) for replica in linked.replicas))


def _whole(product: Product, stored: Array) -> Product:
    columns = np.arange(stored.shape[0] * stored.shape[2])[product.columns]
    first = int(columns.min())
    block = matrix_block(stored, product.rows, (first, int(columns.max()) + 1))[:, columns - first]
    return replace(product, input_range=1.0, weights=block.astype(np.float64), unit=np.ones_like(product.unit))

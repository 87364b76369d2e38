"""`Tiles`: what the tiles make of a layer's rows, by standard operators: converters, products, noise, partial sums.

The physics is that of `mho.runtime.crossbar`, the products those of `mho.runtime.link`; the weights are programmed,
drifted and read as on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mho.export.columns import assembled
from mho.export.converters import converted, noise, scaled, spread
from mho.export.graph import Graph
from mho.export.layouts import Layout
from mho.export.operators import added, vector
from mho.runtime.crossbar import Disturbance, ProgrammedBlock, program_blocks, reads
from mho.runtime.effects import Conditions, Effects
from mho.runtime.layers import LayerMath, layer_math
from mho.runtime.link import LinkedLayer, Part, Product, link_layer
from mho.targets.program import Program, matrix_block

Array = NDArray[Any]
Floats = NDArray[np.float32]

Adjust = Callable[[str, Array], None]
"""(layer, complete sums [positions, columns]): changes them in place, each column by a scale and a shift."""


class Tiles:
    """Writes the tiles of a program under some conditions.

    Args:
        adjust: what recalibration does to complete sums, or None.
    """

    def __init__(self, program: Program, conditions: Conditions, adjust: Adjust | None = None) -> None:
        self.program = program
        self.conditions = conditions
        self._adjust = adjust
        self._math: dict[str, LayerMath] = {m.layer: m for m in layer_math(program)}
        self._columns = {m.name: m.columns for m in program.matrices}
        self._rows = {m.name: m.rows for m in program.matrices}
        self._waiting: dict[str, set[str]] = {}
        for math in self._math.values():
            self._waiting.setdefault(math.matrix, set()).add(math.layer)
        self._programmed: dict[str, dict[int, ProgrammedBlock]] = {}

    @property
    def ideal(self) -> bool:
        """Whether no effect is on, so that layers are exact products."""
        return self.conditions.effects == Effects.ideal()

    def rows(self, layer: str) -> int:
        """Rows of a layer's matrix."""
        return self._rows[self._math[layer].matrix]

    def columns(self, layer: str) -> int:
        """Columns of a layer's matrix."""
        return self._columns[self._math[layer].matrix]

    def stored(self, layer: str) -> Array:
        """A layer's matrix as the program has it: [groups, rows / groups, columns / groups]."""
        return self.program.tensors[f"matrix/{self._math[layer].matrix}"]

    def is_whole(self, layer: str) -> bool:
        """Whether the sums of an exact layer are whole numbers, which float64 holds."""
        return self.ideal and self._math[layer].is_whole(self.stored(layer))

    def replicas(self, layer: str) -> tuple[tuple[Product, ...], ...]:
        """The products of each replica; of one alone where all replicas are alike."""
        matrix = self._math[layer].matrix
        if self.ideal:
            return ((self._exact(layer),),)
        linked = link_layer(self.program.cores, layer, self._blocks(matrix))
        self._waiting[matrix].discard(layer)
        if not self._waiting[matrix]:
            self._programmed.pop(matrix, None)
        return linked.replicas[:1] if _alike(linked) else linked.replicas

    def adjusted(self, graph: Graph, layer: str, sums: str, axis: int) -> str:
        """Complete sums as recalibration corrects them."""
        if self._adjust is None:
            return sums
        probes = np.zeros((2, self.columns(layer)))
        probes[1] = 1
        self._adjust(layer, probes)
        shift, scale = probes[0], probes[1] - probes[0]
        if np.all(scale == 1) and not shift.any():
            return sums
        moved = scaled(graph, sums, scale.astype(np.float32), axis)
        return graph.op("Add", moved, graph.constant(vector(shift.astype(np.float32), axis), "shift"))

    def sums(self, graph: Graph, layer: str, products: tuple[Product, ...], layout: Layout, value: str) -> str:
        """The complete sums of one replica for rows of float32."""
        driven: dict[float, str] = {}
        parts = []
        for product in products:
            if product.input_range not in driven:
                driven[product.input_range] = self._driven(graph, value, product.input_range)
            source = driven[product.input_range]
            parts.append((self._product(graph, layer, product, layout, source), _indices(product)))
        return assembled(graph, parts, self.columns(layer), layout.axis)

    def _blocks(self, matrix: str) -> dict[int, ProgrammedBlock]:
        if matrix not in self._programmed:
            loads = [load for core in self.program.cores for load in core.loads if load.matrix == matrix]
            self._programmed[matrix] = program_blocks(self.program, loads, self.conditions)
        return self._programmed[matrix]

    def _exact(self, layer: str) -> Product:
        """The whole matrix as one product that nothing disturbs."""
        rows, columns = (0, self.rows(layer)), (0, self.columns(layer))
        weights: Array = matrix_block(self.stored(layer), rows, columns)
        if self.is_whole(layer):
            weights = weights.astype(np.float64)
        ones = np.ones(columns[1], np.float32)
        return Product(rows, 1.0, weights, slice(*columns), ones, ones, ())

    def _driven(self, graph: Graph, value: str, input_range: float) -> str:
        """What the DACs put on the rows, in parts of the input range."""
        if input_range != 1:
            value = graph.op("Div", value, graph.constant(float(input_range), "input_range"))
        if not self.conditions.effects.dac:
            return value
        return converted(graph, value, np.ones(1, np.float32), self.program.target.dac.bits, -1)

    def _product(self, graph: Graph, layer: str, product: Product, layout: Layout, driven: str) -> str:
        target, effects, axis = self.program.target, self.conditions.effects, layout.axis
        if product.parts:
            analog = self._disturbed(graph, layer, product, layout, driven)
        else:
            rows = layout.part(graph, driven, product.rows, self.rows(layer))
            analog = layout.product(graph, rows, product.weights, product.rows)
        if target.noise.output > 0 and effects.output_noise:
            sigma = target.noise.output / sqrt(reads(target))
            names = ("output_noise", layer, product.noise_blocks[0][0])
            analog = graph.op("Add", analog, noise(graph, analog, sigma, self.conditions.reading_seed, *names))
        if product.adc is not None:
            analog = spread(graph, analog, product.adc, product.adc_range, axis)
        if effects.adc:
            analog = converted(graph, analog, product.adc_range, target.adc.bits, axis)
        return scaled(graph, analog, product.unit, axis)

    def _disturbed(self, graph: Graph, layer: str, product: Product, layout: Layout, driven: str) -> str:
        """The blocks one by one, those of the same columns added up."""
        charge: dict[tuple[int, int], list[str]] = {}
        for part in product.parts:
            value = self._part(graph, layer, part, product.rows[0], layout, driven)
            charge.setdefault((part.columns.start, part.columns.stop), []).append(value)
        sums = [(added(graph, values), np.arange(*columns)) for columns, values in charge.items()]
        return assembled(graph, sums, len(product.unit), layout.axis)

    def _part(self, graph: Graph, layer: str, part: Part, top: int, layout: Layout, driven: str) -> str:
        block, found = part.block, part.block.disturbance
        rows = top + part.rows.start, top + part.rows.stop
        x = layout.part(graph, driven, rows, self.rows(layer))
        if found is None:
            return layout.product(graph, x, block.weights, rows)
        number, seed = block.load.block, self.conditions.reading_seed
        if found.dac is not None:
            x = spread(graph, x, found.dac, 1.0, layout.axis)
        if found.input_noise:
            x = graph.op("Add", x, noise(graph, x, found.input_noise, seed, "input_noise", layer, number))
        sums = layout.product(graph, x, block.weights, rows)
        if found.wire:
            sums = graph.op("Sub", sums, _lost(graph, x, block.weights, found.wire, layout, rows))
        if found.variance is not None:
            squares = layout.product(graph, graph.op("Mul", x, x), found.variance, rows)
            normal = noise(graph, sums, 1.0, seed, "weight_noise", layer, number)
            sums = graph.op("Add", sums, graph.op("Mul", graph.op("Sqrt", squares), normal))
        return sums


def moves_rows(products: tuple[Product, ...]) -> bool:
    """Whether something acts on single rows, so that they have to be there one by one."""
    return any(_on_rows(part.block.disturbance) for product in products for part in product.parts)


def _on_rows(found: Disturbance | None) -> bool:
    return found is not None and (found.dac is not None or found.input_noise > 0)


def _lost(graph: Graph, x: str, weights: Floats, wire: float, layout: Layout, rows: tuple[int, int]) -> str:
    """What sums lose along the wires: see `mho.runtime.crossbar.ir_drop`."""
    current = layout.product(graph, graph.op("Abs", x), np.abs(weights), rows)
    a = graph.op("Mul", current, graph.constant(float(np.float32(wire)), "wire"))
    cubic = graph.op("Mul", a, graph.constant(0.05, "third"))
    square = graph.op("Mul", a, graph.op("Add", cubic, graph.constant(-0.2, "second")))
    c = graph.op("Mul", a, graph.op("Add", square, graph.constant(0.5, "first")))
    near = 1 - np.arange(len(weights), dtype=np.float32) / np.float32(len(weights))
    far = layout.product(graph, x, weights * (1 - near**2)[:, None], rows)
    return graph.op("Mul", c, far)


def _indices(product: Product) -> NDArray[np.intp]:
    if isinstance(product.columns, slice):
        return np.arange(product.columns.start, product.columns.stop)
    return product.columns


def _alike(linked: LinkedLayer) -> bool:
    """Whether every replica computes the same, so that it does not matter which takes a position."""
    first = linked.replicas[0]
    if any(len(replica) != len(first) for replica in linked.replicas):
        return False
    return all(_same(a, b) for replica in linked.replicas[1:] for a, b in zip(first, replica, strict=True))


def _same(a: Product, b: Product) -> bool:
    spreads = all(p.adc is None and not p.parts for p in (a, b))
    arrays = ((a.weights, b.weights), (a.unit, b.unit), (a.adc_range, b.adc_range), (_indices(a), _indices(b)))
    return spreads and (a.rows, a.input_range) == (b.rows, b.input_range) and all(np.array_equal(*p) for p in arrays)

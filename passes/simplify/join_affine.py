"""Writes what follows a matrix, affine per channel, in one form: one Mul and one Add."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.history import Gone
from mho.passes.levels.model import Model
from mho.passes.simplify.affine import Affine, Array, Channels, identity, is_inference_batch_norm, read_affine
from mho.passes.simplify.constants import constant_array, constant_values, record_origins, replace_value
from mho.passes.simplify.record import rewritten


@dataclass(frozen=True)
class Chain:
    """Consecutive affine nodes of which only the last one's output is used elsewhere, and what they compute."""

    source: ir.Value
    nodes: tuple[ir.Node, ...]
    channels: Channels
    affine: Affine


@dataclass(frozen=True)
class JoinAffine:
    """Composes batch norm and Mul, Add, Sub, Div by constants after Conv, ConvTranspose, Gemm and MatMul.

    Matrix → BatchNormalization → Mul → Add becomes Matrix → Mul → Add, with one constant per channel each, composed
    in float64; a scale of 1 and a shift of 0 are left out. The matrix's weights and bias stay as they are. A chain
    that begins with a batch norm is rewritten wherever it stands. Values of 16 bits or fewer are left alone: there
    the order of rounding shows.

    Attributes:
        size_limit: the largest constant that is read, in elements.
    """

    size_limit: int = 65536

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        names = _Names(graph_model)
        constants = constant_values(graph_model.graph)
        joined: set[ir.Node] = set()
        for node in list(graph_model.graph.all_nodes()):
            chain = None if node in joined else self._chain(node, constants)
            if chain is not None and not self._is_normal(chain):
                joined.update(chain.nodes)
                _rewrite(chain, names, graph_model.graph)
        return rewritten(model, graph_model, lambda node: Gone("removed", "with its neighbours it changes nothing"))

    def _chain(self, node: ir.Node, constants: AbstractSet[ir.Value]) -> Chain | None:
        """The affine chain that begins behind the matrix `node`, or at `node` if it is a batch norm."""
        source = node.inputs[0] if is_inference_batch_norm(node) else next(iter(node.outputs), None)
        channels = None if source is None else _channels(node, source, constants)
        if source is None or channels is None or source.dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
            return None
        affine, nodes, value = identity(channels.count), [], source
        step = node if is_inference_batch_norm(node) else _only_reader(value)
        while step is not None and (more := read_affine(step, value, channels, self.size_limit)) is not None:
            affine, value = affine.then(more), step.outputs[0]
            nodes.append(step)
            step = _only_reader(value)
        if not nodes or not _is_finite(affine, source.dtype):
            return None
        return Chain(source, tuple(nodes), channels, affine)

    def _is_normal(self, chain: Chain) -> bool:
        """Whether the chain has the joined form already."""
        if [node.op_type for node in chain.nodes] not in (["Mul"], ["Add"], ["Mul", "Add"]):
            return False
        constants = [constant_array(node.inputs[1], self.size_limit) for node in chain.nodes]
        return all(array is not None and array.shape == chain.channels.shape for array in constants)


def _only_reader(value: ir.Value) -> ir.Node | None:
    uses = value.uses()
    if len(uses) != 1 or value.is_graph_output():
        return None
    reader = next(iter(uses)).node
    return reader if reader.graph is value.graph else None


def _channels(node: ir.Node, value: ir.Value, constants: AbstractSet[ir.Value]) -> Channels | None:
    """Where the channels of `value`, the output of a matrix or the input of a batch norm, lie; None for other nodes."""
    rank = None if value.shape is None else len(value.shape)
    axis = _channel_axis(node, rank, constants)
    if rank is None or axis is None or not 0 <= axis < rank or value.shape is None:
        return None
    count = value.shape[axis]
    return Channels(axis, count, rank) if isinstance(count, int) and count > 0 else None


def _channel_axis(node: ir.Node, rank: int | None, constants: AbstractSet[ir.Value]) -> int | None:
    if node.domain != "" or rank is None:
        return None
    if node.op_type in ("Conv", "ConvTranspose", "Gemm") or is_inference_batch_norm(node):
        return 1
    if node.op_type != "MatMul":
        return None
    sides = [side for side in (0, 1) if _is_matrix(node.inputs[side], constants)]
    return rank - 2 + sides[0] if len(sides) == 1 else None


def _is_matrix(value: ir.Value | None, constants: AbstractSet[ir.Value]) -> bool:
    return value is not None and value.shape is not None and len(value.shape) == 2 and value in constants


def _is_finite(affine: Affine, dtype: ir.DataType) -> bool:
    """Whether no number overflows in `dtype`."""
    limit = np.finfo(dtype.numpy()).max
    return bool(np.all(np.abs(affine.scale) <= limit) and np.all(np.abs(affine.shift) <= limit))


class _Names:
    """Hands out names that no node and no value of the model has."""

    def __init__(self, model: ir.Model) -> None:
        self._taken = {node.name for node in model.graph.all_nodes()}
        for graph in model.graphs():
            self._taken |= {value.name for value in graph.inputs} | set(graph.initializers)
        self._taken |= {value.name for node in model.graph.all_nodes() for value in node.outputs}

    def new(self, wish: str) -> str:
        name, count = wish, 1
        while name in self._taken:
            count += 1
            name = f"{wish}_{count}"
        self._taken.add(name)
        return name


def _rewrite(chain: Chain, names: _Names, graph: ir.Graph) -> None:
    """Puts at most a Mul and an Add in the place of the chain's nodes."""
    last = chain.nodes[-1]
    body = last.graph
    if body is None:
        return
    value = chain.source
    for node in _new_nodes(chain, names, graph):
        record_origins(node, chain.nodes)
        body.insert_before(last, node)
        value = node.outputs[0]
    if replace_value(last.outputs[0], value):
        for node in reversed(chain.nodes):
            body.remove(node, safe=True)


def _new_nodes(chain: Chain, names: _Names, graph: ir.Graph) -> Iterator[ir.Node]:
    value = chain.source
    parts = (("Mul", "scale", chain.affine.scale, 1.0), ("Add", "shift", chain.affine.shift, 0.0))
    for operator, word, numbers, neutral in parts:
        if np.all(numbers == neutral):
            continue
        first, last = chain.nodes[0], chain.nodes[-1]
        name = names.new(f"{first.name if operator == 'Mul' else last.name}_{word}")
        constant = _initializer(numbers, chain, names.new(f"{name}_values"), graph)
        output = ir.Value(name=names.new(f"{name}_output"), type=chain.source.type, shape=chain.source.shape)
        yield ir.Node("", operator, [value, constant], name=name, outputs=[output])
        value = output


def _initializer(numbers: Array, chain: Chain, name: str, graph: ir.Graph) -> ir.Value:
    dtype = chain.source.dtype or ir.DataType.FLOAT
    array = numbers.astype(dtype.numpy()).reshape(chain.channels.shape)
    value = ir.Value(
        name=name, type=ir.TensorType(dtype), shape=ir.Shape(array.shape), const_value=ir.Tensor(array, name=name)
    )
    graph.register_initializer(value)
    return value

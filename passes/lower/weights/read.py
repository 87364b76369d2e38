"""Reads what lies between an initializer and a layer's weight input as a lazy recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from mho.passes.levels.recipe import Array, Recipe
from mho.passes.lower.rule import name_of, named, required
from mho.passes.lower.weights.constant import Inputs, Weights
from mho.passes.lower.weights.moves import MOVES, read_split
from mho.passes.lower.weights.numbers import NUMBERS

__all__ = ["Weights", "read_array", "read_weights", "required_weights"]

Reader = Callable[[ir.Node, Inputs, int], Weights | None]
"""Takes a node, what lies at its inputs, and the number of the output that is asked for."""


def _of_only_output(reader: Callable[[ir.Node, Inputs], Weights | None]) -> Reader:
    return lambda node, inputs, output: reader(node, inputs)


READERS: dict[str, Reader] = {
    **{operator: _of_only_output(reader) for operator, reader in {**MOVES, **NUMBERS}.items()},
    "Split": read_split,
}
DOMAINS: Mapping[str, Mapping[str, Reader]] = {
    "": READERS,
    "com.microsoft": {op: READERS[op] for op in ("DequantizeLinear", "QuantizeLinear")},
}
"""Domain → operator → how it is read behind an initializer."""


def read_weights(value: ir.Value | None) -> Weights | None:
    """The recipe of a constant, or None where the value is computed at run time or by other operators."""
    return _read(value) if value is not None and _is_constant(value) else None


def required_weights(node: ir.Node, index: int) -> Weights:
    """The recipe of an input that is known to be constant where the node has it.

    Raises:
        ModelError: it is left out.
    """
    read = read_weights(required(node, index))
    if read is None:
        raise ValueError("the input is not constant")
    return read


def read_array(value: ir.Value | None) -> Array | None:
    """The numbers of a small constant, or None where it is not one."""
    read = read_weights(value)
    return None if read is None else read.array()


def _is_constant(value: ir.Value) -> bool:
    """Whether nothing but initializers and operators that a recipe knows lies behind a value."""
    waiting, seen = [value], {value}
    while waiting:
        current = waiting.pop()
        if _tensor(current) is not None:
            continue
        node = current.producer()
        if node is None or _reader(node) is None:
            return False
        fresh = [v for v in node.inputs if v is not None and named(v) and v not in seen]
        seen.update(fresh)
        waiting += fresh
    return True


def _read(value: ir.Value) -> Weights | None:
    tensor, node = _tensor(value), value.producer()
    if tensor is not None:
        return Weights(Recipe(name_of(value)), tuple(tensor.shape.numpy()), tensor)
    reader = None if node is None else _reader(node)
    if node is None or reader is None:
        return None
    inputs = [_read(v) if v is not None and named(v) else None for v in node.inputs]
    given = [v is not None and bool(named(v)) for v in node.inputs]
    if any(read is None for read, there in zip(inputs, given, strict=True) if there):
        return None
    read = reader(node, inputs, list(node.outputs).index(value))
    return read.through(node) if read is not None else None


def _tensor(value: ir.Value) -> ir.TensorProtocol | None:
    """The tensor of an initializer or of a Constant node."""
    node = value.producer()
    if node is None:
        return None if value.is_graph_input() else value.const_value
    if node.op_type != "Constant" or node.domain != "":
        return None
    return ir.convenience.get_const_tensor(value)


def _reader(node: ir.Node) -> Reader | None:
    return DOMAINS.get(node.domain, {}).get(node.op_type)

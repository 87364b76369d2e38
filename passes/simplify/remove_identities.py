"""Removes nodes that pass their first input on unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mho.passes.levels.history import Gone
from mho.passes.levels.model import Model
from mho.passes.simplify.constants import constant_array, inference_dropout, replace_value
from mho.passes.simplify.record import rewritten

_CONSTANT_LIMIT = 4096


@dataclass(frozen=True)
class RemoveIdentities:
    """Removes Identity, Dropout at inference, and whatever has no effect: Transpose, Reshape, Cast, Mul by 1, ….

    A graph's outputs keep their names; a node that passes an input or initializer straight to an output stays,
    because a graph needs a node there.
    """

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        for node in list(graph_model.graph.all_nodes()):
            source = _passed_on(node)
            if source is not None and replace_value(node.outputs[0], source) and node.graph is not None:
                node.graph.remove(node, safe=True)
        return rewritten(model, graph_model, _without_effect)


def _without_effect(node: ir.Node) -> Gone:
    return Gone("removed", EFFECTS.get(node.op_type, _PASSED))


def _passed_on(node: ir.Node) -> ir.Value | None:
    """The input that equals the only used output of `node`, or None."""
    if node.domain != "" or not node.inputs or any(output.uses() for output in node.outputs[1:]):
        return None
    if any(output.is_graph_output() for output in node.outputs[1:]):
        return None
    test = _TESTS.get(node.op_type)
    if test is None or not test(node):
        return None
    return _variable(node) if node.op_type in _COMMUTATIVE else node.inputs[0]


def _always(node: ir.Node) -> bool:
    return True


def _single_input(node: ir.Node) -> bool:
    return len(node.inputs) == 1


def _same_dtype(node: ir.Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    return source is not None and source.dtype is not None and source.dtype == result.dtype


def _keeps_order(node: ir.Node) -> bool:
    permutation = node.attributes.get_ints("perm", None)
    return permutation is not None and list(permutation) == sorted(permutation)


def _same_shape(node: ir.Node) -> bool:
    """Whether a node that keeps all elements in order keeps the shape.

    One dimension may be unknown: with the others equal, and the number of elements too, it is the same.
    """
    source, result = node.inputs[0], node.outputs[0]
    if source is None or source.shape is None or result.shape is None or len(source.shape) != len(result.shape):
        return False
    pairs = zip(source.shape, result.shape, strict=True)
    unsure = [old for old, new in pairs if old != new or not isinstance(old, int)]
    return len(unsure) <= 1 and 0 not in source.shape


def _same_static_shape(node: ir.Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    if source is None or source.shape is None or result.shape is None:
        return False
    return source.shape.is_static() and result.shape.is_static() and source.shape == result.shape


def _slices_all(node: ir.Node) -> bool:
    steps = constant_array(node.inputs[4], _CONSTANT_LIMIT) if len(node.inputs) > 4 else np.ones(1)
    return _same_static_shape(node) and steps is not None and bool(np.all(steps == 1))


def _pads_nothing(node: ir.Node) -> bool:
    pads = node.attributes.get_ints("pads", None)
    if pads is None and len(node.inputs) > 1:
        array = constant_array(node.inputs[1], _CONSTANT_LIMIT)
        return array is not None and not array.any()
    return pads is not None and not any(pads)


def _variable(node: ir.Node) -> ir.Value | None:
    """The operand of a two-operand node that is not the constant."""
    first, second = node.inputs[:2]
    return second if constant_array(first, _CONSTANT_LIMIT) is not None else first


def _neutral(element: float) -> Callable[[ir.Node], bool]:
    """A test whether one operand is a constant of `element` everywhere that does not widen the other's shape."""

    def test(node: ir.Node) -> bool:
        variable = _variable(node) if node.op_type in _COMMUTATIVE else node.inputs[0]
        constant = next((each for each in node.inputs[:2] if each is not variable), None)
        array = constant_array(constant, _CONSTANT_LIMIT)
        if variable is None or variable.shape is None or array is None or not np.all(array == element):
            return False
        dims = list(variable.shape)[len(variable.shape) - array.ndim :] if array.ndim <= len(variable.shape) else None
        return dims is not None and all(mine in (1, theirs) for mine, theirs in zip(array.shape, dims, strict=True))

    return test


_COMMUTATIVE = ("Add", "Mul")
_TESTS: Mapping[str, Callable[[ir.Node], bool]] = {
    "Identity": _always,
    "Dropout": inference_dropout,
    "Concat": _single_input,
    "Sum": _single_input,
    "Max": _single_input,
    "Min": _single_input,
    "Mean": _single_input,
    "Cast": _same_dtype,
    "CastLike": _same_dtype,
    "Transpose": _keeps_order,
    "Reshape": _same_shape,
    "Flatten": _same_shape,
    "Expand": _same_static_shape,
    "Slice": _slices_all,
    "Pad": _pads_nothing,
    "Add": _neutral(0),
    "Sub": _neutral(0),
    "Mul": _neutral(1),
    "Div": _neutral(1),
}
_PASSED = "it passes its input on unchanged"
EFFECTS: Mapping[str, str] = {
    "Identity": _PASSED,
    "Concat": "it has one input",
    "Sum": "it has one input",
    "Max": "it has one input",
    "Min": "it has one input",
    "Mean": "it has one input",
    "Dropout": "it passes its input on unchanged at inference",
    "Cast": "its input has that type already",
    "CastLike": "its input has that type already",
    "Transpose": "it keeps the order of the axes",
    "Reshape": "its input has that shape already",
    "Flatten": "its input has that shape already",
    "Expand": "its input has that shape already",
    "Slice": "it takes the whole of its input",
    "Pad": "it adds nothing to its input",
    "Add": "it adds 0",
    "Sub": "it subtracts 0",
    "Mul": "it multiplies by 1",
    "Div": "it divides by 1",
}
"""Operator → why a node of it that is removed has no effect."""

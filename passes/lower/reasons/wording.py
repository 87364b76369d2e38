"""How a reason speaks of an operator's inputs: which one, where it comes from, and what would make it constant."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from mho.passes.lower.rule import Declined, dimensions, given, named, node_name
from mho.passes.lower.weights.read import read_weights
from mho.passes.simplify.constants import ORIGIN_KEY, draws_or_branches, origins
from mho.passes.simplify.fold_constants import NEVER_FOLDED

CONSTANT_REMEDY = "export the model so that it does not depend on the inputs, with its values as an initializer"
INITIALIZER_REMEDY = (
    "store its values in the model as an initializer; if the file has them as one, compile without --keep-inputs"
)
SHAPE_REMEDY = "fix the model's symbolic dimensions with --dim NAME=N, or export the model with fixed shapes"
UNFUSED_REMEDY = (
    "use the model from before an optimiser fused this operator, in which its products are MatMul, Gemm or Conv"
)
UNPACKED_REMEDY = "use the model from before its weights were packed, or one with DequantizeLinear in front of MatMul"
QDQ_REMEDY = "quantise the model with QuantizeLinear and DequantizeLinear around Conv, Gemm and MatMul (the QDQ format)"

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def ordinal(index: int) -> str:
    """`first` for 0."""
    return _ORDINALS[index] if index < len(_ORDINALS) else f"{index + 1}th"


def input_called(index: int, role: str = "") -> str:
    """`its second input` or, with a role, `its second input, the weights,`."""
    return f"its {ordinal(index)} input" + (f", {role}," if role else "")


def source_of(value: ir.Value | None) -> str:
    """Where a value comes from: `'q' from node 'scale' (Mul)`."""
    name = named(value)
    if value is None or name is None:
        return "left out"
    node = value.producer()
    if node is None:
        return f"'{name}', an {'input' if value.is_graph_input() else 'initializer'}"
    if node.graph is None and node.inputs:
        return source_of(node.inputs[0])  # a rule made this node and put it behind the user's value
    if ORIGIN_KEY in node.metadata_props:
        return f"'{name}' from node '{origins(node)[-1]}'"
    if node_name(node) == name:
        return f"'{name}' ({node.op_type})"
    return f"'{name}' from node '{node_name(node)}' ({node.op_type})"


def constant_expression(value: ir.Value | None) -> frozenset[str] | None:
    """The operators between initializers and a value that depends on nothing else; None for any other value."""
    operators: set[str] = set()
    seen: set[ir.Value] = set()
    waiting = [value] if value is not None else []
    if not waiting:
        return None
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        node = each.producer()
        if each.is_graph_input() or (node is None and each.const_value is None):
            return None
        if node is not None:
            if draws_or_branches(node):
                return None
            operators.add(node.op_type)
            waiting += [v for v in node.inputs if v is not None]
    return frozenset(operators)


def fold_remedy(operators: frozenset[str]) -> str:
    """How what depends on constants alone becomes one, where these operators lie between."""
    folded = "export the model with its constants folded"
    raised = "or raise fold_size_limit in the table [simplify] of --config above their size"
    return folded if operators & NEVER_FOLDED else f"{folded}, {raised}"


def not_constant(node: ir.Node, index: int, role: str = "") -> Declined:
    """That an input which must be constant is not: which one, where it comes from, what would change that."""
    value, which = given(node, index), input_called(index, role)
    if value is None:
        return Declined(f"{which} is left out")
    detail = source_of(value)
    operators = constant_expression(value)
    if operators is not None:
        reason = f"{which} is computed from constants, but not while compiling"
        return Declined(reason, detail, fold_remedy(operators))
    if value.is_graph_input():
        return Declined(f"{which} is an input and no constant", detail, INITIALIZER_REMEDY)
    return Declined(f"{which} is computed at run time", detail, CONSTANT_REMEDY)


def declined_constants(node: ir.Node, roles: Mapping[int, str]) -> Declined | None:
    """Why one of the inputs that must be constant where they are given is not; None where all are."""
    computed = (i for i in roles if (value := given(node, i)) is not None and read_weights(value) is None)
    index = next(computed, None)
    return None if index is None else not_constant(node, index, roles[index])


def no_constant_factor(node: ir.Node, first: int = 0, second: int = 1) -> Declined:
    """Why a product of two inputs has no weights, where none of them can be read as a constant."""
    folded = next((i for i in (first, second) if constant_expression(given(node, i)) is not None), None)
    if folded is not None:
        return not_constant(node, folded)
    reason = "both of its factors are computed at run time, as in attention, and a crossbar holds constants"
    return Declined(reason, f"{source_of(given(node, first))} and {source_of(given(node, second))}")


def two_constants(node: ir.Node) -> Declined:
    """That a product has no input that changes."""
    detail = f"{source_of(node.inputs[0])} and {source_of(node.inputs[1])}"
    return Declined("both of its factors are constants", detail, fold_remedy(frozenset()))


def unknown_rank(node: ir.Node, index: int) -> Declined:
    """That the number of axes of an input is not known."""
    return Declined(f"the rank of {input_called(index)} is not known", source_of(node.inputs[index]), SHAPE_REMEDY)


def shape_words(value: ir.Value | None) -> str:
    """`[N, 3, ?]`."""
    shape = None if value is None else dimensions(value)
    return "of unknown rank" if shape is None else f"[{', '.join('?' if d is None else str(d) for d in shape)}]"


def not_of_shape(node: ir.Node, index: int, role: str, wanted: str, remedy: str) -> Declined:
    """That an input has another shape than the wanted one: `one number`."""
    value = given(node, index)
    detail = f"{source_of(value)}, of shape {shape_words(value)}"
    return Declined(f"{input_called(index, role)} is not {wanted}", detail, remedy)

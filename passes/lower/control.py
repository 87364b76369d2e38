"""If, Loop and Scan whose bodies hold analog layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from mho.passes.lower.ports import port
from mho.passes.lower.rule import Declined, Lowered, Scope, join, name_of, named, node_name
from mho.targets.errors import ModelError, plain
from mho.targets.program import Decision
from mho.targets.steps import Body, Branch, Loop, Port, Scan, Step, layers

_NO_LAYERS = Declined("no operator with constant weights in its bodies")
_LAYERS_CONDITION = "A body holds an operator that runs analog; else the whole is one digital step."


@dataclass(frozen=True)
class IfRule:
    """If: one of two bodies runs."""

    operators: tuple[str, ...] = ("If",)
    where: str = "control"
    conditions: tuple[str, ...] = (_LAYERS_CONDITION,)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        then, then_parts = _body(node, "then_branch", scope)
        otherwise, other_parts = _body(node, "else_branch", scope)
        step = Branch(
            name=node_name(node),
            condition=name_of(node.inputs[0]),
            then=then,
            otherwise=otherwise,
            outputs=_outputs(node, scope),
        )
        return _done(node, step, then_parts, other_parts)


@dataclass(frozen=True)
class LoopRule:
    """Loop: a body runs a number of times or while a condition holds."""

    operators: tuple[str, ...] = ("Loop",)
    where: str = "control"
    conditions: tuple[str, ...] = (_LAYERS_CONDITION,)

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        body, parts = _body(node, "body", scope)
        step = Loop(
            name=node_name(node),
            trips=named(node.inputs[0]),
            condition=named(node.inputs[1]),
            carried=tuple(name_of(value) for value in node.inputs[2:]),
            body=body,
            outputs=_outputs(node, scope),
            slices=_slices(node, 1 + len(node.inputs[2:])),
        )
        return _done(node, step, parts)


@dataclass(frozen=True)
class ScanRule:
    """Scan: a body runs for each slice of its inputs."""

    operators: tuple[str, ...] = ("Scan",)
    where: str = "control"
    conditions: tuple[str, ...] = (_LAYERS_CONDITION, "The operator set of the model is 9 or newer.")

    def lower(self, node: ir.Node, scope: Scope) -> Lowered | Declined:
        if scope.opset < 9:
            remedy = "convert the model to operator set 9 or newer, for example with onnx.version_converter"
            return Declined("in operator set 8 it has another form", remedy=remedy)
        body, parts = _body(node, "body", scope)
        scanned = node.attributes.get_int("num_scan_inputs", 0)
        carried = len(node.inputs) - scanned
        slices = len(node.outputs) - carried
        get = node.attributes.get_ints
        step = Scan(
            name=node_name(node),
            state=tuple(name_of(value) for value in node.inputs[:carried]),
            scanned=tuple(name_of(value) for value in node.inputs[carried:]),
            input_axes=tuple(get("scan_input_axes", (0,) * scanned)),
            input_reverse=tuple(d != 0 for d in get("scan_input_directions", (0,) * scanned)),
            output_axes=tuple(get("scan_output_axes", (0,) * slices)),
            output_reverse=tuple(d != 0 for d in get("scan_output_directions", (0,) * slices)),
            body=body,
            outputs=_outputs(node, scope),
            slices=_slices(node, carried),
        )
        return _done(node, step, parts)


def _outputs(node: ir.Node, scope: Scope) -> tuple[str, ...]:
    """One name an output, a new one where it is left out."""
    return tuple(value.name or scope.values.fresh(f"{node_name(node)}/unused") for value in node.outputs)


def _body(node: ir.Node, attribute: str, scope: Scope) -> tuple[Body, Lowered]:
    if attribute not in node.attributes:
        raise ModelError(f"{node.op_type} {plain(node_name(node))} has no attribute {attribute}")
    graph = node.attributes[attribute].as_graph()
    lowered = scope.lower_body(graph)
    body = Body(
        inputs=tuple(name_of(value) for value in graph.inputs),
        steps=lowered.steps,
        outputs=tuple(name_of(value) for value in graph.outputs),
    )
    return body, replace(lowered, steps=())


def _slices(node: ir.Node, first: int) -> tuple[Port, ...]:
    """What the body gives of each scan output, which are its outputs from number `first`."""
    return tuple(port(value) for value in node.attributes["body"].as_graph().outputs[first:])


def _done(node: ir.Node, step: Step, *parts: Lowered) -> Lowered | Declined:
    if not layers((step,)):
        return _NO_LAYERS
    count = len(layers((step,)))
    decision = Decision(
        node=node_name(node),
        operator=node.op_type,
        unit="digital",
        reason="control flow around analog layers",
        detail=f"{count} in its bodies",
    )
    return join((Lowered(steps=(step,), decisions=(decision,)), *parts))

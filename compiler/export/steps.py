"""The steps of a program one after another as nodes, those of branches and loops as bodies."""

from __future__ import annotations

from mho.export.digital import write_digital
from mho.export.graph import Graph
from mho.export.layer import write_layer
from mho.export.operators import SELECT_SINCE, require
from mho.export.recurrent import write_recurrent
from mho.export.tiles import Tiles
from mho.runtime.inspect import ValueType
from mho.targets.errors import plain
from mho.targets.steps import Analog, Body, Branch, Digital, Loop, Recurrent, Scan, Step

NUMBER, TRUTH = ValueType("tensor(int64)", ()), ValueType("tensor(bool)", ())


def write_steps(graph: Graph, steps: tuple[Step, ...], tiles: Tiles) -> None:
    """The nodes of steps, in order.

    Raises:
        ProgramError: a step cannot be written; the sentence names it.
    """
    for step in steps:
        match step:
            case Analog():
                write_layer(graph, step, tiles)
            case Digital():
                write_digital(graph, step, tiles.program)
            case Recurrent():
                write_recurrent(graph, step, tiles)
            case Branch():
                _branch(graph, step, tiles)
            case Loop():
                _loop(graph, step, tiles)
            case Scan():
                _scan(graph, step, tiles)


def _branch(graph: Graph, step: Branch, tiles: Tiles) -> None:
    bodies = [_inside(graph, body, (), tiles) for body in (step.then, step.otherwise)]
    then, otherwise = (
        inner.body(f"{step.name}/{name}", (), body.outputs)
        for inner, body, name in zip(bodies, (step.then, step.otherwise), ("then", "else"), strict=True)
    )
    kinds = [bodies[0].kind(name) for name in step.then.outputs]
    _written(graph, step, "If", (step.condition,), kinds, then_branch=then, else_branch=otherwise)


def _loop(graph: Graph, step: Loop, tiles: Tiles) -> None:
    carried = [ValueType(graph.kind(name).type, None) for name in step.carried]
    inner = _inside(graph, step.body, (NUMBER, TRUTH, *carried), tiles)
    body = inner.body(f"{step.name}/body", step.body.inputs, step.body.outputs, step.slices)
    scanned = [ValueType(inner.kind(name).type, None) for name in step.body.outputs[1 + len(carried) :]]
    inputs = (step.trips or "", step.condition or "", *step.carried)
    _written(graph, step, "Loop", inputs, [*carried, *scanned], body=body)


def _scan(graph: Graph, step: Scan, tiles: Tiles) -> None:
    require(graph, SELECT_SINCE, f"loop {plain(step.name)}")
    state = [graph.kind(name) for name in step.state]
    slices = [_without_axis(graph.kind(name), axis) for name, axis in zip(step.scanned, step.input_axes, strict=True)]
    inner = _inside(graph, step.body, (*state, *slices), tiles)
    body = inner.body(f"{step.name}/body", step.body.inputs, step.body.outputs, step.slices)
    stacked = [ValueType(inner.kind(name).type, None) for name in step.body.outputs[len(state) :]]
    _written(
        graph,
        step,
        "Scan",
        (*step.state, *step.scanned),
        [*state, *stacked],
        body=body,
        num_scan_inputs=len(step.scanned),
        scan_input_axes=list(step.input_axes),
        scan_input_directions=[int(reverse) for reverse in step.input_reverse],
        scan_output_axes=list(step.output_axes) or None,
        scan_output_directions=[int(reverse) for reverse in step.output_reverse] or None,
    )


def _inside(graph: Graph, body: Body, kinds: tuple[ValueType, ...], tiles: Tiles) -> Graph:
    """The steps of a body in a graph of its own, its inputs of these types."""
    inner = graph.inner()
    inner.kinds |= zip(body.inputs, kinds, strict=True)
    write_steps(inner, body.steps, tiles)
    inner.within("body")
    return inner


def _written(
    graph: Graph,
    step: Branch | Loop | Scan,
    operator: str,
    inputs: tuple[str, ...],
    kinds: list[ValueType],
    **given: object,
) -> None:
    """The node of a step with bodies, its outputs under the program's names."""
    graph.within(step.name)
    names = graph.ops(operator, inputs, len(step.outputs), **given)
    node = graph.nodes[-1]
    assert list(node.output) == names
    node.output[:] = step.outputs
    graph.kinds |= zip(step.outputs, kinds, strict=True)


def _without_axis(kind: ValueType, axis: int) -> ValueType:
    if kind.shape is None:
        return kind
    axis %= len(kind.shape)
    return ValueType(kind.type, (*kind.shape[:axis], *kind.shape[axis + 1 :]))

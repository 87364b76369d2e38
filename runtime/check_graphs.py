"""Checks of a program's digital graphs, which need onnxruntime and so stand apart from `mho.targets.check.check`."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from mho.runtime.digital import checked_graph
from mho.runtime.inspect import unknown_operators
from mho.targets.errors import ProgramError, brief, plain
from mho.targets.program import Program
from mho.targets.steps import Digital, walk


def check_graphs(program: Program) -> tuple[str, ...]:
    """What is wrong with the digital graphs, a sentence each: files they name, operators nobody knows, values."""
    steps = {step.graph: step for step in walk(program.sequence) if isinstance(step, Digital)}
    present = {graph: step for graph, step in steps.items() if f"graph/{graph}" in program.tensors}
    return tuple(problem for graph, step in present.items() for problem in _problems(graph, step, program))


def _problems(graph: str, step: Digital, program: Program) -> Iterator[str]:
    try:
        content = checked_graph(graph, program.tensors[f"graph/{graph}"].tobytes())
    except ProgramError as error:
        yield from error.problems
        return
    model = onnx.ModelProto.FromString(content)
    where = f"the graph of digital step {plain(step.name)}"
    local = {(function.domain, function.name) for function in model.functions}
    unknown = unknown_operators({(node.domain, node.op_type) for node in _nodes(model)}) - local
    for domain, operator in sorted(unknown):
        yield f"{where} uses operator {brief(operator)} of domain '{brief(domain)}', which onnxruntime does not know"
    read = {value.name for value in model.graph.input}
    yield from (f"{where} reads {brief(name)}, which the step does not" for name in sorted(read - set(step.inputs)))
    written = {value.name for value in model.graph.output}
    yield from (f"{where} does not give {brief(name)}" for name in step.outputs if name not in written)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node

"""Functions of a model, which the import puts in the place of their calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import onnx

from mho.frontend.walk import walk_body
from mho.targets.errors import brief

MAX_INLINED_NODES = 100_000
MAX_CALL_DEPTH = 256

_MANY = 10**12
_SHOWN = 5

Function = tuple[str, str, str]
Calls = Mapping[Function, Sequence[Function]]


def function_problems(model: onnx.ModelProto) -> list[str]:
    """Functions that are there twice, that call themselves, or that grow beyond a limit when they are inlined."""
    keys = Counter(_key(body) for body in model.functions)
    doubles = [f"function {brief(key[1])} is there {count} times" for key, count in keys.items() if count > 1]
    if doubles:
        return doubles
    calls = _calls(model)
    try:
        order = tuple(
            TopologicalSorter({key: [c for c in called if c in calls] for key, called in calls.items()}).static_order()
        )
    except CycleError as error:
        names = [brief(name) for _, name, _ in error.args[1]]
        shown = names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], "…", names[-1]]
        return [f"function calls itself: {' -> '.join(shown)}"]
    return _growth_problems(model, calls, order)


def remove_unused_functions(model: onnx.ModelProto) -> None:
    """Removes, in place, the functions that no node of the graph leads to."""
    calls = _calls(model)
    used: set[Function] = set()
    waiting = [_callee(node) for _, node in walk_body(model.graph.node)]
    while waiting:
        key = waiting.pop()
        if key in calls and key not in used:
            used.add(key)
            waiting += calls[key]
    kept = [body for body in model.functions if _key(body) in used]
    if len(kept) < len(model.functions):
        copies = onnx.ModelProto(functions=kept)
        del model.functions[:]
        model.functions.MergeFrom(copies.functions)


def _growth_problems(model: onnx.ModelProto, calls: Calls, order: Sequence[Function]) -> list[str]:
    sizes: dict[Function, int] = {}
    depths: dict[Function, int] = {}
    for key in order:
        sizes[key] = min(_MANY, sum(sizes.get(callee, 1) for callee in calls[key]))
        depths[key] = 1 + max((depths.get(callee, 0) for callee in calls[key]), default=0)
    total = sum(sizes.get(_callee(node), 1) for _, node in walk_body(model.graph.node))
    problems = []
    if total > MAX_INLINED_NODES:
        count = f"{total:,}" if total < _MANY else f"more than {_MANY:,}"
        problems.append(f"its functions grow to {count} nodes when inlined; the limit is {MAX_INLINED_NODES:,}")
    if (deepest := max(depths.values(), default=0)) > MAX_CALL_DEPTH:
        problems.append(f"its functions call each other {deepest:,} deep; the limit is {MAX_CALL_DEPTH}")
    return problems


def _calls(model: onnx.ModelProto) -> Calls:
    return {_key(body): [_callee(node) for _, node in walk_body(body.node)] for body in model.functions}


def _key(body: onnx.FunctionProto) -> Function:
    return body.domain, body.name, body.overload


def _callee(node: onnx.NodeProto) -> Function:
    return node.domain, node.op_type, node.overload

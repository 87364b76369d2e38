"""Settles the decisions on nodes whose digital steps were dropped: they are part of a layer's constants, or dead."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace

import onnx_ir as ir

from mho.passes.lower.digital import nodes_inside
from mho.passes.lower.rule import Lowered, node_name
from mho.targets.program import Decision

_MOST_LAYERS = 3


def settled_decisions(lowered: Lowered, graph: ir.Graph, alive: Set[str]) -> tuple[Decision, ...]:
    """The decisions of all nodes, given the names of the steps that are left."""
    dropped = {name: nodes[0] for name, nodes in lowered.graphs.items() if name not in alive}
    holder = {node_name(n): name for name, node in dropped.items() for n in nodes_inside(node)}
    analog = {d.node for d in lowered.decisions if d.unit == "analog"}
    known = {node_name(node): node for node in graph.all_nodes()}

    def settled(decision: Decision) -> Decision:
        name = holder.get(decision.node, decision.node)
        if name not in dropped or name not in known:
            return decision
        users = tuple(dict.fromkeys(_users(known[name], dropped.keys(), analog)))
        weights = [n for n, m in lowered.matrices.items() if name in m.origins]
        if not users and not weights:
            return replace(decision, unit="removed", reason="nothing reads its result", detail="", remedy="")
        what = "part of a layer's weights" if weights else "part of a layer's bias or scale"
        return replace(decision, unit="constant", reason=what, detail=_listed(users or tuple(weights)), remedy="")

    return tuple(settled(decision) for decision in lowered.decisions)


def _users(node: ir.Node, dropped: Set[str], analog: Set[str]) -> Iterator[str]:
    """The layers' nodes that read a result of `node`, at once or through dropped nodes."""
    seen: set[ir.Node] = set()
    waiting = [node]
    while waiting:
        for reader in (use.node for output in waiting.pop().outputs for use in output.uses()):
            if reader in seen:
                continue
            seen.add(reader)
            if node_name(reader) in analog:
                yield node_name(reader)
            elif node_name(reader) in dropped:
                waiting.append(reader)


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - _MOST_LAYERS
    return ", ".join(names[:_MOST_LAYERS]) + (f" and {rest} more" if rest > 0 else "")

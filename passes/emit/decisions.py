"""What is said about each node of the user's file: the network's decisions, carried back to the file's nodes."""

from __future__ import annotations

from dataclasses import replace

from mho.passes.levels.history import FileNode, Gone
from mho.passes.levels.network import Network
from mho.targets.program import Decision, Unit

_PRIORITY: tuple[Unit, ...] = ("digital", "analog", "core", "constant", "removed")
_REWRITTEN = Gone("removed", "other nodes stand in its place")


def file_decisions(network: Network) -> tuple[Decision, ...]:
    """One decision for each node of the file in its order, then those on nodes that no file has."""
    found: dict[str, list[Decision]] = {}
    for decision in network.decisions:
        for name in network.stand_ins.get(decision.node, (decision.node,)):
            found.setdefault(name, []).append(decision)
    settled = tuple(_decision(node, found.pop(node.name, []), network) for node in network.history.nodes)
    strangers = (_joined(FileNode(name, several[0].operator), several) for name, several in found.items())
    return (*settled, *strangers)


def _decision(node: FileNode, found: list[Decision], network: Network) -> Decision:
    if found:
        return _joined(node, found)
    gone = network.history.gone.get(node.name, _REWRITTEN)
    return Decision(node=node.name, operator=node.operator, unit=gone.unit, reason=gone.reason, detail=gone.detail)


def _joined(node: FileNode, found: list[Decision]) -> Decision:
    """The decisions on the nodes that stand for one, as one: what is digital counts before what is not."""
    unit = min((d.unit for d in found), key=_PRIORITY.index)
    chosen = [d for d in found if d.unit == unit]
    return replace(
        chosen[0],
        node=node.name,
        operator=node.operator,
        reason="; ".join(dict.fromkeys(d.reason for d in chosen)),
        detail=", ".join(dict.fromkeys(d.detail for d in chosen if d.detail)),
        remedy="; ".join(dict.fromkeys(d.remedy for d in chosen if d.remedy)),
    )

"""Keeps a model's history true when a pass takes nodes away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import onnx_ir as ir

from mho.passes.levels.history import Gone
from mho.passes.levels.model import Model
from mho.passes.simplify.constants import origins


def rewritten(model: Model, graph_model: ir.Model, gone: Callable[[ir.Node], Gone]) -> Model:
    """`model` with the graph that a pass made of it; the history tells of each node that the graph lacks.

    Args:
        gone: what became of a node of the graph before the pass, where no node of the graph behind it stands for it.
    """
    present = {name for node in graph_model.graph.all_nodes() for name in origins(node)}
    lost = {name: gone(node) for node in model.ir.graph.all_nodes() for name in origins(node) if name not in present}
    return replace(model, ir=graph_model, history=model.history.without(lost))

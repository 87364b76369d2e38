"""Removes what no output needs."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
import onnx_ir.passes.common

from mho.passes.levels.history import Gone
from mho.passes.levels.model import Model
from mho.passes.simplify.record import rewritten


@dataclass(frozen=True)
class RemoveDead:
    """Removes nodes whose outputs nobody reads, unused optional outputs and unused initializers, in subgraphs too.

    Inputs and outputs of the model stay as they are.
    """

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        ir.passes.common.RemoveUnusedNodesPass()(graph_model)
        return rewritten(model, graph_model, lambda node: Gone("removed", "nothing reads its result"))

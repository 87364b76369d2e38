"""Removes what no output needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir
import onnx_ir.passes.common

from mho.passes.levels.model import Model


@dataclass(frozen=True)
class RemoveDead:
    """Removes nodes whose outputs nobody reads, unused optional outputs and unused initializers, in subgraphs too.

    Inputs and outputs of the model stay as they are.
    """

    def run(self, model: Model) -> Model:
        graph_model = model.ir.clone()
        ir.passes.common.RemoveUnusedNodesPass()(graph_model)
        return replace(model, ir=graph_model)

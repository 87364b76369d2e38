"""Refuses models that ask for more memory than any network needs, before anything is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from mho.passes.levels.model import Model
from mho.targets.errors import ModelError, brief

MAX_ELEMENTS = 2**28
"""A gibibyte of float32."""


@dataclass(frozen=True)
class CheckSizes:
    """Checks the known shapes; an open dimension counts as 1.

    A value may be as large as the largest one it is made from: what a weight's own file holds is no surprise.

    Attributes:
        size_limit: the largest input of the model, and the largest value made of smaller ones, in elements.
    """

    size_limit: int = MAX_ELEMENTS

    def run(self, model: Model) -> Model:
        """The model as it is.

        Raises:
            ModelError: names every node that makes too large a value, and every input that is one.
        """
        graph = model.ir.graph
        problems = [f"input '{brief(v.name or '')}' {self._text(v)}" for v in graph.inputs if self._is_large(v)]
        problems += [
            f"node '{brief(node.name or '')}' ({brief(node.op_type)}) would write a value that {self._text(value)}"
            for node in graph.all_nodes()
            for value in self._written(node)
        ]
        if problems:
            raise ModelError(problems)
        return model

    def _written(self, node: ir.Node) -> Iterator[ir.Value]:
        largest = max((least_elements(value) for value in node.inputs if value is not None), default=0)
        return (value for value in node.outputs if self._is_large(value) and least_elements(value) > largest)

    def _is_large(self, value: ir.Value) -> bool:
        return least_elements(value) > self.size_limit

    def _text(self, value: ir.Value) -> str:
        dims = ", ".join(str(d) if isinstance(d, int) else brief(str(d.value or "?")) for d in value.shape or ())
        return (
            f"has the shape [{dims}], {least_elements(value):,} elements; the limit is {self.size_limit:,}, "
            "which value_size_limit of [simplify] in a --config file sets"
        )


def least_elements(value: ir.Value) -> int:
    """The number of elements where each open dimension is 1, and 0 where the rank is unknown."""
    if value.shape is None:
        return 0
    return math.prod(max(dim, 0) for dim in value.shape if isinstance(dim, int))

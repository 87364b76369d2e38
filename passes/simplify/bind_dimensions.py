"""Fixes symbolic dimensions of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import onnx_ir as ir

from mho.passes.levels.model import Model
from mho.passes.simplify.infer_shapes import InferShapes
from mho.targets.errors import OptionError, plain


@dataclass(frozen=True)
class BindDimensions:
    """Replaces the named dimensions of the graph's inputs by numbers and infers all shapes again.

    Attributes:
        dimensions: the number of elements by the dimension's name.

    Raises:
        OptionError: a name that no input has, or a number below 1.
        ModelError: the numbers contradict the model.
    """

    dimensions: Mapping[str, int]

    def run(self, model: Model) -> Model:
        problems = self._problems(model)
        if problems:
            raise OptionError(problems)
        if not self.dimensions:
            return model
        graph_model = model.ir.clone()
        for value in graph_model.graph.inputs:
            if value.shape is not None:
                value.shape = ir.Shape([self._bound(dimension) for dimension in value.shape])
        for node in graph_model.graph.all_nodes():
            for output in node.outputs:
                output.shape = None
        return InferShapes().run(replace(model, ir=graph_model))

    def _bound(self, dimension: int | ir.SymbolicDim) -> int | ir.SymbolicDim:
        if isinstance(dimension, int) or dimension.value is None:
            return dimension
        return self.dimensions.get(dimension.value, dimension)

    def _problems(self, model: Model) -> list[str]:
        known = symbolic_dimensions(model)
        listed = ", ".join(plain(name) for name in known) or "none"
        problems = [
            f"{plain(model.name)} has no symbolic dimension '{plain(name)}'; its inputs have: {listed}"
            for name in self.dimensions
            if name not in known
        ]
        return problems + [
            f"dimension '{plain(name)}' is {size}: it must be at least 1"
            for name, size in self.dimensions.items()
            if size < 1
        ]


def bind_dimensions(model: Model, dimensions: Mapping[str, int]) -> Model:
    """`model` with the symbolic dimensions of its inputs fixed, as `BindDimensions` does it."""
    return BindDimensions(dimensions).run(model)


def symbolic_dimensions(model: Model) -> tuple[str, ...]:
    """The names of the symbolic dimensions of the inputs, in order of appearance, each once."""
    names: dict[str, None] = {}
    for value in model.ir.graph.inputs:
        for dimension in value.shape or ():
            if isinstance(dimension, ir.SymbolicDim) and dimension.value is not None:
                names[dimension.value] = None
    return tuple(names)

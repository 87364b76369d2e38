"""`Matrix`: a layer's weights, as a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from mho.passes.levels.recipe import Array, Recipe, evaluate

__all__ = ["Array", "Matrix", "Recipe", "evaluate"]


@dataclass(frozen=True)
class Matrix:
    """Weights with rows = inputs and columns = outputs.

    Attributes:
        recipe: gives an array of shape [groups, rows / groups, columns / groups].
        rows, columns: of the whole; with several groups it is block-diagonal.
        zeros: entries inside the groups that no weight of the model fills, as beside the kernels of a wide window.
        copies: how often each weight of the model is stored.
        origins: names of the ONNX tensors and nodes that it comes from.
    """

    name: str
    recipe: Recipe
    rows: int
    columns: int
    groups: int = 1
    origins: tuple[str, ...] = ()
    zeros: int = 0
    copies: int = 1

    @property
    def weights(self) -> int:
        """Number of entries, the zeros between groups not counted."""
        return self.rows * self.columns // self.groups

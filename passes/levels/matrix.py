"""`Matrix`: a recipe for a layer's weights, so that nothing is materialised before it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Reshape:
    shape: tuple[int, ...]

    def apply(self, array: Array) -> Array:
        return array.reshape(self.shape)


@dataclass(frozen=True)
class Transpose:
    axes: tuple[int, ...]

    def apply(self, array: Array) -> Array:
        return array.transpose(self.axes)


@dataclass(frozen=True)
class Slice:
    """A part of one axis; a step of −1 with None ends flips it."""

    axis: int
    start: int | None
    stop: int | None
    step: int = 1

    def apply(self, array: Array) -> Array:
        index = [slice(None)] * array.ndim
        index[self.axis] = slice(self.start, self.stop, self.step)
        return array[tuple(index)]


@dataclass(frozen=True)
class Parts:
    """Half-open ranges of one axis, one behind the other, as where gates are brought into another order."""

    axis: int
    spans: tuple[tuple[int, int], ...]

    def apply(self, array: Array) -> Array:
        return np.concatenate([Slice(self.axis, *span).apply(array) for span in self.spans], self.axis)


@dataclass(frozen=True)
class Cast:
    """To float32, through the number format `through` (onnxruntime's rounding of a Cast) where it is given."""

    through: str | None = None

    def apply(self, array: Array) -> Array:
        if self.through is not None:
            array = array.astype(ir.DataType[self.through].numpy())
        return array.astype(np.float32)


@dataclass(frozen=True)
class Dequantize:
    """(array − zero_point) · scale along an axis, or for the whole tensor where the scale has one number."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int

    def apply(self, array: Array) -> Array:
        shape = [1] * array.ndim
        if len(self.scale) > 1:
            shape[self.axis] = len(self.scale)
        scale = np.array(self.scale, np.float32).reshape(shape)
        zero_point = np.array(self.zero_point, np.int32).reshape(shape)
        return (array.astype(np.int32) - zero_point).astype(np.float32) * scale


Operation = Reshape | Transpose | Slice | Parts | Cast | Dequantize


@dataclass(frozen=True)
class Recipe:
    """A tensor of the model and what is done to it, in order. Two equal recipes are one matrix.

    Attributes:
        tensor: name of the source, unique in the model.
    """

    tensor: str
    operations: tuple[Operation, ...] = ()

    def then(self, *operations: Operation) -> Recipe:
        return Recipe(self.tensor, self.operations + operations)


@dataclass(frozen=True)
class Matrix:
    """Weights with rows = inputs and columns = outputs.

    Attributes:
        recipe: gives an array of shape [groups, rows / groups, columns / groups].
        rows, columns: of the whole; with several groups it is block-diagonal.
        origins: names of the ONNX tensors and nodes that it comes from.
    """

    name: str
    recipe: Recipe
    rows: int
    columns: int
    groups: int = 1
    origins: tuple[str, ...] = ()

    @property
    def weights(self) -> int:
        """Number of weights, the zeros between groups not counted."""
        return self.rows * self.columns // self.groups


def evaluate(recipe: Recipe, source: ir.TensorProtocol) -> Array:
    """The array that a recipe makes of its source tensor, in the source's number format where it allows."""
    array = numbers_of(source)
    for operation in recipe.operations:
        array = operation.apply(array)
    return array


def numbers_of(tensor: ir.TensorProtocol) -> Array:
    """The numbers of a tensor. An external one is mapped for this array alone, and its pages are let go with it."""
    if isinstance(tensor, ir.ExternalTensor):
        tensor = ir.ExternalTensor(
            tensor.location,
            tensor.offset,
            tensor.length,
            tensor.dtype,
            shape=ir.Shape(tensor.shape),
            name=tensor.name or "",
            base_dir=tensor.base_dir,
        )
    return tensor.numpy()

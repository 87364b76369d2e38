"""`Recipe`: how weights are made of tensors of the model, so that nothing materialises before it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Array = NDArray[Any]

WHOLE_NUMBERS = tuple(
    kind.numpy() for kind in ir.DataType if kind.is_integer() and kind is not ir.DataType.BOOL and kind.bitwidth <= 16
)
"""Formats whose numbers float32 holds exactly, and the sums of their products float64."""


@dataclass(frozen=True)
class Operand:
    """Another constant that an operation reads; two are equal where their recipes are."""

    recipe: Recipe
    source: ir.TensorProtocol = field(compare=False, repr=False)

    def array(self) -> Array:
        return evaluate(self.recipe, self.source)


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
class Take:
    """Chosen entries of one axis, in the order of the indices."""

    axis: int
    indices: tuple[int, ...]

    def apply(self, array: Array) -> Array:
        return np.take(array, np.array(self.indices, np.int64), self.axis)


@dataclass(frozen=True)
class Append:
    """Other constants behind the array along one axis."""

    axis: int
    others: tuple[Operand, ...]

    def apply(self, array: Array) -> Array:
        return np.concatenate([array, *(other.array() for other in self.others)], self.axis)


@dataclass(frozen=True)
class Arithmetic:
    """Elementwise with another constant behind it, with the broadcasting of NumPy, in a floating-point format."""

    operator: str
    other: Operand
    dtype: str

    def apply(self, array: Array) -> Array:
        width = np.float64 if self.dtype == "DOUBLE" else np.float32
        function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[self.operator]
        with np.errstate(all="ignore"):
            result: Array = function(array.astype(width), self.other.array().astype(width))
        return result.astype(ir.DataType[self.dtype].numpy(), copy=False)


@dataclass(frozen=True)
class Norm:
    """√Σ x² over axes, which stay as axes of one."""

    axes: tuple[int, ...]

    def apply(self, array: Array) -> Array:
        width = np.float64 if array.dtype == np.float64 else np.float32
        squares = np.sum(np.square(array.astype(width)), axis=self.axes, keepdims=True)
        norm: Array = np.sqrt(squares).astype(array.dtype)
        return norm


@dataclass(frozen=True)
class Cast:
    """To a floating-point format, with onnxruntime's rounding; 16 bits are kept as float32.

    Whole numbers stay as they are where the format holds all of theirs.
    """

    to: str = "FLOAT"

    def apply(self, array: Array) -> Array:
        if self.to in ("FLOAT", "DOUBLE"):
            if array.dtype in WHOLE_NUMBERS:
                return array
            return array.astype(np.float64 if self.to == "DOUBLE" and array.dtype == np.float64 else np.float32)
        return array.astype(ir.DataType[self.to].numpy()).astype(np.float32)


@dataclass(frozen=True)
class UnpackBits:
    """Bytes as unsigned numbers of 1, 2 or 4 bits, the lowest bits first, along the last axis."""

    bits: int

    def apply(self, array: Array) -> Array:
        shifts = np.arange(0, 8, self.bits, dtype=np.uint8)
        numbers = (array[..., None] >> shifts) & np.uint8(2**self.bits - 1)
        unpacked: Array = numbers.reshape(*array.shape[:-1], -1)
        return unpacked


@dataclass(frozen=True)
class Lookup:
    """Codes as the numbers that a table holds for them, float32."""

    table: tuple[float, ...]

    def apply(self, array: Array) -> Array:
        return np.array(self.table, np.float32)[array]


@dataclass(frozen=True)
class Quantize:
    """saturate(round(array / scale) + zero_point) as ONNX's QuantizeLinear; axis and block as in `Centre`."""

    scale: Operand
    zero_point: Operand | None
    axis: int
    block: int
    dtype: str

    def apply(self, array: Array) -> Array:
        target = ir.DataType[self.dtype].numpy()
        scale = _spread(self.scale.array(), array.shape, self.axis, self.block).astype(np.float32)
        ratios = array.astype(np.float32) / scale
        kind = ir.DataType[self.dtype]
        if not kind.is_integer():
            return ratios.astype(target)
        codes: Array = np.rint(ratios)
        if self.zero_point is not None:
            codes += _spread(self.zero_point.array(), array.shape, self.axis, self.block).astype(np.float32)
        low = -(2 ** (kind.bitwidth - 1)) if kind.is_signed() else 0
        return np.clip(codes, low, low + 2**kind.bitwidth - 1).astype(target)


@dataclass(frozen=True)
class Centre:
    """array − zero_point, the first half of ONNX's DequantizeLinear. Whole numbers of up to 16 bits stay whole.

    Attributes:
        zero_point: one number, or one along `axis`, or with a `block` one for so many numbers along `axis`.
    """

    zero_point: Operand | int
    axis: int = 0
    block: int = 0

    def apply(self, array: Array) -> Array:
        zero = np.array(self.zero_point) if isinstance(self.zero_point, int) else self.zero_point.array()
        whole = array.dtype in WHOLE_NUMBERS
        if not np.any(zero.astype(np.float32)):
            return array.astype(np.int8) if whole and array.dtype.kind not in "iu" else array
        if zero.dtype not in WHOLE_NUMBERS and zero.dtype.kind not in "iu":
            width: type[np.number[Any]] = np.float32
        elif whole:
            width = np.int16 if array.dtype.itemsize == 1 else np.int32
        else:
            width = np.int64 if array.dtype.kind in "iu" else np.float32
        centred: Array = array.astype(width) - _spread(zero, array.shape, self.axis, self.block).astype(width)
        return centred


@dataclass(frozen=True)
class Scale:
    """array · scale in float32, then in the scale's format, the second half of DequantizeLinear.

    Attributes:
        scale: as the zero point of `Centre`.
    """

    scale: Operand
    axis: int = 0
    block: int = 0

    def apply(self, array: Array) -> Array:
        scale = self.scale.array()
        factors = _spread(scale, array.shape, self.axis, self.block).astype(np.float32)
        scaled: Array = array.astype(np.float32) * factors
        return scaled.astype(scale.dtype, copy=False)


def _spread(numbers: Array, shape: tuple[int, ...], axis: int, block: int) -> Array:
    """Scales or zero points in a shape that broadcasts over the array's."""
    if numbers.size == 1:
        return numbers.reshape(())
    if block:
        return np.repeat(numbers, block, axis)[tuple(slice(size) for size in shape)]
    return numbers.reshape([-1 if i == axis else 1 for i in range(len(shape))])


@dataclass(frozen=True)
class Shifted:
    """Kernels [groups, channels · prod(kernel), n] in a wide window, once for each place in it.

    Copy j of a kernel begins j · shift places on: the result is [groups, channels · prod(window), n · prod(copies)],
    zero elsewhere.

    Attributes:
        kernel, window: places along each spatial axis.
        taps, shifts: places of the window from place to place of the kernel, and from copy to copy.
        copies: along each spatial axis.
    """

    kernel: tuple[int, ...]
    window: tuple[int, ...]
    taps: tuple[int, ...]
    shifts: tuple[int, ...]
    copies: tuple[int, ...]

    def apply(self, array: Array) -> Array:
        groups, rows, columns = array.shape
        channels = rows // prod(self.kernel)
        kernels = array.reshape(groups, channels, *self.kernel, columns)
        wide = np.zeros((groups, channels, *self.window, columns, prod(self.copies)), array.dtype)
        for number, copy in enumerate(np.ndindex(self.copies)):
            sides = zip(copy, self.shifts, self.taps, self.kernel, strict=True)
            places = [slice(j * shift, j * shift + tap * (k - 1) + 1, tap) for j, shift, tap, k in sides]
            wide[..., number][(slice(None), slice(None), *places)] = kernels
        return wide.reshape(groups, channels * prod(self.window), columns * prod(self.copies))


@dataclass(frozen=True)
class Diagonal:
    """Groups [groups, rows, columns] as one matrix [1, groups · rows, groups · columns] with zeros between them."""

    def apply(self, array: Array) -> Array:
        groups, rows, columns = array.shape
        whole = np.zeros((groups, rows, groups, columns), array.dtype)
        each = np.arange(groups)
        whole[each, :, each, :] = array
        return whole.reshape(1, groups * rows, groups * columns)


Operation = (
    Reshape
    | Transpose
    | Slice
    | Parts
    | Take
    | Append
    | Arithmetic
    | Norm
    | Cast
    | UnpackBits
    | Lookup
    | Quantize
    | Centre
    | Scale
    | Shifted
    | Diagonal
)


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

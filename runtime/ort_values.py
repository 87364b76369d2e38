"""Hands onnxruntime tensors of number formats for which it takes and gives no NumPy arrays: bfloat16, float8, int4, ….

In NumPy they are arrays of ml_dtypes, an element a byte or two. onnxruntime keeps two 4-bit or four 2-bit elements in
a byte, the first in the lowest bits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime as ort

Array = NDArray[Any]


@dataclass(frozen=True)
class Format:
    """A number format.

    Attributes:
        dtype: NumPy's.
        element: the number of the type in ONNX's TensorProto.
        bits: an element takes in onnxruntime's memory.
    """

    dtype: np.dtype[Any]
    element: int
    bits: int


FORMATS: Mapping[str, Format] = {
    f"tensor({name})": Format(np.dtype(kind), element, bits)
    for name, kind, element, bits in (
        ("bfloat16", ml_dtypes.bfloat16, 16, 16),
        ("float8e4m3fn", ml_dtypes.float8_e4m3fn, 17, 8),
        ("float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz, 18, 8),
        ("float8e5m2", ml_dtypes.float8_e5m2, 19, 8),
        ("float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz, 20, 8),
        ("uint4", ml_dtypes.uint4, 21, 4),
        ("int4", ml_dtypes.int4, 22, 4),
        ("float4e2m1", ml_dtypes.float4_e2m1fn, 23, 4),
        ("float8e8m0", ml_dtypes.float8_e8m0fnu, 24, 8),
        ("uint2", ml_dtypes.uint2, 25, 2),
        ("int2", ml_dtypes.int2, 26, 2),
    )
}
"""onnxruntime's name of a type → its format."""

NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in (
        ("float", np.float32),
        ("float16", np.float16),
        ("double", np.float64),
        ("int8", np.int8),
        ("int16", np.int16),
        ("int32", np.int32),
        ("int64", np.int64),
        ("uint8", np.uint8),
        ("uint16", np.uint16),
        ("uint32", np.uint32),
        ("uint64", np.uint64),
        ("bool", np.bool_),
        ("string", np.object_),
    )
} | {name: form.dtype for name, form in FORMATS.items()}
"""onnxruntime's name of a type → NumPy's, for all that arrays can hold."""


def run_with_formats(session: ort.InferenceSession, values: Mapping[str, Any], outputs: Sequence[str]) -> list[Any]:
    """Like `session.run`, for sessions that read or write such formats.

    Args:
        values: of every input of the session.
    """
    types = {port.name: port.type for port in session.get_inputs()}
    given = {port.name: port.type for port in session.get_outputs()}
    if not any(given[name] in FORMATS for name in outputs):
        fed = {name: _fed(types[name], value) for name, value in values.items()}
        return list(session.run(list(outputs), fed))
    fed = {name: _ort_value(types[name], value) for name, value in values.items()}
    return [_array(value) for value in session.run_with_ort_values(list(outputs), fed)]


def _fed(kind: str, value: Any) -> Any:
    return _ort_value(kind, value) if kind in FORMATS else value


def _ort_value(kind: str, value: Any) -> ort.OrtValue:
    import onnxruntime

    if kind not in FORMATS:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
    form, array = FORMATS[kind], np.asarray(value)
    made = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), form.element)
    packed = _packed(np.ascontiguousarray(array, form.dtype), form.bits)
    ctypes.memmove(made.data_ptr(), packed.ctypes.data, packed.nbytes)
    return made


def _array(value: ort.OrtValue) -> Array:
    form = FORMATS.get(value.data_type())
    if form is None:
        return np.asarray(value.numpy())
    shape = tuple(value.shape())
    size = -(-prod(shape) * form.bits // 8)
    content = np.frombuffer(ctypes.string_at(value.data_ptr(), size), np.uint8)
    return _unpacked(content, form, prod(shape)).reshape(shape)


def _packed(array: Array, bits: int) -> NDArray[np.uint8]:
    """The elements in their order, `bits` each."""
    flat = array.reshape(-1).view(np.uint8)
    if bits >= 8:
        return flat
    count = 8 // bits
    padded = np.zeros(-(-flat.size // count) * count, np.uint8)
    padded[: flat.size] = flat & (2**bits - 1)
    shifts = np.arange(count, dtype=np.uint8) * np.uint8(bits)
    packed: NDArray[np.uint8] = np.bitwise_or.reduce(padded.reshape(-1, count) << shifts, axis=1)
    return packed


def _unpacked(content: NDArray[np.uint8], form: Format, count: int) -> Array:
    """The first `count` elements of packed ones."""
    if form.bits >= 8:
        return content.view(form.dtype)
    shifts = np.arange(8 // form.bits, dtype=np.uint8) * np.uint8(form.bits)
    spread = (content[:, None] >> shifts) & np.uint8(2**form.bits - 1)
    elements = spread.reshape(-1)[:count]
    # ml_dtypes reads only the lowest bits of a byte, whatever the others are.
    return elements.view(form.dtype)

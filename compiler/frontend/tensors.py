"""Checks the stored tensors of a model before anything reads them: dimensions, length, and where external data lies."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx_ir as ir

from mho.frontend.walk import walk_tensors
from mho.targets.errors import plain

_MAX_BYTES = 2**63 - 1
_TYPED_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_KNOWN_TYPES = frozenset(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


def tensor_problems(model: onnx.ModelProto, folder: Path | None) -> list[str]:
    """One sentence for each fault of a dense tensor; empty where all can be read safely.

    Args:
        model: the model.
        folder: the only folder that external data may be read from; None allows no external data.
    """
    return [
        f"{where}: {problem}" for where, tensor in walk_tensors(model) for problem in tensor_problems_of(tensor, folder)
    ]


def tensor_problems_of(tensor: onnx.TensorProto, folder: Path | None) -> Iterator[str]:
    """One sentence for each fault of `tensor`, as in `tensor_problems`."""
    if tensor.data_type not in _KNOWN_TYPES:
        yield f"element type {tensor.data_type} is unknown"
        return
    dims = list(tensor.dims)
    if any(dim < 0 for dim in dims):
        yield f"dimensions {dims} contain a negative number"
    elif _byte_count(tensor) > _MAX_BYTES:
        yield f"dimensions {dims} have more elements than can be counted in 64 bits"
    elif tensor.data_location == onnx.TensorProto.EXTERNAL:
        yield from _external_problems(tensor, folder)
    elif tensor.external_data:
        yield "it names external data but is not marked as external"
    else:
        yield from _inline_problems(tensor)


def _byte_count(tensor: onnx.TensorProto) -> int:
    """Bytes of the elements; for text, whose length varies, their number."""
    count: int = math.prod(tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING:
        return count
    return (count * ir.DataType(tensor.data_type).bitwidth + 7) // 8


def _inline_problems(tensor: onnx.TensorProto) -> Iterator[str]:
    count, dims = math.prod(tensor.dims), list(tensor.dims)
    if tensor.HasField("raw_data"):
        found, expected = len(tensor.raw_data), _byte_count(tensor)
        if tensor.data_type == onnx.TensorProto.STRING:
            yield "text cannot be stored as raw data"
        elif found != expected:
            yield f"it holds {found} bytes, but dimensions {dims} need {expected}"
        return
    field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    found = len(getattr(tensor, field))
    expected = _entry_count(tensor.data_type, count)
    if found != expected:
        yield f"it holds {found} numbers in {field}, but dimensions {dims} need {expected}"
    yield from (f"it also holds {name}" for name in _TYPED_FIELDS if name != field and len(getattr(tensor, name)))


def _entry_count(data_type: int, count: int) -> int:
    """How many entries of its typed field hold `count` elements: two for a complex number, one for packed ones."""
    if data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128):
        return 2 * count
    if data_type == onnx.TensorProto.STRING:
        return count
    bits = ir.DataType(data_type).bitwidth
    return (count * bits + 7) // 8 if bits < 8 else count


def _external_problems(tensor: onnx.TensorProto, folder: Path | None) -> Iterator[str]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if tensor.data_type == onnx.TensorProto.STRING:
        yield "text cannot be stored as external data"
        return
    if folder is None:
        yield "its data lies in a file, but a model in memory has no folder: load the model from its file"
        return
    yield from (
        f"the {key} of its external data, '{plain(entries[key])}', is not a number of bytes"
        for key in ("offset", "length")
        if key in entries and not _is_count(entries[key])
    )
    problem = _location_problem(location, folder)
    if problem:
        yield f"its external data '{plain(location)}' {problem}"
    elif all(_is_count(entries.get(key, "0")) for key in ("offset", "length")):
        yield from _range_problems(tensor, entries, (folder / location).stat().st_size)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _location_problem(location: str, folder: Path) -> str | None:
    """Why `location` may not be read, or None. Looks at names and file status only, never at contents."""
    if not location or "\0" in location:
        return "names no file"
    if PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive or location.startswith("\\"):
        return "is an absolute path: it must lie in the model's folder"
    if ".." in PurePosixPath(location).parts or ".." in PureWindowsPath(location).parts:
        return "leaves the model's folder"
    path = folder / location
    try:
        resolved, home = path.resolve(), folder.resolve()
        status = path.stat()
    except (OSError, RuntimeError):
        return "does not exist in the model's folder"
    if not resolved.is_relative_to(home):
        return "is a link that leaves the model's folder: put the file itself there"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_nlink > 1:
        return "is a file with several hard links, so it may belong to another folder: copy it"
    return None


def _range_problems(tensor: onnx.TensorProto, entries: dict[str, str], file_bytes: int) -> Iterator[str]:
    expected = _byte_count(tensor)
    offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(expected)))
    if length != expected:
        yield f"its external data has {length} bytes, but dimensions {list(tensor.dims)} need {expected}"
    if offset + length > file_bytes:
        yield (
            f"its external data '{plain(entries['location'])}' ends at byte {offset + length}, "
            f"but the file has {file_bytes}"
        )

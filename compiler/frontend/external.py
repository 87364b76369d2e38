"""External data: which files a model may read, and where they are."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx_ir as ir
import onnx_ir.external_data

from mho.targets.errors import brief

MAX_LOCATION_CHARACTERS = 4096

Folders = Sequence[Path]
"""The model's folder, then folders without links that files may lie in; none for a model in memory."""


def external_problems(tensor: onnx.TensorProto, folders: Folders, expected_bytes: int) -> Iterator[str]:
    """One sentence for each fault of a tensor whose data lies in a file."""
    keys = [entry.key for entry in tensor.external_data]
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not folders:
        yield "its data lies in a file, but a model in memory has no folder: load the model from its file"
        return
    if len(keys) != len(entries):
        yield f"its external data tells {brief(next(k for k in keys if keys.count(k) > 1))} twice"
        return
    yield from (
        f"the {key} of its external data, '{brief(entries[key])}', is not a number of bytes"
        for key in ("offset", "length")
        if key in entries and not _is_count(entries[key])
    )
    location = entries.get("location", "")
    problem = _location_problem(location, folders)
    if problem:
        yield f"its external data '{brief(location)}' {problem}"
    elif all(_is_count(entries.get(key, "0")) for key in ("offset", "length")):
        yield from _range_problems(tensor, entries, (folders[0] / location).stat().st_size, expected_bytes)


def locate_external_tensors(graph: ir.Graph, folders: Folders) -> None:
    """Tells the external tensors of a graph, which have no problems, where their files are, links resolved."""
    if not folders:
        return
    ir.external_data.set_base_dir(graph, folders[0])
    for each in (graph, *graph.subgraphs()):
        for value in each.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, ir.ExternalTensor):
                value.const_value = _resolved(tensor, (folders[0] / tensor.location).resolve())


def _resolved(tensor: ir.ExternalTensor, path: Path) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        path.name,
        tensor.offset,
        tensor.length,
        tensor.dtype,
        shape=tensor.shape,
        name=tensor.name or "",
        base_dir=path.parent,
    )


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _location_problem(location: str, folders: Folders) -> str | None:
    """Why `location` may not be read, or None. Looks at names and file status only, never at contents."""
    if not location or "\0" in location or len(location) > MAX_LOCATION_CHARACTERS:
        return "names no file"
    if PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive or location.startswith("\\"):
        return "is an absolute path: it must lie in the model's folder"
    if ".." in PurePosixPath(location).parts or ".." in PureWindowsPath(location).parts:
        return "leaves the model's folder"
    path = folders[0] / location
    try:
        resolved, status = path.resolve(), path.stat()
    except (OSError, RuntimeError):
        return "does not exist in the model's folder"
    if not any(resolved.is_relative_to(home) for home in folders):
        return (
            "is a link that leaves the model's folder: put the file itself there, "
            "as 'cp -rL FOLDER COPY' does for all links of a folder"
        )
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_nlink > 1:
        return "is a file with several hard links, so it may belong to another folder: copy it"
    return None


def _range_problems(
    tensor: onnx.TensorProto, entries: dict[str, str], file_bytes: int, expected_bytes: int
) -> Iterator[str]:
    offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(expected_bytes)))
    if length != expected_bytes:
        yield f"its external data has {length} bytes, but dimensions {list(tensor.dims)} need {expected_bytes}"
    if offset + length > file_bytes:
        yield (
            f"its external data '{brief(entries['location'])}' ends at byte {offset + length}, "
            f"but the file has {file_bytes}"
        )

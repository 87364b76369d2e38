"""The arrays of a program's file, mapped into memory and checked on first use."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Annotated, Any, TypeVar

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from mho.targets.errors import ProgramError, plain
from mho.targets.files import require_regular
from mho.targets.program import Array

HEADER_LIMIT = 64 * 2**20
PADDING = "padding/"

PIECE_BYTES = 1 << 24
"""Bytes of a tensor that are written at once."""

NATIVE = {
    "bool": "BOOL",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
"""NumPy's name of a number format → that of safetensors."""

AS_BYTES: dict[str, np.dtype[Any]] = {
    name: np.dtype(getattr(ml_dtypes, name, name))
    for name in (
        "complex64",
        "complex128",
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
        "float4_e2m1fn",
        "int4",
        "uint4",
        "int2",
        "uint2",
    )
}
"""Number formats that safetensors does not give to NumPy: stored as bytes, one element after another."""

Value = TypeVar("Value")
Size = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """What a tensor of a file is.

    Attributes:
        dtype: NumPy's name of the number format, or that of ml_dtypes.
        sha256: of its little-endian bytes, in hexadecimal.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    dtype: str
    shape: tuple[Size, ...]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class View:
    """Where a file holds a tensor of shape [1, rows, columns] as another one, as tied embeddings are.

    Attributes:
        tensor: of shape [rows, columns], or [columns, rows] where it is `transposed`.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    tensor: str
    transposed: bool

    def of(self, array: Array) -> Array:
        """The tensor as a view of that one."""
        return (array.T if self.transposed else array)[None]

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the tensor, given that one's."""
        return (1, *(reversed(shape) if self.transposed else shape))


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What the header says of a tensor."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    dtype: str
    shape: tuple[Size, ...]
    data_offsets: tuple[Size, Size]


_HEADER: TypeAdapter[dict[str, _Entry]] = TypeAdapter(dict[str, _Entry])
_METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class MappedTensors(Mapping[str, Array]):
    """Read-only views of a mapped file by name; nothing is copied.

    The first use of a tensor reads it whole and raises `ProgramError` where its digest does not match.

    Attributes:
        table: what each tensor is, without reading it.
    """

    def __init__(
        self,
        path: Path,
        table: Mapping[str, StoredTensor],
        views: Mapping[str, View],
        data: Mapping[str, NDArray[np.uint8]],
    ) -> None:
        self.table = table
        self._views = views
        self._path = path
        self._data = data
        self._arrays: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name in self._views:
            return self._views[name].of(self[self._views[name].tensor])
        if name not in self._arrays:
            stored, data = self.table[name], self._data[name]
            if sha256(data.data).hexdigest() != stored.sha256:
                raise ProgramError(f"{plain(f'{self._path}: damaged: the digest of tensor {name}')} does not match")
            self._arrays[name] = data.view(_dtype(stored.dtype)).reshape(stored.shape)
        return self._arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.table

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)


class MappedFile:
    """A safetensors file whose structure has been checked.

    Attributes:
        metadata: the header's texts.
    """

    def __init__(self, path: Path, content: NDArray[np.uint8], header: dict[str, Any], start: int) -> None:
        self._path = path
        where = f"{plain(str(path))}: damaged header"
        self.metadata = validated(_METADATA, header.pop("__metadata__", {}), where)
        self._entries = validated(_HEADER, header, where)
        self._data = {name: content[start:][slice(*entry.data_offsets)] for name, entry in self._entries.items()}

    @staticmethod
    def open(path: Path) -> MappedFile:
        """Map a file.

        Raises:
            ProgramError: it cannot be read, or is not a sound safetensors file.
        """
        try:
            return _open(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ProgramError(f"{plain(str(path))}: the program cannot be read: {reason}") from error
        except (SafetensorError, ValueError) as error:
            raise ProgramError(f"{plain(f'{path}: not a sound mho program: {error}')}") from error

    def bytes_of(self, name: str) -> bytes:
        """The content of a byte tensor."""
        if name not in self._data:
            raise ProgramError(f"{plain(str(self._path))}: not a mho program: it holds no tensor {name!r}")
        return self._data[name].tobytes()

    def tensors(self, table: Mapping[str, StoredTensor], views: Mapping[str, View]) -> MappedTensors:
        """The tensors of a table, of which some are views of others.

        Raises:
            ProgramError: the file holds other tensors than the table, or in another form.
        """
        held = {name: stored for name, stored in table.items() if name not in views}
        problems = [*self._missing(held), *self._unexpected(held), *_false_views(table, views)]
        if problems:
            raise ProgramError(f"{plain(f'{self._path}: damaged: {problem}')}" for problem in problems)
        return MappedTensors(self._path, table, views, self._data)

    def _missing(self, table: Mapping[str, StoredTensor]) -> Iterator[str]:
        for name, stored in table.items():
            if stored.dtype not in NATIVE and stored.dtype not in AS_BYTES:
                yield f"tensor {name} has the unknown number format {stored.dtype}"
                continue
            dtype, shape = stored_as(stored)
            entry = self._entries.get(name)
            if entry is None or (entry.dtype, entry.shape) != (dtype, tuple(shape)):
                yield f"tensor {name} is not in the file as {dtype} of shape {shape}"

    def _unexpected(self, table: Mapping[str, StoredTensor]) -> Iterator[str]:
        for name, data in self._data.items():
            if name in table or name in ("manifest", "program"):
                continue
            if not name.startswith(PADDING) or data.any():
                yield f"tensor {name} does not belong to the program"


def _false_views(table: Mapping[str, StoredTensor], views: Mapping[str, View]) -> Iterator[str]:
    for name, view in views.items():
        stored, whole = table.get(name), table.get(view.tensor)
        if stored is None or whole is None or view.tensor in views:
            yield f"tensor {name} is a view of {view.tensor}, which the file does not hold"
        elif (stored.dtype, stored.shape) != (whole.dtype, view.shape(whole.shape)) or len(whole.shape) != 2:
            yield f"tensor {name} of shape {stored.shape} is no view of {view.tensor} of shape {whole.shape}"


def _open(path: Path) -> MappedFile:
    require_regular(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > HEADER_LIMIT:
            raise ValueError(f"a header of {length} bytes is above the limit of {HEADER_LIMIT}")
        with safe_open(path, framework="np"):
            header = json.loads(file.read(length), object_pairs_hook=_without_doubles)
        content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    return MappedFile(path, content, header, 8 + length)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in the header")
    return found


def described(name: str, array: Array) -> StoredTensor:
    """Number format, shape and digest of an array.

    Raises:
        ProgramError: a file cannot hold its number format.
    """
    digest = sha256()
    for part in pieces_of(array):
        digest.update(part.data)
    return StoredTensor(dtype=number_format(name, array), shape=array.shape, sha256=digest.hexdigest())


def number_format(name: str, array: Array) -> str:
    """The name of an array's number format.

    Raises:
        ProgramError: a file cannot hold it.
    """
    dtype = array.dtype.name
    if dtype not in NATIVE and dtype not in AS_BYTES:
        raise ProgramError(f"tensor {plain(name)}: a program's file holds numbers only, not {plain(dtype)}")
    return dtype


def pieces_of(array: Array) -> Iterator[NDArray[np.uint8]]:
    """The little-endian bytes of an array in order, some megabytes at a time; only what lies otherwise is copied."""
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
    if little.flags.c_contiguous:
        whole = little.reshape(-1).view(np.uint8)
        yield from (whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES))
    elif little.nbytes <= PIECE_BYTES:
        yield np.ascontiguousarray(little).reshape(-1).view(np.uint8)
    else:
        step = max(1, PIECE_BYTES * len(little) // little.nbytes)
        for start in range(0, len(little), step):
            yield from pieces_of(little[start : start + step] if len(little) > 1 else little[0])


def stored_as(tensor: StoredTensor) -> tuple[str, list[int]]:
    """The number format and the shape under which safetensors knows a tensor."""
    if tensor.dtype in NATIVE:
        return NATIVE[tensor.dtype], list(tensor.shape)
    return "U8", [prod(tensor.shape) * AS_BYTES[tensor.dtype].itemsize]


def validated(adapter: TypeAdapter[Value], value: object, where: str) -> Value:
    """`value`, or the JSON text in `value`, as the adapter's type.

    Raises:
        ProgramError: it is of another form; `where` begins each sentence.
    """
    try:
        return adapter.validate_json(value) if isinstance(value, bytes) else adapter.validate_python(value)
    except ValidationError as error:
        places = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)[:5]]
        raise ProgramError(f"{where}: {plain(place)}" for place in places) from error


def _dtype(name: str) -> np.dtype[Any]:
    return AS_BYTES[name] if name in AS_BYTES else np.dtype(name).newbyteorder("<")

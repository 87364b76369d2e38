"""The file of a program, suffix `.mho`: one safetensors file that stands alone.

The data holds the program's tensors in the order of their names, each at a multiple of 64 bytes (a few zero bytes
named `padding/N` fill the gaps), one that is a view of another only once, then the byte tensors `manifest` and
`program`, both JSON. `program` holds everything of a `Program` but its arrays, and of each array its number format,
shape and SHA-256. The file's one metadata key, `mho`, holds the format version and the SHA-256 of manifest and
program, so that every byte that means something is covered. Equal programs give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import sha256
from os import SEEK_CUR
from pathlib import Path
from typing import Any, BinaryIO, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError

from mho.targets.errors import ProgramError, plain
from mho.targets.faults import FaultMap
from mho.targets.files import replacing
from mho.targets.isa import CoreProgram
from mho.targets.mapped_tensors import (
    PADDING,
    MappedFile,
    MappedTensors,
    StoredTensor,
    View,
    described,
    number_format,
    pieces_of,
    stored_as,
    validated,
)
from mho.targets.mapping import MappingFacts
from mho.targets.program import FORMAT_VERSION, Array, Decision, LayerFacts, Manifest, MatrixFacts, Program
from mho.targets.reload import Reload
from mho.targets.steps import Port, Step
from mho.targets.target import Target

ALIGNMENT = 64
_OF_FILE = ("table", "views")
HOLE_BYTES = 1 << 20
PIECE_ITEMS = 1000
ENTRY_BYTES = 384
"""The most that a tensor and its padding add to the header beside the tensor's name: a shape has at most 64
dimensions whose product is below 2^63, so at most 147 characters; an offset has at most 19 digits."""


@dataclass(frozen=True, kw_only=True)
class _Tag:
    """The one metadata key. Fields of newer formats are ignored here: the version is looked at first."""

    format: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class _Contents:
    """Everything of a program but its manifest and its arrays, and what the arrays must be."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    target: Target
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    matrices: tuple[MatrixFacts, ...]
    layers: tuple[LayerFacts, ...]
    decisions: tuple[Decision, ...]
    sequence: tuple[Step, ...]
    cores: tuple[CoreProgram, ...]
    mapping: MappingFacts
    table: dict[str, StoredTensor]
    views: dict[str, View] = field(default_factory=dict)
    faults: FaultMap = field(default_factory=FaultMap)
    reload: Reload | None = None


def write_program(program: Program, path: Path) -> None:
    """Write the file, or on any fault or interruption nothing: it appears under its name only when complete.

    Each tensor is read once and alone, so that no two need be in memory.

    Raises:
        ProgramError: the file cannot be written, or a tensor has a number format that a file cannot hold.
    """
    try:
        with replacing(path) as file:
            _write(program, file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ProgramError(f"{plain(str(path))}: the program cannot be written: {reason}") from error
    except ProgramError as error:
        raise ProgramError(f"{plain(str(path))}: {problem}" for problem in error.problems) from error


def read_program(path: Path) -> Program:
    """Map a program's file. Structure and manifest are checked here, each tensor's digest on its first use.

    Raises:
        ProgramError: the file cannot be read, is not a program, is damaged, or has a newer format.
    """
    where = plain(str(path))
    file = MappedFile.open(path)
    tag = validated(_adapter(_Tag), file.metadata.get("mho", "{}").encode(), f"{where}: not a mho program")
    if tag.format > FORMAT_VERSION:
        raise ProgramError(
            f"{where}: the program has format version {tag.format}, and this mho reads versions up to "
            f"{FORMAT_VERSION}: install a newer mho, or compile the model again with this one"
        )
    texts = [file.bytes_of(name) for name in ("manifest", "program")]
    if tag.sha256 != _digest(*texts):
        raise ProgramError(f"{where}: damaged: the manifest's digest does not match; fetch or compile it again")
    manifest = validated(_adapter(Manifest), texts[0], f"{where}: damaged manifest")
    contents = validated(_adapter(_Contents), texts[1], f"{where}: damaged program")
    if tag.format < 1 or manifest.format != tag.format:
        raise ProgramError(f"{where}: damaged: format versions {tag.format} and {manifest.format} contradict")
    parts = {f.name: getattr(contents, f.name) for f in fields(_Contents) if f.name not in _OF_FILE}
    return Program(manifest=manifest, tensors=file.tensors(contents.table, contents.views), **parts)


def check_tensors(program: Program) -> None:
    """Read every tensor, so that every digest of a mapped program is checked.

    Raises:
        ProgramError: names every damaged tensor.
    """
    problems: list[str] = []
    for name in program.tensors:
        try:
            program.tensors[name]
        except ProgramError as error:
            problems += error.problems
    if problems:
        raise ProgramError(problems)


def program_digest(program: Program) -> str:
    """SHA-256, in hexadecimal, of what a program is: two that are equal have the same."""
    digest = sha256(_json(Manifest, program.manifest))
    parts = {f.name: getattr(program, f.name) for f in fields(_Contents) if f.name not in _OF_FILE}
    for piece in json_pieces(_Contents, _Contents(table=tensor_table(program.tensors), **parts)):
        digest.update(piece)
    return digest.hexdigest()


def tensor_table(tensors: Mapping[str, Array]) -> dict[str, StoredTensor]:
    """Number format, shape and digest of every tensor, in the order of the names; a mapped file knows them."""
    if isinstance(tensors, MappedTensors):
        return dict(sorted(tensors.table.items()))
    return {name: described(name, tensors[name]) for name in sorted(tensors)}


def _write(program: Program, file: BinaryIO) -> None:
    writer = _Writer(file, sorted(program.tensors))
    table: dict[str, StoredTensor] = {}
    views: dict[str, View] = {}
    for name in sorted(program.tensors):
        table[name] = _stored(name, program.tensors[name], writer, table, views)
    parts = {f.name: getattr(program, f.name) for f in fields(_Contents) if f.name not in _OF_FILE}
    contents = _Contents(table=table, views=views, **parts)
    digest = sha256()
    try:
        writer.add_text("manifest", json_pieces(Manifest, program.manifest), digest.update)
        digest.update(b"\0")
        writer.add_text("program", json_pieces(_Contents, contents), digest.update)
    except PydanticSerializationError as error:
        raise ProgramError("the network's branches and loops are nested too deeply for a file") from error
    writer.finish(json.dumps({"format": FORMAT_VERSION, "sha256": digest.hexdigest()}))


def _stored(
    name: str, array: Array, writer: _Writer, table: Mapping[str, StoredTensor], views: dict[str, View]
) -> StoredTensor:
    """Writes a tensor, unless one that is written already holds its numbers: then it is a view of that one."""
    view = _view(array, table)
    if view is None:
        return writer.add(name, array)
    views[name] = view
    return described(name, array)


def _view(array: Array, table: Mapping[str, StoredTensor]) -> View | None:
    """The tensor that is written already and holds the numbers of `array` [1, rows, columns], upright or transposed."""
    if array.ndim != 3 or len(array) != 1:
        return None
    for transposed in (False, True):
        plane = array[0].T if transposed else array[0]
        alike = {s.sha256: n for n, s in table.items() if (s.dtype, s.shape) == (array.dtype.name, plane.shape)}
        name = alike.get(described("", plane).sha256) if alike else None
        if name is not None:
            return View(tensor=name, transposed=transposed)
    return None


class _Writer:
    """Writes tensors one after another behind the room for the header, which is written last.

    Long runs of zeros are left out as holes where the file system has them; they read the same.
    """

    def __init__(self, file: BinaryIO, names: list[str]) -> None:
        reserved = sum(len(json.dumps(name)) + ENTRY_BYTES for name in names) + 4 * ENTRY_BYTES
        self._room = -(-(8 + reserved) // ALIGNMENT) * ALIGNMENT - 8
        self._file = file
        self._end = 0
        self._entries: dict[str, Any] = {}
        file.seek(8 + self._room)

    def add(self, name: str, array: Array) -> StoredTensor:
        """A tensor, each part of it read once."""
        dtype, digest = number_format(name, array), sha256()
        start = self._begin(name)
        for part in pieces_of(array):
            digest.update(part.data)
            self._append(part)
        stored = StoredTensor(dtype=dtype, shape=array.shape, sha256=digest.hexdigest())
        self._note(name, *stored_as(stored), start)
        return stored

    def add_text(self, name: str, pieces: Iterable[bytes], seen: Callable[[bytes], None]) -> None:
        """A byte tensor that is made while it is written; `seen` is told its pieces."""
        start = self._begin(name)
        for piece in pieces:
            seen(piece)
            self._append(np.frombuffer(piece, np.uint8))
        self._note(name, "U8", [self._end - start], start)

    def finish(self, tag: str) -> None:
        header = json.dumps({"__metadata__": {"mho": tag}} | self._entries, separators=(",", ":")).encode()
        self._file.truncate()
        self._file.seek(0)
        self._file.write(self._room.to_bytes(8, "little"))
        self._file.write(header.ljust(self._room))

    def _begin(self, name: str) -> int:
        """The place of a tensor, behind the padding."""
        if name in self._entries or name.startswith(PADDING) or name == "__metadata__":
            raise ProgramError(f"the name {plain(name)!r} of a tensor is reserved for the file itself")
        gap = -self._end % ALIGNMENT
        if gap:
            start = self._end
            self._append(np.zeros(gap, np.uint8))
            self._note(f"{PADDING}{len(self._entries)}", "U8", [gap], start)
        return self._end

    def _note(self, name: str, dtype: str, shape: list[int], start: int) -> None:
        self._entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, self._end]}

    def _append(self, data: NDArray[np.uint8]) -> None:
        for start in range(0, len(data), HOLE_BYTES):
            part = data[start : start + HOLE_BYTES]
            if len(part) == HOLE_BYTES and not part.any():
                self._file.seek(HOLE_BYTES, SEEK_CUR)
            else:
                self._file.write(part.data)
        self._end += len(data)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def json_pieces(kind: Any, value: Any) -> Iterator[bytes]:
    """JSON that keeps infinities, where pydantic's own writes null; long tuples come in pieces."""
    if kind in (_Contents, MappingFacts):
        hints = get_type_hints(kind, include_extras=True)
        for number, part in enumerate(fields(kind)):
            yield f"{',' if number else '{'}{json.dumps(part.name)}:".encode()
            yield from json_pieces(hints[part.name], getattr(value, part.name))
        yield b"}"
    elif isinstance(value, tuple) and len(value) > PIECE_ITEMS and get_args(kind)[1:] == (...,):
        for start in range(0, len(value), PIECE_ITEMS):
            text = _json(kind, value[start : start + PIECE_ITEMS])
            yield (b"," if start else b"[") + text[1:-1]
        yield b"]"
    else:
        yield _json(kind, value)


def _json(kind: Any, value: Any) -> bytes:
    return json.dumps(_adapter(kind).dump_python(value, mode="json"), separators=(",", ":")).encode()


def _digest(manifest: bytes, program: bytes) -> str:
    return sha256(manifest + b"\0" + program).hexdigest()

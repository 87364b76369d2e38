"""Reads the bytes of a model: digest, protobuf, and the header that everything else relies on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from os import PathLike
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError, Message

from mho.runtime.wire import REMARKS, WireError, check_wire
from mho.targets.errors import ModelError, brief, plain

ModelSource = str | PathLike[str] | bytes | onnx.ModelProto | ir.Model
"""A path, the bytes of an ONNX file, or a model of onnx or of onnx_ir in memory."""

MAX_FILE_BYTES = 2**31 - 1
OLDEST_OPSET = 1


@dataclass(frozen=True)
class Source:
    """A model as it was read.

    Attributes:
        proto: belongs to the import alone, which may change it.
        name: the file's stem, or the graph's name.
        label: what errors call it, printable.
        digest: SHA-256 of the file or of the serialised proto, hexadecimal.
        path: the file; None for a model built in memory.
    """

    proto: onnx.ModelProto
    name: str
    label: str
    digest: str
    path: Path | None

    @property
    def folder(self) -> Path | None:
        """Where external data is looked for."""
        return None if self.path is None else self.path.parent

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder, the same without links, and the one in which the file lies that the model links to.

        External data may lie in each: download caches keep a model and its data as links into one folder elsewhere.
        """
        if self.path is None:
            return ()
        return (self.path.parent, self.path.parent.resolve(), self.path.resolve().parent)


def read_source(source: ModelSource) -> Source:
    """Reads a model from a file, from its bytes, or from a model in memory, which stays as it is.

    Raises:
        ModelError: no such file, not a protobuf, or not an ONNX model of a supported opset.
    """
    if isinstance(source, str | PathLike):
        path: Path | None = Path(source)
        label = plain(Path(source).name)
        data = _read_file(Path(source), label)
    else:
        path, label = None, _label(source)
        data = model_bytes(source)
    proto = _parse(data, label)
    name = proto.graph.name or "model" if path is None else path.stem
    return Source(proto, name, label, hashlib.sha256(data).hexdigest(), path)


def model_bytes(source: bytes | onnx.ModelProto | ir.Model) -> bytes:
    """A model in memory as the bytes of an ONNX file; what onnx_ir keeps in other files is read from them.

    Raises:
        ModelError: it is none of these, is no ONNX model, or is too large for a protobuf.
    """
    label = _label(source)
    if not isinstance(source, bytes | onnx.ModelProto | ir.Model):
        raise ModelError(
            f"a model cannot be a {plain(type(source).__name__)}: give a path, the bytes of an ONNX file, an "
            "onnx.ModelProto or an onnx_ir.Model"
        )
    try:
        data = source if isinstance(source, bytes) else bytes(_proto_of(source, label).SerializeToString())
        if not data:
            raise WireError("not an ONNX model: there are no bytes, so it holds no graph")
        check_wire(data)
        return data
    except (EncodeError, ValueError) as error:
        raise ModelError(
            f"{label}: more than a protobuf can hold: save it with its weights as external data"
        ) from error
    except WireError as error:
        raise ModelError(f"{label}: {error}") from error


def _label(source: object) -> str:
    name = source.graph.name if isinstance(source, onnx.ModelProto | ir.Model) else None
    return brief(name or "") or "model"


def _proto_of(model: onnx.ModelProto | ir.Model, label: str) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    try:
        return ir.to_proto(ir.external_data.load_to_model(model.clone()))
    except (ir.serde.SerdeError, OSError, TypeError, AttributeError) as error:
        raise ModelError(f"{label}: this onnx_ir.Model cannot be written as ONNX: {plain(str(error))}") from error


def _read_file(path: Path, label: str) -> bytes:
    if not path.is_file():
        what = "there is no such file" if not path.exists() else "it is not a regular file"
        raise ModelError(f"{plain(str(path))}: {what}")
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise ModelError(
            f"{label}: {size:,} bytes are more than a protobuf can hold ({MAX_FILE_BYTES:,}): "
            "save the weights as external data"
        )
    try:
        with path.open("rb") as file:
            if size == 0:
                raise WireError("not an ONNX model: the file is empty, so it holds no graph")
            with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
                check_wire(mapped)
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ModelError(f"{label}: cannot be read: {error.strerror}") from error
    except WireError as error:
        raise ModelError(f"{label}: {error}") from error


def _parse(data: bytes, label: str) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ModelError(
            f"{label}: not an ONNX model: the protobuf is damaged or the file is something else"
        ) from error
    if not proto.HasField("graph"):
        raise ModelError(f"{label}: not an ONNX model: it holds no graph")
    proto.DiscardUnknownFields()
    proto.ClearField("training_info")
    _forget_remarks(proto)
    problems = [f"{label}: {problem}" for problem in _version_problems(proto)]
    if problems:
        raise ModelError(problems)
    return proto


def _forget_remarks(message: Message) -> None:
    """Drops, in place, what documents a model: nothing may depend on it."""
    for field, value in message.ListFields():
        if field.name in REMARKS:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for each in (value,) if isinstance(value, Message) else value:
                _forget_remarks(each)


def _version_problems(proto: onnx.ModelProto) -> Iterator[str]:
    if proto.ir_version < 1:
        yield f"IR version {proto.ir_version} is none; the first is 1"
    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if opsets.setdefault(domain, entry.version) != entry.version:
            name = brief(domain) or "ai.onnx"
            yield f"it imports two opsets of {name}, {opsets[domain]} and {entry.version}: which one holds is unknown"
    if not opsets:
        yield "it imports no opset, so its operators have no meaning"
    if opsets.get("", OLDEST_OPSET) < OLDEST_OPSET:
        yield f"opset {opsets['']} is older than {OLDEST_OPSET}, the oldest that is read: convert it"

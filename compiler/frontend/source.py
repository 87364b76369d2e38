"""Reads the bytes of a model: digest, protobuf, and the header that everything else relies on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from mho.targets.errors import ModelError, plain

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
        """Where external data may lie."""
        return None if self.path is None else self.path.parent


def read_source(source: Path | str | onnx.ModelProto) -> Source:
    """Reads a model from a file or from a proto, which is copied.

    Raises:
        ModelError: no such file, not a protobuf, or not an ONNX model of a supported opset.
    """
    if isinstance(source, onnx.ModelProto):
        data, path = source.SerializeToString(), None
        label = plain(source.graph.name) or "model"
    else:
        path = Path(source)
        label = plain(path.name)
        data = _read_file(path, label)
    proto = _parse(data, label)
    name = proto.graph.name or "model" if path is None else path.stem
    return Source(proto, name, label, hashlib.sha256(data).hexdigest(), path)


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
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{label}: cannot be read: {error.strerror}") from error


def _parse(data: bytes, label: str) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ModelError(
            f"{label}: not an ONNX model: the protobuf is damaged or the file is something else"
        ) from error
    if not _is_text(proto):
        raise ModelError(f"{label}: not an ONNX model: a name in it is not UTF-8 text")
    if not proto.HasField("graph"):
        raise ModelError(f"{label}: not an ONNX model: it holds no graph")
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx"))
    if opset is None and not opsets:
        raise ModelError(f"{label}: it imports no opset, so its operators have no meaning")
    if opset is not None and opset < OLDEST_OPSET:
        raise ModelError(f"{label}: opset {opset} is older than {OLDEST_OPSET}, the oldest that is read: convert it")
    return proto


def _is_text(message: Message) -> bool:
    """Whether every string in `message` is UTF-8: protobuf hands others over as bytes, which no name may be."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and not _all_str(value):
            return False
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = [value] if isinstance(value, Message) else value
            if not all(_is_text(each) for each in inner):
                return False
    return True


def _all_str(value: object) -> bool:
    return isinstance(value, str) or (
        not isinstance(value, bytes) and isinstance(value, Iterable) and all(isinstance(each, str) for each in value)
    )

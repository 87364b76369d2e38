"""Looks over the bytes of a model before they are parsed, so that no file takes more memory than its content needs.

Once parsed, a protobuf of empty messages takes some hundred times its own size, and a damaged one does not say
where. So its fields are followed here, by their lengths alone: whole, of bounded number and depth, and every name
short and text. The contents of tensors are skipped, whatever their size.

Source of the encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from mmap import mmap

import onnx
from google.protobuf.descriptor import Descriptor, FieldDescriptor

MAX_NODES = 100_000
MAX_GRAPHS = 4096
MAX_PARTS = 1_000_000
MAX_NUMBER_BYTES = 2**26
MAX_DEPTH = 80
"""Parsers of protobuf stop at 100, and shape inference adds messages of its own."""
MAX_NAME_BYTES = 2**16

REMARKS = frozenset({"doc_string", "metadata_props"})
"""Fields that mean nothing to a compiler, so that what they hold does not matter."""

_NUMBERS = re.compile(
    rb"(?:[\x08\x10\x18\x20\x28\x30\x38\x40\x48\x50\x58\x60\x68\x70\x78][\x80-\xff]{0,9}[\x00-\x7f]"
    rb"|[\x0d\x15\x1d\x25\x2d\x35\x3d\x45\x4d\x55\x5d\x65\x6d\x75\x7d].{4}"
    rb"|[\x09\x11\x19\x21\x29\x31\x39\x41\x49\x51\x59\x61\x69\x71\x79].{8})*+",
    re.DOTALL,
)
"""A run of fields that are numbers: varints, four bytes or eight; fields above 15 have longer tags."""

_DAMAGED = "not an ONNX model: the protobuf is damaged or the file is something else"


class WireError(Exception):
    """Why the bytes are no model that can be parsed: the end of a sentence."""


def check_wire(data: bytes | mmap) -> None:
    """Follows every field of a serialised `ModelProto`.

    Raises:
        WireError: the bytes are damaged or another kind of file, or hold more than the limits above allow.
    """
    _Scan(data).message(onnx.ModelProto.DESCRIPTOR, len(data))


@dataclass(frozen=True)
class _Kind:
    """What the scan has to know of a type of messages: its fields by number."""

    name: str
    messages: dict[int, tuple[str, Descriptor]]
    names: dict[int, str]


@cache
def _kind(descriptor: Descriptor) -> _Kind:
    fields = [f for f in descriptor.fields if f.name not in REMARKS]
    return _Kind(
        descriptor.name,
        {f.number: (f.name, f.message_type) for f in fields if f.type == FieldDescriptor.TYPE_MESSAGE},
        {f.number: f.name for f in fields if f.type == FieldDescriptor.TYPE_STRING},
    )


@dataclass
class _Scan:
    """Where the scan stands, what it has counted, and the fields that it is inside of."""

    data: bytes | mmap
    position: int = 0
    nodes: int = 0
    graphs: int = 0
    parts: int = 0
    number_bytes: int = 0
    inside: list[str] = field(default_factory=list)

    def message(self, descriptor: Descriptor, end: int) -> None:
        """Follows one message, which ends at `end`."""
        kind = _kind(descriptor)
        self._count(kind)
        while self.position < end:
            self._skip_numbers(end)
            if self.position >= end:
                break
            number, wire = self._tag(end)
            if wire == 2:
                self._sized(kind, number, end)
            elif wire == 0:
                self._varint(end)
            else:
                self.position += 4 if wire == 5 else 8
        if self.position > end:
            raise WireError(f"{_DAMAGED}, seen at byte {end:,}{self._place()}")

    def _count(self, kind: _Kind) -> None:
        self.nodes += kind.name == "NodeProto"
        self.graphs += kind.name == "GraphProto"
        for count, limit, what in ((self.nodes, MAX_NODES, "nodes"), (self.graphs, MAX_GRAPHS, "graphs")):
            if count > limit:
                raise WireError(f"it has more than {limit:,} {what}, the most that are read")
        if len(self.inside) > MAX_DEPTH:
            raise WireError(
                f"its parts are nested more than {MAX_DEPTH} deep, the most that are read: "
                f"that is about {MAX_DEPTH // 3 - 1} graphs inside each other"
            )

    def _skip_numbers(self, end: int) -> None:
        run = _NUMBERS.match(self.data, self.position, end)
        if run is not None:
            self.position = run.end()
            self.number_bytes += run.end() - run.start()
        if self.number_bytes > MAX_NUMBER_BYTES:
            raise WireError(f"it has more than {MAX_NUMBER_BYTES:,} bytes of numbers outside tensors")

    def _sized(self, kind: _Kind, number: int, end: int) -> None:
        """A field that tells its length: a message is followed, a name looked at, anything else skipped."""
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise WireError(f"it has more than {MAX_PARTS:,} parts, the most that are read")
        length = self._varint(end)
        stop = self.position + length
        if stop > end:
            raise WireError(
                f"{_DAMAGED}: field {number} at byte {self.position:,}{self._place()} is {length:,} bytes long, "
                f"and {end - self.position:,} are left"
            )
        if number in kind.messages:
            name, descriptor = kind.messages[number]
            self.inside.append(name)
            self.message(descriptor, stop)
            self.inside.pop()
        elif number in kind.names:
            self._name(kind.names[number], stop)
        self.position = stop

    def _name(self, name: str, end: int) -> None:
        size = end - self.position
        if size > MAX_NAME_BYTES:
            raise WireError(f"a name of {size:,} bytes{self._place(name)} is too long; the limit is {MAX_NAME_BYTES:,}")
        try:
            str(self.data[self.position : end], "utf-8")
        except UnicodeDecodeError:
            raise WireError(f"not an ONNX model: a name in it is not UTF-8 text{self._place(name)}") from None

    def _tag(self, end: int) -> tuple[int, int]:
        start = self.position
        tag = self._varint(end)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (0, 1, 2, 5):
            raise WireError(f"{_DAMAGED}, seen at byte {start:,}{self._place()}")
        return number, wire

    def _varint(self, end: int) -> int:
        value = shift = 0
        while self.position < end and shift < 70:
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise WireError(f"{_DAMAGED}, seen at byte {self.position:,}{self._place()}")

    def _place(self, name: str = "") -> str:
        path = ".".join(self.inside + [name] * bool(name))
        return f" in {path}" if path else ""

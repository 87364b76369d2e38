"""Files of a study as parcels: a model goes with the files that hold its weights."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mho.data import sha256_of
from mho.frontend.source import read_source
from mho.studies.tasks import Parcel

if TYPE_CHECKING:
    import onnx


def file_parcel(path: Path) -> Parcel:
    """A file that stands alone."""
    return Parcel(sha256_of(path), path)


def model_parcel(path: Path) -> Parcel:
    """A model with its external data.

    Raises:
        ModelError: it is no ONNX model.
    """
    source = read_source(path)
    names = tuple(sorted(name for name in set(_locations(source.proto.graph)) if _is_beside(path, name)))
    if not names:
        return Parcel(sha256_of(path), path)
    digests = [sha256_of(path), *(f"{name} {sha256_of(path.parent / name)}" for name in names)]
    return Parcel(sha256("\n".join(digests).encode()).hexdigest(), path, names)


def _locations(graph: onnx.GraphProto) -> Iterator[str]:
    """The external data of a graph and of those inside its nodes, as the model names it."""
    for tensor in graph.initializer:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")
    for node in graph.node:
        for attribute in node.attribute:
            yield from (entry.value for entry in attribute.t.external_data if entry.key == "location")
            for inner in (attribute.g, *attribute.graphs):
                yield from _locations(inner)


def _is_beside(path: Path, name: str) -> bool:
    """Whether a name leads to a file below the model's folder; compiling tells what is wrong with any other."""
    pure = PurePosixPath(name)
    inside = bool(name) and not pure.is_absolute() and ".." not in pure.parts
    return inside and (path.parent / name).is_file()

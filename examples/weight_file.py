"""Tensors in a file beside an ONNX model, written one after another while they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy.typing as npt
import onnx

ALIGNMENT = 4096
"""Tensors begin at whole pages, so that they can be mapped and what a sparse file leaves out is whole pages."""

SPARSE_BYTES = 2**20
"""What a sparse file holds of each tensor; the rest is a hole, which reads as zeros and takes no room on the disk."""


class WeightFile:
    """The external data of a model under construction; a context that opens and closes the file.

    Args:
        path: of the file, in the folder of the model; a file that is there is replaced.
        sparse: keep the beginning of each tensor only.
    """

    def __init__(self, path: Path, sparse: bool = False) -> None:
        self.path = path
        self.sparse = sparse
        self._file: BinaryIO = path.open("wb")

    def __enter__(self) -> WeightFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, tensor: onnx.TensorProto, parts: Iterable[npt.NDArray[Any]], length: int) -> None:
        """Write the tensor's `length` bytes, given in parts, and say in `tensor` where they are.

        Of a sparse file's tensor no more parts are asked for than are written.
        """
        offset = -(-self._file.tell() // ALIGNMENT) * ALIGNMENT
        self._file.seek(offset)
        limit = min(length, SPARSE_BYTES) if self.sparse else length
        written = 0
        for part in parts:
            data = part.tobytes()[: limit - written]
            self._file.write(data)
            written += len(data)
            if written == limit:
                break
        self._file.seek(offset + length)
        self._file.truncate()
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", self.path.name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))

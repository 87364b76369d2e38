"""An exported model as a file, or as a file with its weights in another beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import onnx
from onnx import TensorProto, numpy_helper

from mho.export.graph import Constant
from mho.export.model import Exported
from mho.targets.errors import DataError, ProgramError, plain
from mho.targets.files import replacing

MOST_BYTES = 2**31 - 2**20
"""What a protobuf holds, less some room for the graph."""

INSIDE_BYTES = 1024
"""Constants up to this size stay in the model, where tools use them for shapes."""

ALIGNMENT = 4096
"""Of each tensor in the file of weights, so that it can be mapped."""


def write_model(found: Exported, path: Path, external_data: bool = False) -> int:
    """Writes the model, whole or not at all; the bytes of everything that was written.

    Args:
        external_data: whether the weights go into a file of their own, `path` with `.data` behind it.

    Raises:
        ProgramError: the weights are more than a protobuf holds and have no file of their own.
        DataError: a file cannot be written.
    """
    try:
        if not external_data:
            return _written(path, whole_model(found))
        beside = path.with_name(f"{path.name}.data")
        with replacing(beside) as file:
            model = onnx.ModelProto()
            model.CopyFrom(found.model)
            model.graph.initializer.extend(_placed(found, file, beside.name))
            size = file.tell()
        return size + _written(path, model)
    except OSError as error:
        raise DataError(f"{plain(str(path))} cannot be written: {error.strerror}") from error


def whole_model(found: Exported) -> onnx.ModelProto:
    """The model with its weights inside.

    Raises:
        ProgramError: they are more than a protobuf holds.
    """
    total = sum(_bytes(constant) for constant in found.constants.values())
    if total > MOST_BYTES:
        raise ProgramError(
            f"the weights take {total:,} bytes, a protobuf holds {MOST_BYTES:,}: give --external-data, which puts them "
            "into a file beside the model"
        )
    model = onnx.ModelProto()
    model.CopyFrom(found.model)
    model.graph.initializer.extend(_tensor(name, constant) for name, constant in found.constants.items())
    return model


def _written(path: Path, model: onnx.ModelProto) -> int:
    content = model.SerializeToString(deterministic=True)
    with replacing(path) as file:
        file.write(content)
    return len(content)


def _placed(found: Exported, file: BinaryIO, location: str) -> Iterator[TensorProto]:
    """The constants, the content of the large ones in a file."""
    for name, constant in found.constants.items():
        tensor = _tensor(name, constant)
        if len(tensor.raw_data) > INSIDE_BYTES:
            file.write(bytes(-file.tell() % ALIGNMENT))
            onnx.external_data_helper.set_external_data(tensor, location, file.tell(), len(tensor.raw_data))
            file.write(tensor.raw_data)
            tensor.ClearField("raw_data")
        yield tensor


def _tensor(name: str, constant: Constant) -> TensorProto:
    if not isinstance(constant, TensorProto):
        return numpy_helper.from_array(constant, name)
    return constant


def _bytes(constant: Constant) -> int:
    return constant.ByteSize() if isinstance(constant, TensorProto) else constant.nbytes

"""Stored tensors that cannot be read as they claim, and external data that may not be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from mho.frontend import load_model
from mho.targets.errors import ModelError

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }'


def _model(tensor: TensorProto) -> onnx.ModelProto:
    model = onnx.parser.parse_model(TEXT)
    model.graph.initializer.append(tensor)
    return model


def _problems(model: onnx.ModelProto | Path) -> tuple[str, ...]:
    with pytest.raises(ModelError) as caught:
        load_model(model)
    return caught.value.problems


INLINE = {
    "it holds 3 numbers in float_data": TensorProto(name="w", data_type=1, dims=[2, 2], float_data=[1, 2, 3]),
    "it also holds int64_data": TensorProto(
        name="w", data_type=1, dims=[2, 2], float_data=[1, 2, 3, 4], int64_data=[1]
    ),
    "element type 99 is unknown": TensorProto(name="w", data_type=99, dims=[2, 2], raw_data=bytes(16)),
    "it holds 0 numbers in float_data": TensorProto(name="w", data_type=1, dims=[2, 2]),
    "it holds 2 bytes": TensorProto(name="w", data_type=TensorProto.INT4, dims=[2, 2, 2], raw_data=bytes(2)),
    "text cannot be stored as raw data": TensorProto(name="w", data_type=8, dims=[4], raw_data=bytes(4)),
}


@pytest.mark.parametrize("sentence", INLINE)
def test_inline(sentence: str) -> None:
    assert _problems(_model(INLINE[sentence]))[0].startswith(f"g: initializer 'w': {sentence}")


def test_all_problems_at_once() -> None:
    model = _model(TensorProto(name="w", data_type=1, dims=[2, 2], raw_data=bytes(15)))
    model.graph.initializer.append(TensorProto(name="v", data_type=1, dims=[-1], raw_data=bytes(4)))
    assert len(_problems(model)) == 2


def _external(**entries: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=1, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _save(folder: Path, tensor: TensorProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(_model(tensor).SerializeToString())
    return path


EXTERNAL = {
    "the length of its external data, '-16', is not a number": {"location": "w.bin", "length": "-16"},
    "its external data 'w.bin' ends at byte 20, but the file has 16": {"location": "w.bin", "offset": "4"},
    "its external data has 12 bytes, but dimensions [2, 2] need 16": {"location": "w.bin", "length": "12"},
    "its external data '' names no file": {},
    "its external data 'link.bin' is a link that leaves": {"location": "link.bin"},
    "its external data 'up/../w.bin' leaves": {"location": "up/../w.bin"},
    "its external data 'a\\\\..\\\\..\\\\w.bin' leaves": {"location": "a\\..\\..\\w.bin"},
    "its external data 'C:\\\\w.bin' is an absolute path": {"location": "C:\\w.bin"},
    "its external data 'pipe' is not a regular file": {"location": "pipe"},
    "its external data 'twin.bin' is a file with several hard links": {"location": "twin.bin"},
    "its external data 'up' is not a regular file": {"location": "up"},
}


@pytest.mark.parametrize("sentence", EXTERNAL)
def test_external(sentence: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "up").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (home / "w.bin").write_bytes(bytes(16))
    (home / "first.bin").write_bytes(bytes(16))
    (home / "twin.bin").hardlink_to(home / "first.bin")
    (home / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.mkfifo(home / "pipe")
    problem = _problems(_save(home, _external(**EXTERNAL[sentence])))[0]
    assert problem.startswith("model.onnx: initializer 'w': " + sentence.replace("\\\\", "\\"))


def test_external_data_of_a_model_in_memory() -> None:
    assert "a model in memory has no folder" in _problems(_model(_external(location="w.bin")))[0]


def test_external_data_of_an_attribute(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(TEXT)
    node = helper.make_node("Constant", [], ["w"], name="c", value=_external(location="../w.bin"))
    model.graph.node.insert(0, node)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert "node 'c' (Constant), attribute 'value': its external data '../w.bin' leaves" in _problems(path)[0]


def _sparse(indices: list[int], dims: tuple[int, ...]) -> onnx.ModelProto:
    model = onnx.parser.parse_model(TEXT)
    values = numpy_helper.from_array(np.ones(len(indices), np.float32), "w")
    tensor = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices, np.int64)), dims)
    model.graph.sparse_initializer.append(tensor)
    return model


@pytest.mark.parametrize(
    ("indices", "dims", "sentence"),
    [
        ([4], (2, 2), "sparse initializer 'w': an index lies outside dimensions [2, 2]"),
        ([-1], (2, 2), "sparse initializer 'w': an index lies outside dimensions [2, 2]"),
        ([0], (-2, 2), "sparse initializer 'w': dimensions [-2, 2] are negative or too large"),
        (
            [0],
            (2**40, 2),
            "its sparse tensors, such as sparse initializer 'w', need 8,796,093,022,208 bytes when dense; the limit is "
            "134,217,728: store them as dense ones",
        ),
    ],
)
def test_sparse(indices: list[int], dims: tuple[int, ...], sentence: str) -> None:
    assert _problems(_sparse(indices, dims)) == (f"g: {sentence}",)

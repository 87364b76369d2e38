"""Models and data behind symbolic links: a download cache is read, nothing else outside the model's folder is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from mho.frontend import load_model
from tests.refusals import compile_refusal, dense, refusal
from tests.shell import Shell

WEIGHTS = np.linspace(-1, 1, 32, dtype=np.float32)


def with_external(location: str, offset: str = "0") -> bytes:
    model = dense()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value=offset)
    return bytes(model.SerializeToString())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache as huggingface_hub lays it out: links in snapshots/REVISION to files in blobs/."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc" / "onnx"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "0a").write_bytes(with_external("model.onnx_data"))
    (blobs / "0b").write_bytes(WEIGHTS.tobytes())
    (snapshot / "model.onnx").symlink_to("../../../blobs/0a")
    (snapshot / "model.onnx_data").symlink_to("../../../blobs/0b")
    return tmp_path


def test_a_download_cache_is_read(run: Shell, cache: Path) -> None:
    model = cache / "snapshots" / "abc" / "onnx" / "model.onnx"
    weights = load_model(model).ir.graph.initializers["w"].const_value
    assert weights is not None
    np.testing.assert_array_equal(weights.numpy().reshape(-1), WEIGHTS)
    program, data = cache / "m.mho", cache / "x.npz"
    np.savez(data, x=np.ones((4, 8), np.float32))
    assert run("compile", model, "-t", "ideal256", "--data", data, "-o", program).code == 0
    assert run("validate", program, "--model", model, "--data", data, "--ideal").code == 0


def test_a_link_to_elsewhere_says_what_to_do(run: Shell, cache: Path) -> None:
    folder = cache / "snapshots" / "abc" / "onnx"
    (cache / "secret").write_bytes(WEIGHTS.tobytes())
    (folder / "model.onnx_data").unlink()
    (folder / "model.onnx_data").symlink_to("../../../secret")
    (sentence,) = compile_refusal(run, folder)
    assert sentence == (
        "model.onnx: initializer 'w': its external data 'model.onnx_data' is a link that leaves the model's folder: "
        "put the file itself there, as 'cp -rL FOLDER COPY' does for all links of a folder"
    )


def test_a_folder_that_is_a_link(cache: Path) -> None:
    (cache / "link").symlink_to("snapshots/abc/onnx")
    load_model(cache / "link" / "model.onnx")


def test_a_folder_inside_that_leads_out(run: Shell, tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "w.bin").write_bytes(WEIGHTS.tobytes())
    (home / "inside").symlink_to("../outside")
    (sentence,) = compile_refusal(run, home, with_external("inside/w.bin"))
    assert "its external data 'inside/w.bin' is a link that leaves the model's folder" in sentence


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("../w.bin", "leaves the model's folder"),
        ("/etc/hostname", "is an absolute path"),
        ("file:///etc/hostname", "does not exist in the model's folder"),
        ("~/w.bin", "does not exist in the model's folder"),
        ("w\0.bin", "names no file"),
        ("a/" * 5000, "names no file"),
        ("loop", "does not exist in the model's folder"),
    ],
)
def test_places(location: str, sentence: str, run: Shell, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (found,) = compile_refusal(run, tmp_path, with_external(location))
    assert found.startswith("model.onnx: initializer 'w': its external data ") and sentence in found


@pytest.mark.parametrize(
    ("offset", "sentence"),
    [
        ("1", "its external data 'w.bin' ends at byte 129, but the file has 128"),
        (str(2**63 - 1), "its external data 'w.bin' ends at byte 9223372036854775935, but the file has 128"),
        ("9" * 400, "is not a number of bytes"),
        ("-1", "the offset of its external data, '-1', is not a number of bytes"),
        ("0x10", "the offset of its external data, '0x10', is not a number of bytes"),
    ],
)
def test_offsets(offset: str, sentence: str, run: Shell, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    (found,) = compile_refusal(run, tmp_path, with_external("w.bin", offset))
    assert sentence in found


def test_a_location_twice(run: Shell, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    model = onnx.ModelProto.FromString(with_external("../secret"))
    model.graph.initializer[0].external_data.add(key="location", value="w.bin")
    (found,) = compile_refusal(run, tmp_path, model)
    assert "its external data tells location twice" in found


@pytest.mark.parametrize("name", ["pipe", "folder", "nowhere"])
def test_models_that_are_no_files(name: str, run: Shell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("missing")
    (found,) = refusal(run, "compile", tmp_path / name, "-t", "ideal256", folder=tmp_path)
    assert name in found and ("it is not a regular file" in found or "there is no such file" in found)

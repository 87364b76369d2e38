"""Data, options and machines in files that were made to hurt."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.refusals import dense
from tests.shell import Shell


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(dense().SerializeToString())
    return path


def array_of(shape: str) -> bytes:
    """An .npy file that claims a shape and holds a few bytes."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)


def archive_of(content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x.npy", content)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        archive_of(array_of("(1000000000000, 8)")),
        archive_of(array_of("(4611686018427387904, 8)")),
        archive_of(array_of("(-1, 8)")),
        archive_of(array_of("(" * 500 + ")" * 500)),
        array_of("(1000000000000, 8)"),
        b"PK\x03\x04" + bytes(100),
        b"",
    ],
)
def test_archives(content: bytes, run: Shell, model: Path, tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(content)
    found = run("compile", model, "-t", "ideal256", "--data", tmp_path / "d.npz", "-o", tmp_path / "m.mho")
    assert found.code == 1 and "d.npz" in found.err and found.err.count("\n") == 1
    assert not (tmp_path / "m.mho").exists()


def test_an_archive_that_unpacks_to_a_thousand_times_itself(run: Shell, model: Path, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(bytes(2**20))
    found = run("compile", model, "-t", "ideal256", "--data", tmp_path / "d.npz")
    assert found.code == 1 and "d.npz: its " in found.err and "unpack to 314,572,800" in found.err


def test_pipes_are_not_waited_for(run: Shell, model: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for command in (
        ("compile", model, "-t", "ideal256", "--data", pipe),
        ("compile", model, "-t", "ideal256", "--config", pipe),
        ("compile", model, "-t", pipe),
        ("report", pipe),
    ):
        found = run(*command)
        assert found.code in (1, 2) and "no regular file" in found.err, found.err


@pytest.mark.parametrize(
    "content", [b"a = " + b"[" * 5000, b"a = " + b"9" * 5000, b"\xff\xfe", b"#" * 2**21, b"a = 1\0"]
)
def test_texts(content: bytes, run: Shell, model: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    for flags, code in ((("-t", "ideal256", "--config", tmp_path / "c.toml"), 2), (("-t", tmp_path / "c.toml"), 1)):
        found = run("compile", model, *flags)
        assert found.code == code and "c.toml" in found.err and len(found.err) < 2000, found.err


def test_a_report_with_an_accuracy_that_never_closes(run: Shell, model: Path, tmp_path: Path) -> None:
    assert run("compile", model, "-t", "ideal256", "-o", tmp_path / "m.mho").code == 0
    (tmp_path / "v.json").write_bytes(b"[" * 200_000)
    found = run("report", tmp_path / "m.mho", "--accuracy", tmp_path / "v.json")
    assert found.code == 1 and "v.json" in found.err
    np.testing.assert_equal(found.out, "")

"""What a user reads who has a file that is not a sound program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mho.targets.errors import ProgramError
from mho.targets.program import FORMAT_VERSION
from mho.targets.program_file import check_tensors, read_program, write_program
from tests.programs import tiny_program


def refusal(path: Path) -> str:
    with pytest.raises(ProgramError) as refused:
        check_tensors(read_program(path))
    return str(refused.value)


def written(path: Path) -> Path:
    write_program(tiny_program(), path)
    return path


def with_header(content: bytes, old: str, new: str) -> bytes:
    """The file with `new` in its header where `old` stood first."""
    length = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length].decode()
    assert old in text
    return content[:8] + text.replace(old, new, 1).encode().rstrip().ljust(length) + content[8 + length :]


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "none.mho") == f"{tmp_path}/none.mho: the program cannot be read: No such file or directory"
    )
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x10" + bytes(7), b"ONNX" * 100, b"\x00" * 64, b"\xff" * 64])
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mho"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: not a sound mho program: ")


def test_an_absurd_header_is_refused_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "a.mho"
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    assert "a header of 1099511627776 bytes is above the limit" in refusal(path)


def test_another_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mho"
    save_file({"weights": np.ones(3, np.float32)}, path)
    assert refusal(path).startswith(f"{path}: not a mho program: format: ")


def test_a_newer_format_says_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mho")
    path.write_bytes(with_header(path.read_bytes(), f'\\"format\\": {FORMAT_VERSION}', '\\"format\\": 9'))
    assert refusal(path) == (
        f"{path}: the program has format version 9, and this mho reads versions up to {FORMAT_VERSION}: "
        "install a newer mho, or compile the model again with this one"
    )


def test_a_damaged_manifest_and_a_damaged_weight(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mho")
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"seed":0', b'"seed":1'))
    assert refusal(path) == f"{path}: damaged: the manifest's digest does not match; fetch or compile it again"
    weights = tiny_program().tensors["matrix/w"].tobytes()
    path.write_bytes(good.replace(weights, bytes(len(weights))))
    assert refusal(path) == f"{path}: damaged: the digest of tensor matrix/w does not match"


def test_every_damaged_tensor_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mho")
    content = path.read_bytes()
    for array in tiny_program().tensors.values():
        content = content.replace(array.tobytes(), bytes(array.nbytes))
    path.write_bytes(content)
    assert [line.split()[-4] for line in refusal(path).splitlines()] == ["constant/b", "matrix/w"]


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mho")
    path.write_bytes(with_header(path.read_bytes(), '{"', '{"__metadata__":{},"'))
    assert "twice" in refusal(path) or "duplicate" in refusal(path)


def test_tensors_that_overlap_or_pass_the_end(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mho")
    good = path.read_bytes()
    entry = '"data_offsets":[64,184]'
    for wrong in ('"data_offsets":[63,183]', '"data_offsets":[0,120]', '"data_offsets":[64,999999]'):
        path.write_bytes(with_header(good, entry, wrong))
        assert refusal(path).startswith(f"{path}: not a sound mho program: ")


def test_a_tensor_too_many_or_of_another_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mho")
    good = path.read_bytes()
    path.write_bytes(with_header(good, "constant/b", "constant/c"))
    message = refusal(path)
    assert "tensor constant/b is not in the file" in message
    assert "tensor constant/c does not belong to the program" in message


def test_values_of_the_wrong_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.mho"
    program = tiny_program()
    manifest = replace(program.manifest, seed="many")  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="serialized value may not be as expected"):
        write_program(replace(program, manifest=manifest), path)
    assert refusal(path).startswith(f"{path}: damaged manifest: seed: Input should be a valid integer")


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([b"a"]), np.array([None]), np.array(["2020"], "M8[D]")])
def test_texts_and_objects_are_not_written(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ProgramError, match=r"a.mho: tensor constant/\\x1b: a program's file holds numbers only"):
        write_program(replace(tiny_program(), tensors={"constant/\x1b": array}), tmp_path / "a.mho")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProgramError, match="the program cannot be written: Not a directory"):
        write_program(tiny_program(), tmp_path / "file" / "a.mho")


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.mho"
    name = "constant/\x1b[31m\n"
    program = replace(tiny_program(), tensors={name: np.arange(1.0, 9.0)})
    write_program(program, path)
    path.write_bytes(path.read_bytes().replace(np.arange(1.0, 9.0).tobytes(), bytes(64)))
    assert refusal(path).isprintable()


def test_header_is_json(tmp_path: Path) -> None:
    content = written(tmp_path / "a.mho").read_bytes()
    assert "matrix/w" in json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])

"""The program's file: exact, deterministic, atomic, and every damaged byte is found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import RawIOBase
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from mho.targets import program_file
from mho.targets.errors import ProgramError
from mho.targets.mapped_tensors import MappedTensors, View, pieces_of
from mho.targets.program import Array, JsonScalar, Program
from mho.targets.program_file import check_tensors, read_program, tensor_table, write_program
from mho.targets.steps import Activation, Analog
from tests.programs import tiny_program


def equal(left: Program, right: Program) -> bool:
    return left == right and tensor_table(left.tensors) == tensor_table(right.tensors)


def test_reads_what_was_written(tmp_path: Path) -> None:
    program = tiny_program(digital=True)
    write_program(program, tmp_path / "a.mho")
    read = read_program(tmp_path / "a.mho")
    assert read == program
    assert set(read.tensors) == set(program.tensors)
    for name, array in program.tensors.items():
        np.testing.assert_array_equal(read.tensors[name], array)
    check_tensors(read)


def test_equal_programs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.mho", "b.mho"):
        write_program(tiny_program(seed=3, digital=True), tmp_path / name)
    write_program(read_program(tmp_path / "a.mho"), tmp_path / "c.mho")
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1


def test_tensors_are_mapped_and_read_only(tmp_path: Path) -> None:
    write_program(tiny_program(digital=True), tmp_path / "a.mho")
    tensors = read_program(tmp_path / "a.mho").tensors
    assert isinstance(tensors, MappedTensors)
    for array in tensors.values():
        assert not array.flags.writeable and not array.flags.owndata and array.flags.aligned
    assert tensors["matrix/w"] is tensors["matrix/w"]


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matrix_that_is_a_constant_is_stored_once(tmp_path: Path, transposed: bool) -> None:
    table = np.random.default_rng(0).standard_normal((60, 70)).astype(np.float32)
    matrix = (table.T if transposed else table)[None]
    program = replace(tiny_program(), tensors={"constant/t": table, "matrix/t": matrix, "matrix/u": matrix + 1})
    write_program(program, tmp_path / "a.mho")
    assert 2 * table.nbytes < (tmp_path / "a.mho").stat().st_size < 2.9 * table.nbytes
    read = read_program(tmp_path / "a.mho")
    assert equal(read, program)
    np.testing.assert_array_equal(read.tensors["matrix/t"], matrix)
    assert np.shares_memory(read.tensors["matrix/t"], read.tensors["constant/t"])
    write_program(read, tmp_path / "b.mho")
    assert (tmp_path / "a.mho").read_bytes() == (tmp_path / "b.mho").read_bytes()


@pytest.mark.parametrize("tensor", ["constant/missing", "matrix/t", "constant/other"])
def test_a_false_view_is_refused(tmp_path: Path, tensor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.ones((6, 7), np.float32)
    arrays = {"constant/t": table, "constant/other": table[:, :3], "matrix/t": table[None]}
    monkeypatch.setattr(
        program_file, "_view", lambda array, _: View(tensor=tensor, transposed=False) if array.ndim == 3 else None
    )
    write_program(replace(tiny_program(), tensors=arrays), tmp_path / "a.mho")
    with pytest.raises(ProgramError, match=r"matrix/t .*view of"):
        read_program(tmp_path / "a.mho")


def test_a_program_of_the_first_format_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = replace(tiny_program(), manifest=replace(tiny_program().manifest, format=1))
    monkeypatch.setattr(program_file, "FORMAT_VERSION", 1)
    write_program(program, tmp_path / "a.mho")
    monkeypatch.undo()
    assert equal(read_program(tmp_path / "a.mho"), program)


def test_asking_for_a_name_reads_no_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(tiny_program(), tmp_path / "a.mho")
    tensors = read_program(tmp_path / "a.mho").tensors
    monkeypatch.setattr("mho.targets.mapped_tensors.sha256", None)
    assert "matrix/w" in tensors
    assert "matrix/absent" not in tensors


def test_pieces_make_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = replace(tiny_program(digital=True), tensors={**tiny_program(digital=True).tensors, **ARRAYS})
    write_program(program, tmp_path / "whole.mho")
    monkeypatch.setattr("mho.targets.mapped_tensors.PIECE_BYTES", 16)
    monkeypatch.setattr("mho.targets.program_file.PIECE_ITEMS", 1)
    write_program(program, tmp_path / "pieces.mho")
    assert (tmp_path / "pieces.mho").read_bytes() == (tmp_path / "whole.mho").read_bytes()
    assert equal(read_program(tmp_path / "pieces.mho"), program)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0)])
def test_pieces_are_the_bytes_in_order(order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5).transpose(order)
    monkeypatch.setattr("mho.targets.mapped_tensors.PIECE_BYTES", 24)
    pieces = list(pieces_of(array))
    assert b"".join(piece.tobytes() for piece in pieces) == array.tobytes()
    assert max(map(len, pieces)) <= 24


def test_zeros_are_holes_that_read_as_zeros(tmp_path: Path) -> None:
    zeros, path = np.zeros((1, 1024, 4096), np.float32), tmp_path / "a.mho"
    zeros[0, 700, 5] = 1
    program = tiny_program()
    write_program(replace(program, tensors={**program.tensors, "constant/zeros": zeros}), path)
    np.testing.assert_array_equal(read_program(path).tensors["constant/zeros"], zeros)
    assert path.stat().st_size > zeros.nbytes
    if path.stat().st_blocks * 512 == path.stat().st_size:
        pytest.skip("this file system has no holes")
    assert path.stat().st_blocks * 512 < zeros.nbytes / 4


ARRAYS: dict[str, Array] = {
    "matrix/transposed": np.arange(6, dtype=np.float64).reshape(1, 2, 3).transpose(0, 2, 1),
    "constant/big endian": np.array([1.5, -2.0], ">f4"),
    "constant/scalar": np.array(7, np.int64),
    "constant/empty": np.zeros((0, 3), np.int8),
    "constant/flags": np.array([True, False, True]),
    "constant/half": np.array([1, 2, 3], np.float16),
    "constant/bfloat16": np.array([[1.0], [-3.5]], ml_dtypes.bfloat16),
    "constant/float8": np.array([1.0, 0.5, -2.0], ml_dtypes.float8_e4m3fn),
    "constant/int4": np.array([-8, 7, 1], ml_dtypes.int4),
    "constant/complex": np.array([1 + 2j], np.complex64),
    'graph/"\n\\é': np.frombuffer(b"abc", np.uint8),
}


def test_every_number_format_survives(tmp_path: Path) -> None:
    write_program(replace(tiny_program(), tensors=ARRAYS), tmp_path / "a.mho")
    tensors = read_program(tmp_path / "a.mho").tensors
    assert list(tensors) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].dtype == array.dtype.newbyteorder("<") and tensors[name].shape == array.shape
        np.testing.assert_array_equal(tensors[name], array)


def test_is_a_safetensors_file_with_one_metadata_key(tmp_path: Path) -> None:
    write_program(tiny_program(), tmp_path / "a.mho")
    with safe_open(tmp_path / "a.mho", framework="np") as file:
        assert list(file.metadata()) == ["mho"]
        np.testing.assert_array_equal(file.get_tensor("matrix/w"), tiny_program().tensors["matrix/w"])
        assert json.loads(file.get_tensor("manifest").tobytes())["model"] == "tiny"


def test_infinities_and_kinds_of_numbers_survive(tmp_path: Path) -> None:
    program = tiny_program()
    step = program.sequence[0]
    assert isinstance(step, Analog)
    clipped = replace(step, activation=Activation(function="clip", low=float("-inf"), high=1e-45))
    options: dict[str, JsonScalar] = {"a": 1, "b": 1.0, "c": True, "d": "1", "e": None, "f": float("inf")}
    program = replace(program, sequence=(clipped,), manifest=replace(program.manifest, options=options))
    write_program(program, tmp_path / "a.mho")
    read = read_program(tmp_path / "a.mho")
    assert read == program
    assert [type(v) for v in read.manifest.options.values()] == [int, float, bool, str, type(None), float]


class Interrupted(Mapping[str, Array]):
    """Tensors of which the last cannot be had."""

    def __init__(self, fault: BaseException) -> None:
        self.fault = fault

    def __getitem__(self, name: str) -> Array:
        if name == "b":
            raise self.fault
        return np.ones(100_000, np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b"))

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), MemoryError(), ProgramError("no")])
def test_a_fault_leaves_the_old_file_and_nothing_else(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "a.mho"
    path.write_bytes(b"old")
    with pytest.raises(type(fault)):
        write_program(replace(tiny_program(), tensors=Interrupted(fault)), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mho"] and path.read_bytes() == b"old"


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.mho"
    write_program(tiny_program(rows=2, columns=1, digital=True), path)
    good = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for index, byte in enumerate(good):
            overwrite(file, index, byte ^ 0xFF)
            with pytest.raises(ProgramError, match=re.escape(str(path))):
                check_tensors(read_program(path))
            overwrite(file, index, byte)
    check_tensors(read_program(path))


def overwrite(file: RawIOBase, index: int, byte: int) -> None:
    file.seek(index)
    file.write(bytes([byte]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_damage_of_any_kind_is_a_program_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    program = tiny_program(rows=2, columns=1)
    path = tmp_path_factory.mktemp("damage") / "a.mho"
    write_program(program, path)
    good = path.read_bytes()
    index = data.draw(st.integers(0, len(good) - 1))
    change = bytes([good[index] ^ data.draw(st.integers(1, 255))])
    path.write_bytes(good[:index] if data.draw(st.booleans()) else good[:index] + change + good[index + 1 :])
    try:
        read = read_program(path)
        check_tensors(read)
    except ProgramError as error:
        assert all(str(path) in problem for problem in error.problems)
    else:
        assert equal(read, program)

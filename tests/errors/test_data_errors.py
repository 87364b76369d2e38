"""What a user reads whose data does not suit the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.data import generated_samples, read_data
from mho.runtime.matching import match_samples
from mho.runtime.samples import run_samples
from mho.targets.errors import DataError
from mho.targets.steps import Dimension, Port

Array = NDArray[Any]


def port(name: str, *shape: Dimension, kind: str = "tensor(float)") -> Port:
    return Port(name=name, type=kind, shape=shape)


IMAGE = port("image", "n", 3)


def refusal(data: Mapping[str, Array], *ports: Port, state: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(DataError) as refused:
        match_samples(data, ports, state)
    return refused.value.problems


def test_all_problems_at_once() -> None:
    found = refusal(
        {"image": np.zeros((2, 4), np.float32), "ids": np.zeros((2, 3)), "odd": np.zeros(2)},
        IMAGE,
        port("ids", "n", 3, kind="tensor(int64)"),
        port("mask", "n"),
        port("\x1b[31m", "n"),
    )
    assert found == (
        "input image wants the shape (n, 3) (first axis: samples), the data has (2, 4)",
        "input ids wants int64, the data has float64",
        "the data has no array for input mask; it has: image, ids, odd",
        "the data has no array for input \\x1b[31m; it has: image, ids, odd",
    )


@pytest.mark.parametrize(
    ("kind", "array", "problem"),
    [
        ("tensor(uint8)", np.array([256]), "input x wants uint8, the data has values that uint8 cannot hold"),
        ("tensor(int8)", np.array([300]), "input x wants int8, the data has values that int8 cannot hold"),
        ("tensor(uint64)", np.array([-1]), "input x wants uint64, the data has values that uint64 cannot hold"),
        ("tensor(int64)", np.array([0.5]), "input x wants int64, the data has float64"),
        ("tensor(bool)", np.array([1]), "input x wants bool, the data has int64"),
        ("tensor(float)", np.array([1j]), "input x wants float32, the data has complex128"),
        ("tensor(float)", np.array(["a"]), "input x wants float32, the data has <U1"),
        ("tensor(string)", np.array([1]), "input x wants strings, the data has int64"),
        (
            "seq(tensor(float))",
            np.array([1.0]),
            "input x is of type seq(tensor(float)), which no array can feed: give its values piece by piece, as arrays "
            "with the names NAME/SAMPLE or NAME/SAMPLE/INDEX",
        ),
    ],
)
def test_types(kind: str, array: Array, problem: str) -> None:
    assert refusal({"x": array}, port("x", "n", kind=kind)) == (problem,)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 1), (1, 1, 2, 3)])
def test_ranks(shape: tuple[int, ...]) -> None:
    (problem,) = refusal({"image": np.zeros(shape, np.float32)}, IMAGE)
    assert problem == f"input image wants the shape (n, 3) (first axis: samples), the data has {shape}"


def test_numbers_of_samples() -> None:
    (problem,) = refusal({"a": np.zeros((2, 3)), "b": np.zeros((4, 3))}, port("a", "n", 3), port("b", "n", 3))
    assert problem == "the inputs have different numbers of samples: a has 2, b has 4; give each input as many"
    assert refusal({"image": np.zeros((0, 3))}, port("image", 4, 3)) == ("the data holds no sample",)


def test_some_inputs_with_an_axis_of_samples_and_some_without() -> None:
    (problem,) = refusal({"k": np.zeros(2), "image": np.zeros((2, 3))}, port("k"), IMAGE)
    assert problem == "k has an axis of samples before its own, image has none"


def test_batches_that_differ() -> None:
    ports = port("x", 1, 3), port("h", 2, 3)
    (problem,) = refusal({"x": np.zeros((2, 3)), "h": np.zeros((2, 3))}, *ports)
    assert problem.startswith("the first axes of x, h differ in the model")
    assert match_samples({"x": np.zeros((4, 1, 3)), "h": np.zeros((4, 2, 3))}, ports).batch == 0


def test_state() -> None:
    data = {"image": np.zeros((2, 3))}
    assert refusal(data, IMAGE, state={"y": "h"}) == ("--state names inputs that the model lacks: h",)
    state = port("h", "n", 4)
    (problem,) = refusal({**data, "h": np.zeros(4)}, IMAGE, state, state={"y": "h"})
    assert problem == "the first value of h must have the shape (n, 4), it has (4,)"
    (problem,) = refusal(data, IMAGE, port("h", kind="optional(tensor(float))"), state={"y": "h"})
    assert problem == "input h is a optional(tensor(float)), which cannot carry state"
    samples = match_samples(data, (IMAGE, state), {"nowhere": "h"})
    with pytest.raises(DataError, match="--state names outputs that the model lacks: nowhere"):
        run_samples(samples, lambda inputs, first: {"y": inputs["image"]})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not an [.]npz file of plain arrays"):
        read_data(path)


def test_a_file_of_one_array_and_a_missing_one(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.zeros(3))
    with pytest.raises(DataError, match="holds one array; store it under its input's name"):
        read_data(tmp_path / "data.npy")
    with pytest.raises(DataError, match="does not exist"):
        read_data(str(tmp_path / "none.npz"))


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"is not an [.]npz file of plain arrays"):
        read_data(tmp_path / "data.npz")


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=1000))
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not an [.]npz file of plain arrays"):
        read_data(path)


@pytest.mark.parametrize(
    ("port", "problem"),
    [
        (port("x", "n", "time"), "input x leaves time open: give --data FILE.npz or --dim time=…"),
        (port("x", "n", kind="tensor(string)"), "input x is of type tensor(string), which cannot be made up"),
        (Port(name="x", type="tensor(float)", shape=None), "input x has no rank: give --data FILE.npz"),
    ],
)
def test_inputs_that_cannot_be_made_up(port: Port, problem: str) -> None:
    with pytest.raises(DataError) as refused:
        generated_samples((port,), None, 0)
    assert refused.value.problems[0].startswith(problem)

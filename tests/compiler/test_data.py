"""Data from arrays and files, and made up where there is none."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np

from mho.data import GENERATED_SAMPLES, generated_samples, read_data, write_npz
from mho.runtime.pieces import as_arrays
from mho.targets.steps import Dimension, Port


def port(name: str, *shape: Dimension, kind: str = "tensor(float)") -> Port:
    return Port(name=name, type=kind, shape=shape)


def test_arrays_files_and_names(tmp_path: Path) -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.array([1, 2])
    np.savez(tmp_path / "data.npz", x=x, y=y)
    for data in (tmp_path / "data.npz", str(tmp_path / "data.npz"), {"x": x, "y": y}):
        found = read_data(data)
        assert isinstance(found, dict)
        assert {name: array.tolist() for name, array in found.items()} == {"x": x.tolist(), "y": y.tolist()}
    for numbers in (x, [[1.0, 2.0]]):
        found = read_data(numbers)
        assert isinstance(found, dict)
        assert list(found) == ["x"]


def test_made_up_samples() -> None:
    ports = (port("x", "n", 3), port("ids", "n", kind="tensor(int64)"), port("on", "n", kind="tensor(bool)"))
    first, again, other = (generated_samples(ports, None, seed) for seed in (1, 1, 2))
    assert first.count == GENERATED_SAMPLES
    assert np.array_equal(first.arrays["x"], again.arrays["x"])
    assert not np.array_equal(first.arrays["x"], other.arrays["x"])
    assert set(first.arrays["ids"].tolist()) <= {0, 1}
    assert first.arrays["on"].dtype == np.bool_


def test_made_up_samples_of_a_fixed_batch() -> None:
    samples = generated_samples((port("x", 4, 3),), None, 0)
    assert (samples.count, samples.batch, samples.fixed) == (4, 4, True)


def test_made_up_samples_where_first_axes_differ() -> None:
    samples = generated_samples((port("x", 1, 16), port("h", 2, 1, 8), port("k")), None, 0)
    assert (samples.count, samples.batch) == (GENERATED_SAMPLES, 0)
    assert samples.arrays["h"].shape == (GENERATED_SAMPLES, 2, 1, 8)


def test_inputs_that_carry_state_are_not_made_up() -> None:
    samples = generated_samples((port("x", "n", 3), port("h", "n", "hidden")), {"y": "h"}, 0)
    assert list(samples.arrays) == ["x"]
    assert samples.initial["h"].shape == (1, 1)


def test_outputs_that_are_no_arrays_are_written_piece_by_piece(tmp_path: Path) -> None:
    outputs = {
        "y": np.ones((2, 3)),
        "ragged": [np.zeros(1), np.zeros(2)],
        "sequence": [[np.zeros(3)], [np.zeros(4), np.zeros(5)]],
        "optional": [None, np.ones(6)],
        "text": np.array([["a"], ["long"]], np.object_),
        "half": np.ones(7, ml_dtypes.bfloat16),
    }
    write_npz(tmp_path / "out.npz", as_arrays(outputs))
    with np.load(tmp_path / "out.npz") as written:
        found = {name: written[name].shape for name in written.files}
        assert written["text"].tolist() == [["a"], ["long"]]
        assert written["half"].dtype == np.float32
    assert found == {
        "y": (2, 3),
        "ragged/0": (1,),
        "ragged/1": (2,),
        "sequence/0/0": (3,),
        "sequence/1/0": (4,),
        "sequence/1/1": (5,),
        "optional/1": (6,),
        "text": (2, 1),
        "half": (7,),
    }

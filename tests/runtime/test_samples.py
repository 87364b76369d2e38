"""Samples cut into batches, and the results put together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.runtime.matching import match_samples
from mho.runtime.samples import DEFAULT_BATCH, Samples, run_samples
from mho.targets.errors import DataError
from mho.targets.steps import Dimension, Port

Array = NDArray[Any]


def port(name: str, *shape: Dimension, kind: str = "tensor(float)") -> Port:
    return Port(name=name, type=kind, shape=shape)


def numbers(*shape: int) -> NDArray[np.float32]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


class Recorder:
    """Doubles x, and remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, Array], int]] = []

    def __call__(self, inputs: Mapping[str, Array], first: int) -> dict[str, Any]:
        self.calls.append((dict(inputs), first))
        return {"y": inputs["x"] * 2, "total": inputs["x"].sum()}


def test_an_open_batch_takes_its_default() -> None:
    recorder, data = Recorder(), numbers(2 * DEFAULT_BATCH + 3, 2)
    told: list[int] = []
    found = run_samples(match_samples({"x": data}, (port("x", "n", 2),)), recorder, told.append)
    assert [len(inputs["x"]) for inputs, _ in recorder.calls] == [DEFAULT_BATCH, DEFAULT_BATCH, 3]
    assert [first for _, first in recorder.calls] == [0, DEFAULT_BATCH, 2 * DEFAULT_BATCH]
    assert told == [DEFAULT_BATCH, DEFAULT_BATCH, 3]
    assert np.array_equal(found["y"], 2 * data)
    assert found["total"].shape == (3,)


@given(count=st.integers(1, 12), batch=st.integers(1, 5))
def test_a_fixed_batch_is_filled_up_and_cut(count: int, batch: int) -> None:
    recorder, data = Recorder(), numbers(count, 2)
    found = run_samples(match_samples({"x": data}, (port("x", batch, 2),)), recorder)
    assert {len(inputs["x"]) for inputs, _ in recorder.calls} == {batch}
    assert np.array_equal(recorder.calls[-1][0]["x"][-1], data[-1])
    assert np.array_equal(found["y"], 2 * data)


def test_whole_inputs_are_fed_one_by_one() -> None:
    recorder, data = Recorder(), numbers(3, 4, 2)
    ports = (port("x", "time", 2), port("k"))
    found = run_samples(match_samples({"x": data, "k": np.array(7, np.float32)}, ports), recorder)
    assert [inputs["x"].shape for inputs, _ in recorder.calls] == [(4, 2)] * 3
    assert all(inputs["k"] == 7 for inputs, _ in recorder.calls)
    assert np.array_equal(found["y"], 2 * data)
    assert found["total"].tolist() == data.sum(axis=(1, 2)).tolist()


PORTS = (port("x", "n", "t", 2),)


@pytest.mark.parametrize("declared", [("t", 2), (4, 2)])
def test_an_output_of_the_length_of_a_batch_by_chance(declared: tuple[Dimension, ...]) -> None:
    outputs = (port("y", "n", 2), port("z", *declared))
    found = run_samples(
        match_samples({"x": numbers(4, 4, 2)}, PORTS),
        lambda inputs, first: {"y": inputs["x"][:, 0], "z": inputs["x"][0]},
        outputs=outputs,
    )
    assert found["y"].shape == (4, 2)
    assert found["z"].shape == (1, 4, 2)


def test_a_declared_number_that_is_not_true_is_no_evidence() -> None:
    for count in (1, 4):
        samples = match_samples({"x": numbers(count, 2)}, (port("x", "n", 2),))
        found = run_samples(samples, lambda inputs, first: {"y": inputs["x"]}, outputs=(port("y", 1, 2),))
        assert found["y"].shape == (count, 2)


def test_what_an_output_counts_is_decided_once() -> None:
    found = run_samples(
        match_samples({"x": numbers(DEFAULT_BATCH + 3, 2)}, (port("x", "n", 2),)),
        lambda inputs, first: {"z": np.full((3, 2), first)},
    )
    assert found["z"][:, 0, 0].tolist() == [0, DEFAULT_BATCH]


def test_an_input_of_rank_0_a_sample() -> None:
    found = run_samples(match_samples({"x": numbers(5)}, (port("x"),)), Recorder())
    assert found["y"].tolist() == [0, 2, 4, 6, 8]


def test_state_goes_from_sample_to_sample() -> None:
    def run(inputs: Mapping[str, Array], first: int) -> dict[str, Any]:
        return {"y": inputs["x"] + inputs["h"], "after": inputs["h"] + 1}

    ports = (port("x", "n", 2), port("h", "n", 2))
    samples = match_samples({"x": numbers(4, 2)}, ports, {"after": "h"})
    assert samples.batch == 1
    assert run_samples(samples, run)["y"].tolist() == [[0, 1], [3, 4], [6, 7], [9, 10]]
    begun = match_samples({"x": numbers(4, 2), "h": np.full((1, 2), 10)}, ports, {"after": "h"})
    assert run_samples(begun, run)["y"].tolist() == [[10, 11], [13, 14], [16, 17], [19, 20]]


def test_x_serves_where_one_input_is_fed() -> None:
    samples = match_samples({"x": numbers(2, 3), "y": np.array([1, 0])}, (port("image", "n", 3),))
    assert list(samples.arrays) == ["image"]


@pytest.mark.parametrize(
    ("kind", "array", "expected"),
    [
        ("tensor(float)", np.array([1, 2]), np.float32),
        ("tensor(float16)", np.array([1.5]), np.float16),
        ("tensor(uint8)", np.array([0, 255]), np.uint8),
        ("tensor(int8)", np.array([-128, 127]), np.int8),
        ("tensor(bool)", np.array([True]), np.bool_),
        ("tensor(string)", np.array(["a", "b"]), np.object_),
    ],
)
def test_types_that_suit_are_converted(kind: str, array: Array, expected: type) -> None:
    samples = match_samples({"x": array}, (port("x", "n", kind=kind),))
    assert samples.arrays["x"].dtype == expected
    assert samples.arrays["x"].tolist() == array.tolist()


def test_the_first_samples() -> None:
    samples = match_samples({"x": numbers(5, 2), "k": np.array(1, np.float32)}, (port("x", "n", 2), port("k")))
    assert samples.count == 5
    assert samples.first(2).count == 2
    assert samples.first(2).arrays["k"].ndim == 0


def test_outputs_that_have_no_common_shape_are_a_list() -> None:
    found = run_samples(
        match_samples({"x": numbers(3, 2)}, (port("x", 1, 2),)),
        lambda inputs, first: {"y": np.zeros((2, first + 3))},
    )
    assert [value.shape for value in found["y"]] == [(2, 3), (2, 4), (2, 5)]


def test_whole_samples_may_hold_anything() -> None:
    ports = (port("s", kind="seq(tensor(float))"), port("x", "n", 2), port("o", kind="optional(tensor(double))"))
    sequences = [[numbers(1)], [numbers(2), numbers(3)]]
    samples = Samples.whole(
        [
            {"s": sequences[0], "x": numbers(4, 2), "o": None},
            {"s": sequences[1], "x": numbers(0, 2), "o": numbers(5)},
        ]
    )
    matched = match_samples(samples, ports)
    assert matched.count == 2
    found = run_samples(matched, lambda inputs, first: {**inputs, "first": np.float32(first)})
    assert [len(sequence) for sequence in found["s"]] == [1, 2]
    assert [x.shape for x in found["x"]] == [(4, 2), (0, 2)]
    assert found["o"][0] is None
    assert found["o"][1].dtype == np.float64
    assert found["first"].shape == (2,)


def test_whole_samples_that_do_not_suit() -> None:
    ports = (port("x", "n", 2), port("i", kind="tensor(int64)"))
    samples = Samples.whole([{"x": numbers(4, 2)}, {"x": numbers(4, 3)}])
    with pytest.raises(DataError) as refused:
        match_samples(samples, ports)
    assert refused.value.problems == (
        "sample 1: input x wants the shape (n, 2), it has (4, 3)",
        "the data has no value for input i; it has: x",
    )
    for wrong in ([], [{"x": 1}, {"y": 1}]):
        with pytest.raises(DataError, match="each with the same inputs"):
            Samples.whole(wrong)


def test_no_sample_is_one_empty_batch() -> None:
    recorder = Recorder()
    found = run_samples(match_samples({"x": numbers(0, 2)}, (port("x", "n", 2),)), recorder)
    assert [inputs["x"].shape for inputs, _ in recorder.calls] == [(0, 2)]
    assert found["y"].shape == (0, 2)


def test_pieces_are_whole_samples() -> None:
    ports = (
        port("s", kind="seq(tensor(float))"),
        port("x", "n", 2),
        port("o", kind="optional(tensor(float))"),
    )
    data = {
        "s/0/0": numbers(1),
        "s/1/0": numbers(2),
        "s/1/1": numbers(3),
        "x/0": numbers(4, 2),
        "x/1": numbers(0, 2),
        "o/1": numbers(5),
    }
    found = match_samples(data, ports)
    assert found.count == 2
    assert [[len(each) for each in sequence] for sequence in found.arrays["s"]] == [[1], [2, 3]]
    assert [x.shape for x in found.arrays["x"]] == [(4, 2), (0, 2)]
    assert found.arrays["o"][0] is None
    assert len(found.arrays["o"][1]) == 5


def test_pieces_beside_arrays_of_whole_inputs() -> None:
    ports = (port("s", kind="seq(tensor(float))"), port("x", "n", 2))
    found = match_samples({"s/1/0": numbers(1), "x": numbers(2, 4, 2)}, ports)
    assert [len(sequence) for sequence in found.arrays["s"]] == [0, 1]
    assert [x.shape for x in found.arrays["x"]] == [(4, 2), (4, 2)]


def test_pieces_that_are_missing() -> None:
    ports = (port("x", "n", 2), port("s", kind="seq(tensor(float))"))
    with pytest.raises(DataError) as refused:
        match_samples({"s/0/0": numbers(1), "s/2/0": numbers(1), "x/0": numbers(4, 2)}, ports)
    assert refused.value.problems == (
        "sample 1: input x has no value",
        "sample 2: input x has no value",
    )

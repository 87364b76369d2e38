"""The same input, options and seed give the same bytes, whatever the number of cores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

import mho
from mho.passes.calibrate.full_scale import Floats, FullScale
from mho.passes.expand.expand_weights import ExpandWeights
from mho.passes.partition.partition import PartitionChips
from mho.passes.place.place import PlaceCores
from mho.passes.replicate.replicate import Replicate
from mho.pipeline import Pipeline
from mho.runtime.products import product_in_parts, steady_products
from tests.refusals import model_of

CORES = (1, 4)


def wide_network() -> tuple[onnx.ModelProto, Floats]:
    """Layers whose products are large enough for several threads, and a convolution."""
    random = np.random.default_rng(0)
    weights: dict[str, Any] = {
        "k": random.standard_normal((48, 3, 5, 5)),
        "a": random.standard_normal((768, 700)),
        "b": random.standard_normal((700, 190)),
        "d": random.standard_normal((190, 20)),
    }
    text = """g (float[N, 3, 13, 13] x) => (float[N, 20] y) {
        [conv] c = Conv <strides = [4, 4], pads = [2, 2, 2, 2]> (x, k) [flat] f = Flatten(c)
        [big] h = MatMul(f, a) r = Relu(h) [wide] w = MatMul(r, b) [last] y = MatMul(w, d) }"""
    arrays: dict[str, Any] = {n: np.asarray(w, np.float32) for n, w in weights.items()}
    model = model_of(text, **arrays)
    return model, random.standard_normal((128, 3, 13, 13)).astype(np.float32)


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that converters' ranges are chosen from, as it comes: rounding hides most of what differs in it."""
    seen: list[bytes] = []
    choose = FullScale.choose

    def watch(rule: FullScale, values: Floats, bits: int | None) -> float:
        seen.append(values.tobytes())
        return choose(rule, values, bits)

    monkeypatch.setattr(FullScale, "choose", watch)
    return seen


def test_a_program_has_the_same_bytes_on_any_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sums: list[bytes]
) -> None:
    model, data = wide_network()
    pipeline = Pipeline(
        expand=ExpandWeights(layers={"big": 1.25}),
        replicate=Replicate("fill", tiles=30),
        partition=PartitionChips(effort="fast"),
        place=PlaceCores(effort="fast"),
    )
    written, seen = [], []
    for cores in CORES:
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        path = tmp_path / f"{cores}.mho"
        with threadpool_limits(cores):
            mho.compile(model, "hermes64", data, pipeline=pipeline).save(path)
        written.append(path.read_bytes())
        seen.append(list(sums))
        sums.clear()
    assert all(content == written[0] for content in written[1:])
    assert all(numbers == seen[0] for numbers in seen[1:])


def test_a_program_has_the_same_bytes_on_one_core_as_on_all(tmp_path: Path) -> None:
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this system has one core, or does not say which a process may use")
    model, data = wide_network()
    all_cores = os.sched_getaffinity(0)
    mho.compile(model, "hermes64", data).save(tmp_path / "all.mho")
    try:
        os.sched_setaffinity(0, {min(all_cores)})
        mho.compile(model, "hermes64", data).save(tmp_path / "one.mho")
    finally:
        os.sched_setaffinity(0, all_cores)
    assert (tmp_path / "all.mho").read_bytes() == (tmp_path / "one.mho").read_bytes()


def test_libraries_are_held_to_one_thread_and_let_go() -> None:
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with steady_products():
            assert threads() == {1}
        assert threads() == before


@given(st.integers(1, 1300), st.integers(1, 40), st.integers(1, 2500), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_parts_are_the_product(rows: int, inner: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    left, right = random.standard_normal((rows, inner)), random.standard_normal((inner, columns))
    found = product_in_parts(left, right, np.float64)
    assert found.shape == (rows, columns)
    np.testing.assert_allclose(found, left @ right, rtol=1e-12, atol=1e-12)

"""Recalibration gives each column back the mean and the deviation that exact arithmetic has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mho.runtime.digital import DigitalUnit
from mho.runtime.effects import Conditions, Effects
from mho.runtime.exact import ExactUnit
from mho.runtime.machine import Machine
from mho.runtime.matching import match_samples
from mho.runtime.recalibrate import (
    AdjustedUnit,
    Correction,
    Moments,
    Recalibration,
    Summing,
    fingerprint,
)
from mho.runtime.samples import Samples, run_samples
from mho.runtime.sequencer import Sequencer
from mho.runtime.simulator import Simulator
from mho.targets.errors import DataError, OptionError
from mho.targets.program import Program
from mho.targets.target import Device
from tests.plans import compile_model, draw, machine_of, parse
from tests.programs import tiny_program

Array = NDArray[Any]


class Crooked:
    """Exact sums of which every column has a gain and an offset of its own."""

    def __init__(self, program: Program, gains: dict[str, Array], offsets: dict[str, Array]) -> None:
        self._exact = ExactUnit(program)
        self._gains = gains
        self._offsets = offsets

    def sums(self, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        exact = self._exact.sums(layer, rows, fires)
        return (exact * self._gains[layer] + self._offsets[layer]).astype(np.float32)

    def finish(self, layer: str, sums: Array, addend: Array | None) -> Array:
        return self._exact.finish(layer, sums, addend)


def untouched(layer: str, sums: Array) -> None:
    """Leaves sums as they are."""


def run(program: Program, unit: AdjustedUnit | ExactUnit | Machine, samples: Samples) -> Array:
    """The only output."""
    (output,) = run_samples(samples, Sequencer(program, unit, DigitalUnit(program.tensors)).run).values()
    assert isinstance(output, np.ndarray)
    return output


def recalibration(program: Program, samples: Samples) -> Recalibration:
    return Recalibration(program, DigitalUnit(program.tensors), samples)


@pytest.fixture(scope="module")
def convolutions() -> Program:
    """Two convolutions, the second with a residual addition, on a machine of tiny crossbars."""
    model = parse(
        """g (float[n, 3, 6, 6] x) => (float[n, 3, 6, 6] y) {
            a = Conv <pads = [1, 1, 1, 1]> (x, v, c)
            r = Relu(a)
            h = Conv <pads = [1, 1, 1, 1]> (r, w)
            s = Add(h, x)
            y = Relu(s)
        }""",
        v=draw(1, 5, 3, 3, 3) / 4,
        c=draw(2, 5),
        w=draw(3, 3, 5, 3, 3) / 4,
    )
    return compile_model(model, {"x": draw(4, 8, 3, 6, 6)}, machine_of())


def samples_of(program: Program, seed: int, count: int, batch: int = 64) -> Samples:
    return replace(match_samples({"x": draw(seed, count, 3, 6, 6)}, program.inputs), batch=batch)


def crooked(program: Program) -> Summing:
    rng = np.random.default_rng(5)
    widths = {layer.name: program.matrix(layer.matrix).columns for layer in program.layers}
    gains = {name: rng.uniform(0.3, 1.5, width) for name, width in widths.items()}
    offsets = {name: rng.normal(0, 2, width) for name, width in widths.items()}
    return Crooked(program, gains, offsets)


def test_gains_and_offsets_of_columns_are_undone_on_other_samples(convolutions: Program) -> None:
    machine = crooked(convolutions)
    test = samples_of(convolutions, 6, 20)
    exact = run(convolutions, ExactUnit(convolutions), test)
    before = run(convolutions, AdjustedUnit(machine, untouched), test)
    after = run(convolutions, recalibration(convolutions, samples_of(convolutions, 7, 40)).corrected(machine), test)
    assert np.abs(before - exact).max() > 1
    np.testing.assert_allclose(after, exact, atol=1e-4)


def test_several_batches_correct_nearly_as_well_as_one(convolutions: Program) -> None:
    """Later layers then see inputs that were corrected with the statistics of few samples."""
    machine = crooked(convolutions)
    test = samples_of(convolutions, 6, 20)
    whole, cut = (
        run(convolutions, recalibration(convolutions, samples_of(convolutions, 7, 40, batch)).corrected(machine), test)
        for batch in (40, 8)
    )
    exact = run(convolutions, ExactUnit(convolutions), test)
    assert (
        np.abs(cut - exact).max()
        < 0.25 * np.abs(run(convolutions, AdjustedUnit(machine, untouched), test) - exact).max()
    )
    assert np.abs(whole - exact).max() <= np.abs(cut - exact).max()


def test_a_fixed_batch_is_filled_up(convolutions: Program) -> None:
    machine, test = crooked(convolutions), samples_of(convolutions, 6, 20)
    few = replace(samples_of(convolutions, 7, 13, batch=4), fixed=True)
    seen: list[int] = []
    unit = recalibration(convolutions, few).corrected(machine, seen.append)
    assert seen == [4, 4, 4, 1]
    before = run(convolutions, AdjustedUnit(machine, untouched), test)
    exact = run(convolutions, ExactUnit(convolutions), test)
    assert np.abs(run(convolutions, unit, test) - exact).max() < 0.5 * np.abs(before - exact).max()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_pooled_moments_are_those_of_all_at_once(counts: list[int], seed: int) -> None:
    parts = [draw(seed + i, count, 3) * (1 + i) + i for i, count in enumerate(counts)]
    pooled = Moments.of(parts[0])
    for part in parts[1:]:
        pooled = pooled.pooled(Moments.of(part))
    together = np.concatenate(parts).astype(np.float64)
    assert pooled.count == len(together)
    np.testing.assert_allclose(pooled.mean, together.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(pooled.squares, len(together) * together.var(axis=0), atol=1e-9)


def test_more_positions_than_a_chunk() -> None:
    sums = draw(1, 20_000, 2)
    found = Moments.of(sums)
    np.testing.assert_allclose(found.mean, sums.mean(axis=0, dtype=np.float64), atol=1e-12)
    np.testing.assert_allclose(found.std, sums.std(axis=0, dtype=np.float64), rtol=1e-12)


def test_nothing_seen_changes_nothing() -> None:
    some, none = Moments.of(draw(1, 5, 2)), Moments.of(np.zeros((0, 2), np.float32))
    assert some.pooled(none).count == none.pooled(some).count == 5
    np.testing.assert_array_equal(some.pooled(none).mean, some.mean)
    np.testing.assert_array_equal(none.pooled(none).std, 0)


@pytest.mark.parametrize(("machine", "exact"), [(0.1, 0.0), (0.0, 1.0), (0.0, 0.0), (np.inf, 1.0), (np.nan, 1.0)])
def test_a_column_without_deviation_stays(machine: float, exact: float) -> None:
    found = Moments(4, np.array([0.7, 2.0]), 4 * np.array([machine, 1.0]) ** 2)
    wanted = Moments(4, np.array([3.0, 1.0]), 4 * np.array([exact, 2.0]) ** 2)
    correction = Correction.between(found, wanted)
    np.testing.assert_array_equal(correction.scale, [1, 2])
    np.testing.assert_array_equal(correction.shift, [0, -3])


def test_rounding_of_a_constant_is_no_deviation() -> None:
    constant = np.full((1000, 1), 0.1, np.float32)
    constant[::7] = np.nextafter(np.float32(0.1), np.float32(1))
    assert Moments.of(constant).std == 0
    assert Moments.of(np.zeros((10, 1), np.float32)).std == 0


def test_a_drifted_machine_comes_nearer(convolutions: Program) -> None:
    device = Device(model="pcm", compensation="global")
    drifting = replace(convolutions, target=replace(convolutions.target, device=device))
    simulator = Simulator(drifting)
    conditions = Conditions(effects=replace(Effects(), adc=False), time_s=30 * 86_400.0)
    test = samples_of(drifting, 6, 40)
    exact = run(drifting, ExactUnit(drifting), test)
    recalibrates = simulator.recalibration(samples_of(drifting, 7, 40))
    errors = []
    for method in (None, recalibrates, None):
        (found,) = run_samples(test, simulator.noisy(conditions, method).run).values()
        errors.append(float(np.mean((found - exact) ** 2)))
    assert errors[1] < 0.7 * errors[0]
    assert errors[2] == errors[0], "the machine itself was changed"


def test_equal_samples_are_measured_once(convolutions: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[str] = []
    exact = ExactUnit.sums

    def counted(self: ExactUnit, layer: str, rows: NDArray[np.float32], fires: NDArray[np.int64]) -> Array:
        passes.append(layer)
        return exact(self, layer, rows, fires)

    monkeypatch.setattr(ExactUnit, "sums", counted)
    simulator = Simulator(convolutions)
    for seed in (1, 2, 2):
        again = simulator.recalibration(samples_of(convolutions, 7, 6))
        simulator.noisy(Conditions(seed=seed), again)
    assert len(passes) == 2
    simulator.noisy(Conditions(), simulator.recalibration(samples_of(convolutions, 8, 6)))
    assert len(passes) == 4


def test_fingerprints_tell_values_shapes_and_batches() -> None:
    def mark(array: Array, **options: Any) -> bytes:
        return fingerprint(Samples({"x": array}, batch=4, **options))

    base = draw(1, 4, 6)
    assert mark(base) == mark(base.copy())
    marks = {
        mark(base),
        mark(base + 1),
        mark(base.reshape(4, 2, 3)),
        mark(base, fixed=True),
        mark(base, state={"a": "b"}),
        mark(base, initial={"s": np.zeros(2)}),
        mark(np.array(["a", "b"], object)),
        mark(np.array(["a", "c"], object)),
    }
    assert len(marks) == 8


@pytest.mark.parametrize(("count", "is_"), [(0, "are 0"), (1, "is 1")])
def test_too_few_samples(count: int, is_: str) -> None:
    program = tiny_program()
    samples = match_samples({"x": np.ones((count, 6), np.float32)}, program.inputs)
    with pytest.raises(DataError, match=rf"wants 2 samples or more.* there {is_}"):
        recalibration(program, samples)


def test_a_program_of_gates_has_nothing_to_recalibrate() -> None:
    model = parse(
        "g (float[t, n, 3] x) => (float[t, d, n, 4] y) { y = LSTM <hidden_size = 4> (x, w, r, b) }",
        w=draw(7, 1, 16, 3),
        r=draw(8, 1, 16, 4),
        b=draw(9, 1, 32),
    )
    data = {"x": draw(1, 5, 2, 3)}
    program = compile_model(model, data, machine_of())
    with pytest.raises(OptionError, match="every layer of the program belongs to a recurrent step"):
        recalibration(program, match_samples(data, program.inputs))

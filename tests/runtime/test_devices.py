"""Device models against the published check values, and against moments that are integrated numerically here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from mho.runtime.cells import PART_DEVICES, column_compensation, compensation, conductances, program_cells
from mho.runtime.devices import MODELS, PCM, RERAM, DriftingDevice
from mho.runtime.effects import Conditions, Effects
from mho.runtime.random import key, normals
from mho.targets.target import SILENT_MODELS, Device, DeviceModel

Floats = NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
DAY = 86400.0
CELLS = 200_000
NAMES: tuple[DeviceModel, ...] = get_args(DeviceModel)
DRIFTING: tuple[DeviceModel, ...] = tuple(name for name in NAMES if isinstance(MODELS.get(name), DriftingDevice))
EVERY = tuple(name for name in NAMES if name in MODELS)


def effective_weights(
    weights: NDArray[np.float32], model: DeviceModel, conditions: Conditions, names: tuple[str | int, ...]
) -> NDArray[np.float32]:
    return program_cells(weights, Device(model=model), conditions, names).weights


def only(**effects: bool) -> Effects:
    return Effects(**{**vars(Effects.ideal()), **effects})


def clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def reference(model: DeviceModel) -> dict[str, Callable[[float], float]]:
    """The published formulas, one number at a time: programming sigma / g_max, drift mean and std, read noise."""
    if model == "state-independent":
        return {
            "programming": lambda x: 0.2 / 25,
            "mean": lambda x: 0.1,
            "std": lambda x: 0.05,
            "read": lambda x: 1 / 25,
        }
    if model == "pcm":
        return {
            "programming": lambda x: (0.26348 + 1.9650 * x - 1.1731 * x**2) / 25,
            "mean": lambda x: clip(-0.0155 * math.log(max(x, 1e-7)) + 0.0244, 0.049, 0.1),
            "std": lambda x: clip(-0.0125 * math.log(max(x, 1e-7)) - 0.0059, 0.008, 0.045),
            "read": lambda x: min(0.0088 / max(x**0.65, 1e-3), 0.2),
        }

    def mean(x: float) -> float:
        log = math.log(max(x, 1e-7))
        return clip(-0.0387 * log - 0.0182, 0.0720, 0.13) if x < 0.0945 else -0.0436 * x**2 - 0.0126 * x + 0.0736

    def std(x: float) -> float:
        log = math.log(max(x, 1e-7))
        if model == "hermes-one-device":
            return clip(-0.0120 * log - 0.0023, 0.0124, 0.04) if x < 0.3039 else -0.0165 * x**2 + 0.0116 * x + 0.0104
        return clip(-0.0117 * log - 0.0057, 0.0091, 0.04) if x < 0.3055 else -0.0118 * x**2 + 0.0093 * x + 0.0073

    def read(x: float) -> float:
        log = math.log(max(x, 1e-7))
        if model == "hermes-one-device":
            if x < 0.1591:
                return clip(-0.0078 * log + 0.0038, 0.0179, 0.04)
            return 0.0664 * x**3 - 0.1352 * x**2 + 0.0768 * x + 0.0088
        if x < 0.16:
            return clip(-0.0117 * log - 0.0069, 0.015, 0.04)
        return 0.0069 * x**3 - 0.0280 * x**2 + 0.0211 * x + 0.0123

    def programming(x: float) -> float:
        if model == "hermes-one-device":
            return (0.15781817 + 2.32443916 * x - 2.16310839 * x**2 + 0.68841818 * x**3) / 10.35
        return (0.16603222 + 4.71806468 * x - 8.48101252 * x**2 + 4.68961419 * x**3) / 20.7

    return {"programming": programming, "mean": mean, "std": std, "read": read}


TIMES = {
    "pcm": (20.0, 250e-9),
    "state-independent": (20.0, 250e-9),
    "hermes-one-device": (200.0, 512e-9),
    "hermes-two-device": (300.0, 512e-9),
}


def weights(x: float) -> NDArray[np.float32]:
    return np.full((CELLS // 400, 400), x, np.float32)


def close(found: float, expected: float, spread: float) -> bool:
    """Within five standard errors of a mean over all cells, and float32 rounding."""
    return abs(found - expected) < 5 * spread / math.sqrt(CELLS) + 2e-6


def test_every_model_of_a_target_has_its_formulas() -> None:
    assert {"ideal", *MODELS} == set(get_args(DeviceModel))
    assert set(DRIFTING) | set(SILENT_MODELS) == set(get_args(DeviceModel))


def test_pcm_programming_check_values() -> None:
    x = np.array([0, 0.1, 0.25, 0.5, 0.75, 1], np.float32)
    assert 100 * PCM.programming_sigma(x) == pytest.approx([1.05, 1.79, 2.73, 3.81, 4.31, 4.22], abs=0.005)


@pytest.mark.parametrize(
    ("time_s", "retention"), [(3600.0, 0.775), (DAY, 0.664), (30 * DAY, 0.562), (365 * DAY, 0.497)]
)
def test_pcm_retention_check_values(time_s: float, retention: float) -> None:
    assert float(PCM.retained(np.array([0.049], np.float32), time_s)[0]) == pytest.approx(retention, abs=6e-4)
    mean = effective_weights(weights(1), "pcm", Conditions(effects=only(drift=True), time_s=time_s), ("m",)).mean()
    assert float(mean) == pytest.approx(retention, abs=0.004)


@pytest.mark.parametrize("model", DRIFTING)
def test_curves(model: DeviceModel) -> None:
    device, expected = MODELS[model], reference(model)
    assert isinstance(device, DriftingDevice)
    grid = [0.0, 1e-8, 1e-5, 0.01, 0.05, 0.09, 0.1, 0.158, 0.1595, 0.17, 0.25, 0.3, 0.3045, 0.31, 0.5, 0.75, 1.0]
    x = np.array(grid, np.float32)
    assert device.programming_sigma(x) == pytest.approx([expected["programming"](v) for v in grid], rel=1e-5)
    assert device.drift_mean.at(x) == pytest.approx([expected["mean"](v) for v in grid], rel=1e-5)
    assert device.drift_std.at(x) == pytest.approx([expected["std"](v) for v in grid], rel=1e-5)
    assert device.read.at(x) == pytest.approx([expected["read"](v) for v in grid], rel=1e-5)


@pytest.mark.parametrize("model", DRIFTING)
@pytest.mark.parametrize("x", [0.0, 0.02, 0.4, 1.0])
def test_programming_moments(model: DeviceModel, x: float) -> None:
    """g = max(0, x + sigma n) has the moments of a rectified normal variable; the pair subtracts one at 0."""
    formulas = reference(model)

    def rectified(mean: float, sigma: float) -> tuple[float, float]:
        a = mean / sigma
        density, below = math.exp(-a * a / 2) / math.sqrt(2 * math.pi), 0.5 * math.erfc(-a / math.sqrt(2))
        first = mean * below + sigma * density
        return first, (mean**2 + sigma**2) * below + mean * sigma * density - first**2

    used, unused = rectified(x, formulas["programming"](x)), rectified(0, formulas["programming"](0))
    conditions = Conditions(effects=only(programming_noise=True), time_s=DAY)
    found = effective_weights(weights(-x), model, conditions, ("m",)).astype(np.float64)
    variance = used[1] + unused[1]
    assert close(-found.mean(), used[0] - unused[0], math.sqrt(variance))
    assert found.var() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("model", DRIFTING)
@pytest.mark.parametrize("x", [0.05, 0.2, 0.4, 1.0])
@pytest.mark.parametrize("time_s", [3600.0, 365 * DAY])
def test_drift_moments(model: DeviceModel, x: float, time_s: float) -> None:
    formulas, (t0_s, _) = reference(model), TIMES[model]
    exponents = np.abs(formulas["mean"](x) + formulas["std"](x) * NODES)
    left: Floats = x * ((time_s + t0_s) / t0_s) ** -exponents
    mean = float(WEIGHTS @ left)
    spread = math.sqrt(float(WEIGHTS @ (left - mean) ** 2))
    found = effective_weights(weights(x), model, Conditions(effects=only(drift=True), time_s=time_s), ("m",))
    assert close(float(found.mean(dtype=np.float64)), mean, spread)
    assert float(found.std(dtype=np.float64)) == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize("model", DRIFTING)
@pytest.mark.parametrize("x", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("time_s", [0.0, DAY])
def test_read_noise_moments(model: DeviceModel, x: float, time_s: float) -> None:
    t0_s, t_read_s = TIMES[model]
    sigma = x * reference(model)["read"](x) * math.sqrt(math.log((time_s + t0_s + t_read_s) / (2 * t_read_s)))
    found = effective_weights(weights(x), model, Conditions(effects=only(read_noise=True), time_s=time_s), ("m",))
    assert close(float(found.mean(dtype=np.float64)), x, sigma)
    assert float(found.std(dtype=np.float64)) == pytest.approx(sigma, rel=0.02)


def test_ideal_and_switched_off_leave_weights_alone() -> None:
    w = np.random.default_rng(0).uniform(-1, 1, (30, 20)).astype(np.float32)
    conditions = Conditions(time_s=DAY)
    assert np.array_equal(effective_weights(w, "ideal", conditions, ("m",)), w)
    for model in EVERY:
        off = Conditions(effects=Effects.ideal(), time_s=DAY)
        assert np.array_equal(effective_weights(w, model, off, ("m",)), w)
        assert program_cells(w, Device(model=model, compensation="global"), off, ("m",)).compensation == 1


def test_draws_depend_on_seed_and_name_alone() -> None:
    w = np.random.default_rng(0).uniform(-1, 1, (30, 20)).astype(np.float32)
    conditions = Conditions(seed=1, time_s=DAY)
    first = effective_weights(w, "pcm", conditions, ("m", 0))
    assert np.array_equal(first, effective_weights(w, "pcm", conditions, ("m", 0)))
    assert not np.array_equal(first, effective_weights(w, "pcm", conditions, ("m", 1)))
    assert not np.array_equal(first, effective_weights(w, "pcm", Conditions(seed=2, time_s=DAY), ("m", 0)))
    assert np.array_equal(first, effective_weights(w, "pcm", Conditions(seed=1, time_s=86400), ("m", 0)))


def test_devices_keep_their_programming_over_time_and_effects() -> None:
    targets = np.random.default_rng(0).uniform(0, 1, (50, 40)).astype(np.float32)
    early, late = (conductances(PCM, targets, Conditions(time_s=t), ("m",)) for t in (0.0, DAY))
    bare = conductances(PCM, targets, Conditions(effects=only(programming_noise=True), time_s=DAY), ("m",))
    assert np.array_equal(early.programmed, late.programmed)
    assert np.array_equal(bare.read, early.programmed)
    assert np.array_equal(early.drifted, early.programmed)
    assert np.all(late.drifted <= early.drifted)
    hour, day = (
        conductances(PCM, targets, Conditions(effects=only(drift=True), time_s=t), ("m",)) for t in (3600, DAY)
    )
    rates = [np.log(c.read / targets) / math.log((t + 20) / 20) for c, t in ((hour, 3600), (day, DAY))]
    assert rates[0] == pytest.approx(rates[1], abs=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_devices_are_read_anew_by_a_read_seed_and_stay_as_they_are(model: str) -> None:
    targets = np.random.default_rng(0).uniform(0, 1, (50, 40)).astype(np.float32)
    own, same, other = (
        conductances(MODELS[model], targets, Conditions(seed=5, time_s=DAY, read_seed=read), ("m",))
        for read in (None, 5, 6)
    )
    assert np.array_equal(own.read, same.read)
    assert np.array_equal(own.programmed, other.programmed) and np.array_equal(own.drifted, other.drifted)
    assert np.array_equal(own.read, other.read) == (model == "reram")


def test_large_blocks_are_made_of_the_same_devices_as_rows_of_them() -> None:
    """What is computed in parts does not show where a part ends."""
    targets = np.random.default_rng(0).uniform(0, 1, (PART_DEVICES // 64 * 2 + 5, 64)).astype(np.float32)
    for effects in (only(), only(programming_noise=True), only(drift=True, read_noise=True), Effects()):
        conditions = Conditions(effects=effects, time_s=DAY)
        found = conductances(PCM, targets, conditions, ("m",))
        columns = conductances(PCM, np.asfortranarray(targets), conditions, ("m",))
        for whole, other in ((found.programmed, columns.programmed), (found.read, columns.read)):
            assert np.array_equal(whole, other)
        n = normals(key(0, "programming_noise", "m"), targets.shape)
        expected = np.maximum(targets + PCM.programming_sigma(targets) * n, 0)
        assert np.array_equal(found.programmed, expected if effects.programming_noise else targets)


def test_draws_of_devices_are_unrelated() -> None:
    """Polarities, effects and reads at different times share no draws."""
    zero = np.zeros((200, 200), np.float32)
    programmed = effective_weights(zero, "pcm", Conditions(effects=only(programming_noise=True)), ("m",))
    assert abs(float(programmed.mean(dtype=np.float64))) < 5 * float(programmed.std()) / 200
    half = zero + np.float32(0.5)
    reads = [
        effective_weights(half, "pcm", Conditions(effects=only(read_noise=True), time_s=t), ("m",)).ravel()
        for t in (0.0, 3600.0)
    ]
    noise = effective_weights(half, "pcm", Conditions(effects=only(programming_noise=True)), ("m",)).ravel()
    table = np.corrcoef([*reads, noise])
    assert np.all(np.abs(table[np.triu_indices(3, 1)]) < 5 / 200)


@pytest.mark.parametrize("model", DRIFTING)
def test_compensation_restores_the_outputs(model: DeviceModel) -> None:
    """To 8 %, since large weights drift less than the mean in the HERMES models; without it a third is lost."""
    w = np.random.default_rng(0).normal(0, 0.3, (256, 256)).clip(-1, 1).astype(np.float32)
    start = effective_weights(w, model, Conditions(), ("m",))
    for time_s in (0.0, DAY, 365 * DAY):
        cells = program_cells(w, Device(model=model, compensation="global"), Conditions(time_s=time_s), ("m",))
        slope = float(np.vdot(start, cells.weights) / np.vdot(start, start))
        assert cells.compensation * slope == pytest.approx(1, abs=0.08)
        assert cells.compensation == 1 if time_s == 0 else cells.compensation > 1.2
        assert program_cells(w, Device(model=model), Conditions(time_s=time_s), ("m",)).compensation == 1


def test_compensation_is_the_ratio_of_mean_magnitudes() -> None:
    assert compensation(np.array([[1, -3]], np.float32), np.array([[-1, 1]], np.float32)) == 2
    zero = np.zeros((2, 2), np.float32)
    assert compensation(zero, zero) == 1


def test_columns_are_compensated_apart() -> None:
    programmed = np.array([[1, -3, 0], [1, 1, 0]], np.float32)
    present = np.array([[0.5, -1, 0], [0.5, 1, 0]], np.float32)
    np.testing.assert_array_equal(column_compensation(programmed, present), [2, 2, 1])
    w = np.linspace(-1, 1, 400, dtype=np.float32).reshape(40, 10)
    cells = program_cells(w, Device(model="pcm", compensation="column"), Conditions(time_s=86_400.0), ("m",))
    assert np.shape(cells.compensation) == (10,) and np.all(cells.compensation > 1)


RERAM_US = {
    0.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
}


@pytest.mark.parametrize("time_s", RERAM_US)
@pytest.mark.parametrize("x", [0.0, 0.1, 0.5, 1.0])
def test_reram_moments(time_s: float, x: float) -> None:
    """g = max(0, x + sigma n) with the fit of the time; the other polarity is one at 0."""
    assert set(RERAM.times_s) == set(RERAM_US)

    def moments(target: float) -> tuple[float, float]:
        sigma = sum(c * target**i for i, c in enumerate(RERAM_US[time_s])) / 40
        g = np.maximum(0, target + sigma * np.random.default_rng(1).standard_normal(2_000_000))
        return float(g.mean()), float(g.var())

    used, unused = moments(x), moments(0)
    conditions = Conditions(effects=only(programming_noise=True, drift=True), time_s=time_s)
    found = effective_weights(weights(x), "reram", conditions, ("m",)).astype(np.float64)
    variance = used[1] + unused[1]
    assert abs(found.mean() - used[0] + unused[0]) < 5 * math.sqrt(variance * (1 / CELLS + 1 / 2_000_000))
    assert found.var() == pytest.approx(variance, rel=0.02)


def test_reram_devices_keep_their_side() -> None:
    """The deviations at all times are multiples of one number a device; reading adds nothing."""
    targets = np.full((100, 100), 0.5, np.float32)
    n = []
    for time_s, polynomial in RERAM_US.items():
        sigma = sum(c * 0.5**i for i, c in enumerate(polynomial)) / 40
        n.append((conductances(RERAM, targets, Conditions(time_s=time_s), ("m",)).read - 0.5) / sigma)
    assert all(np.allclose(n[0], other, atol=1e-5) for other in n[1:])
    still = Conditions(time_s=DAY, effects=Effects(drift=False))
    fresh = conductances(RERAM, targets, Conditions(), ("m",))
    assert np.array_equal(conductances(RERAM, targets, still, ("m",)).read, fresh.read)
    assert fresh.variance is None
    undisturbed = Conditions(time_s=DAY, effects=Effects(programming_noise=False))
    assert np.array_equal(conductances(RERAM, targets, undisturbed, ("m",)).read, targets)


@pytest.mark.parametrize("model", DRIFTING)
def test_reading_may_be_told_as_a_variance(model: DeviceModel) -> None:
    """The variance is that of the draws, but for conductances that cannot be below 0."""
    device, targets = MODELS[model], np.full((400, 500), 0.6, np.float32)
    conditions = Conditions(effects=only(read_noise=True), time_s=DAY)
    drawn = conductances(device, targets, conditions, ("m",))
    told = conductances(device, targets, conditions, ("m",), per_mvm=True)
    assert told.variance is not None and np.array_equal(told.read, told.drifted)
    assert float(told.variance[0, 0]) == pytest.approx(float(drawn.read.var(dtype=np.float64)), rel=0.02)
    assert drawn.variance is None
